"""A user's own parts: real Whisper; for the others networks of the right shapes that have learnt nothing."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.core.errors import BadModelError, EdgevidError, MissingPartError
from edgevid.lipsync.adapters.ctranslate2_mt import Ctranslate2Translator
from edgevid.lipsync.adapters.faster_whisper import FasterWhisperRecognizer
from edgevid.lipsync.adapters.piper import PiperVoice
from edgevid.lipsync.espeak import EspeakVoice
from edgevid.media.wav import read_audio
from edgevid.models.store import ModelStore

_SYMBOLS = "_^$ !,-.:;?abdefghijklmnoprstuvwxzðɣɲɾʎθβˈˌː"


@pytest.fixture
def piper_voice(tmp_path: Path, voice: EspeakVoice) -> Path:
    """A "Piper voice" that hums 256 samples per id times the length scale: what it was given shows."""
    import onnx
    from onnx import TensorProto, helper

    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, [1, "ids"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "samples"])
    constants = [
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("two", TensorProto.INT64, [1], [2]),
        helper.make_tensor("per_id", TensorProto.FLOAT, [1], [256.0]),
        helper.make_tensor("ones", TensorProto.INT64, [3], [1, 1, 1]),
    ]
    nodes = [
        helper.make_node("Slice", ["scales", "one", "two"], ["length"]),
        helper.make_node("Cast", ["input_lengths"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["ids", "length"], ["long"]),
        helper.make_node("Mul", ["long", "per_id"], ["count"]),
        helper.make_node("Cast", ["count"], ["samples"], to=TensorProto.INT64),
        helper.make_node("Concat", ["ones", "samples"], ["shape"], axis=0),
        helper.make_node(
            "ConstantOfShape",
            ["shape"],
            ["output"],
            value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.25]),
        ),
    ]
    graph = helper.make_graph(nodes, "hum", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "hum.onnx")
    settings = {
        "audio": {"sample_rate": 22_050},
        "espeak": {"voice": "es"},
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_id_map": {symbol: [number] for number, symbol in enumerate(_SYMBOLS)},
    }
    (tmp_path / "hum.onnx.json").write_text(json.dumps(settings))
    return tmp_path / "hum.onnx"


def test_piper_is_given_what_it_was_trained_on(piper_voice: Path) -> None:
    piper = PiperVoice(piper_voice)
    ids = piper._encode("Hola, amigo. ¿Qué?")
    assert "".join(_SYMBOLS[i] for i in ids).replace("_", "") == "^ˈola, amˈiɣo. kˈe?$"
    assert "." not in piper._spell("Cuesta 3.5 euros")
    assert ids[1::2] == [0] * (len(ids) // 2)  # a pad after each
    piper.close()


def test_piper_speaks_at_the_rate_asked(piper_voice: Path) -> None:
    piper = PiperVoice(piper_voice)
    plain = piper.speak("Hola, amigo", language="es-419")
    fast = piper.speak("Hola, amigo", language="es", rate=1.25)
    assert plain.rate == 22_050
    assert plain.phonemes == ()
    assert len(plain.samples) / len(fast.samples) == pytest.approx(1.25, rel=0.01)
    assert len(piper.speak("...", language="es").samples) == 0
    with pytest.raises(MissingPartError, match="speaks es, not de"):
        piper.speak("hallo", language="de")
    piper.close()


@pytest.mark.parametrize(
    ("room", "key", "value"),
    [
        ("phoneme_id_map", "^", 1),
        ("phoneme_id_map", "a", [-1]),
        ("phoneme_id_map", "a", ["7"]),
        ("audio", "sample_rate", 0),
        ("audio", "sample_rate", 1e9),
        ("inference", "length_scale", 0),
        ("inference", "noise_scale", float("nan")),
    ],
)
def test_piper_settings_without_sense(piper_voice: Path, room: str, key: str, value: object) -> None:
    path = piper_voice.with_name("hum.onnx.json")
    settings = json.loads(path.read_text())
    settings[room][key] = value
    path.write_text(json.dumps(settings))
    with pytest.raises(BadModelError, match="not the settings of a Piper voice") as caught:
        PiperVoice(piper_voice)
    assert caught.value.fix


def test_a_network_that_is_no_piper_voice(piper_voice: Path) -> None:
    import onnx

    model = onnx.load(piper_voice)
    model.graph.input[2].name = "speed"
    model.graph.node[0].input[0] = "speed"
    onnx.save(model, piper_voice)
    with pytest.raises(BadModelError, match="its inputs are input, input_lengths, speed"):
        PiperVoice(piper_voice)


def test_piper_without_its_files(piper_voice: Path, tmp_path: Path) -> None:
    with pytest.raises(BadModelError, match=r"other\.onnx\.json"):
        PiperVoice(tmp_path / "other.onnx")
    settings = piper_voice.with_name("hum.onnx.json")
    for wrong in ("[]", "{", '{"audio": 3}', '{"audio": {"sample_rate": "x"}}'):
        settings.write_text(wrong)
        with pytest.raises(BadModelError, match="Piper voice"):
            PiperVoice(piper_voice)


@pytest.fixture(scope="module")
def random_translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformer of CTranslate2 with random weights, and SentencePiece models learnt from a few lines."""
    ctranslate2 = pytest.importorskip("ctranslate2", reason="pip install 'edgevid[mt]'")
    sentencepiece = pytest.importorskip("sentencepiece", reason="pip install 'edgevid[mt]'")
    folder = tmp_path_factory.mktemp("random_opus")
    text = folder / "text"
    text.write_text(
        "\n".join(f"the {a} dog sees the {b} house" for a in "big small red".split() for b in "old new")
    )
    for name in ("source", "target"):
        sentencepiece.SentencePieceTrainer.train(
            input=str(text),
            model_prefix=str(folder / name),
            vocab_size=40,
            minloglevel=2,
            hard_vocab_limit=False,
        )
        (folder / f"{name}.model").rename(folder / f"{name}.spm")
    pieces = sentencepiece.SentencePieceProcessor(str(folder / "source.spm"))
    vocabulary = [pieces.id_to_piece(i) for i in range(pieces.get_piece_size())]
    specification = ctranslate2.specs.TransformerSpec.from_config(1, num_heads=2)
    specification.register_source_vocabulary(vocabulary)
    specification.register_target_vocabulary(vocabulary)
    _fill(specification, words=len(vocabulary))
    specification.validate()
    specification.optimize(quantization="int8")
    specification.save(str(folder))
    return folder


def _fill(specification: Any, *, words: int) -> None:
    """Random weights of width 16."""
    from ctranslate2.specs.model_spec import index_spec

    random = np.random.default_rng(3)
    shapes = {
        "gamma": (16,),
        "beta": (16,),
        "embeddings_0/weight": (words, 16),
        "embeddings/weight": (words, 16),
        "projection/weight": (words, 16),
        "self_attention/linear_0/weight": (48, 16),
        "/attention/linear_1/weight": (32, 16),
        "ffn/linear_0/weight": (32, 16),
        "ffn/linear_1/weight": (16, 32),
    }
    for name, value in specification.variables().items():
        if value is None:
            shape = next((shape for end, shape in shapes.items() if name.endswith(end)), (16, 16))
            owner, _, attribute = name.rpartition("/")
            setattr(index_spec(specification, owner), attribute, random.normal(size=shape).astype(np.float32))


def test_a_random_opus_model_answers_something(random_translator: Path) -> None:
    translator = Ctranslate2Translator(random_translator, pair=("en", "es"))
    answer = translator.translate("the big dog sees the new house", source="en-us", target="es")
    assert isinstance(answer, str)
    assert answer == translator.translate("the big dog sees the new house", source="en", target="es")
    assert translator.translate(" ... ", source="en", target="es") == ""
    with pytest.raises(MissingPartError, match="translates en to es, not es to en"):
        translator.translate("hola", source="es", target="en")
    translator.close()


def test_nllb_is_told_the_languages(random_translator: Path, tmp_path: Path) -> None:
    for file in random_translator.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "source.spm").rename(tmp_path / "sentencepiece.bpe.model")
    translator = Ctranslate2Translator(tmp_path)
    assert isinstance(translator.translate("the big dog", source="en", target="eo"), str)
    with pytest.raises(MissingPartError, match="no NLLB code is known for language 'xx'"):
        translator.translate("the big dog", source="en", target="xx")
    translator.close()


def test_a_folder_that_is_no_translator(random_translator: Path, tmp_path: Path) -> None:
    with pytest.raises(BadModelError, match=r"model\.bin: no such file"):
        Ctranslate2Translator(tmp_path, pair=("en", "es"))
    with pytest.raises(BadModelError, match="one pair"):
        Ctranslate2Translator(random_translator)
    for name in ("model.bin", "source.spm", "target.spm"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(BadModelError, match="cannot load it"):
        Ctranslate2Translator(tmp_path, pair=("en", "es"))


@pytest.fixture
def whisper(store: ModelStore) -> Path:
    pytest.importorskip("faster_whisper", reason="pip install 'edgevid[asr]'")
    return store.where("whisper-tiny-en")["model.bin"].parent


@pytest.mark.packs
def test_whisper_recognises(whisper: Path, test_data: Path) -> None:
    recognizer = FasterWhisperRecognizer(whisper)
    for rate in (8_000, 16_000):
        samples = read_audio(test_data / "audio" / "jfk.wav", sample_rate=rate)
        assert "ask not what your country can do for you" in recognizer.recognize(samples, rate)
    assert recognizer.recognize(np.zeros(32_000, np.float32), 16_000) == ""
    assert recognizer.recognize(np.zeros(10, np.float32), 16_000) == ""
    recognizer.close()


@pytest.mark.packs
def test_a_whisper_is_not_asked_for_a_language_it_does_not_know(whisper: Path, store: ModelStore) -> None:
    for folder, language in ((whisper, "es"), (store.where("whisper-base")["model.bin"].parent, "tlh")):
        with pytest.raises(MissingPartError, match=f"does not know language '{language}'"):
            FasterWhisperRecognizer(folder, language=language)
    FasterWhisperRecognizer(whisper, language="en-us").close()


@pytest.mark.packs
def test_whisper_hears_which_language_it_is(store: ModelStore, test_data: Path) -> None:
    pytest.importorskip("faster_whisper", reason="pip install 'edgevid[asr]'")
    recognizer = FasterWhisperRecognizer(store.where("whisper-base")["model.bin"].parent, language=None)
    said = recognizer.recognize(read_audio(test_data / "audio" / "pico_test_es.wav"), 16_000)
    assert recognizer.language == "es"
    assert "arenas" in said
    long = np.tile(read_audio(test_data / "audio" / "jfk.wav"), 4)  # more than a chunk of 30 s
    assert recognizer.recognize(long, 16_000).lower().count("fellow americans") >= 3
    recognizer.close()


def test_a_folder_that_is_no_whisper(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="pip install 'edgevid[asr]'")
    with pytest.raises(BadModelError, match=r"model\.bin: no such file"):
        FasterWhisperRecognizer(tmp_path)
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(BadModelError, match="cannot load it"):
        FasterWhisperRecognizer(tmp_path)


@pytest.mark.parametrize(
    ("make", "package", "fix"),
    [
        (FasterWhisperRecognizer, "faster_whisper", "pip install 'edgevid[asr]'"),
        (Ctranslate2Translator, "ctranslate2", "pip install 'edgevid[mt]'"),
        (Ctranslate2Translator, "sentencepiece", "pip install 'edgevid[mt]'"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    make: Callable[[Path], Any], package: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return object() if name in ("ctranslate2", "sentencepiece") else genuine(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EdgevidError, match=f"{package} is not installed") as raised:
        make(tmp_path)
    assert raised.value.exit_code == 4
    assert raised.value.fix == fix
