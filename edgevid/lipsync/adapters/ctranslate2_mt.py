"""Neural translation by CTranslate2, a user's own model: OPUS-MT (one pair) or NLLB (200 languages)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgevid.core.errors import BadModelError, MissingPartError

INSTALL = "pip install 'edgevid[mt]'"

_NLLB = {
    "ca": "cat_Latn",
    "de": "deu_Latn",
    "en": "eng_Latn",
    "eo": "epo_Latn",
    "es": "spa_Latn",
    "fr": "fra_Latn",
    "it": "ita_Latn",
    "nl": "nld_Latn",
    "pl": "pol_Latn",
    "pt": "por_Latn",
}
_END = "</s>"
_LONGEST = 256  # tokens of an answer


class Ctranslate2Translator:
    """Translates with a converted model. Any thread may call.

    Args:
        folder: as ``ct2-transformers-converter`` or ``ct2-opus-mt-converter`` writes it, with
            SentencePiece's files beside the model: ``source.spm`` and ``target.spm`` (OPUS-MT, one pair), or
            ``sentencepiece.bpe.model`` (NLLB).
        pair: (source, target) that an OPUS-MT model is for; not with NLLB.
        threads: for one sentence.

    Raises:
        MissingPartError: ctranslate2 or sentencepiece is not installed.
        BadModelError: the folder holds no such model.
    """

    def __init__(self, folder: Path, *, pair: tuple[str, str] | None = None, threads: int = 1) -> None:
        try:
            import ctranslate2
            import sentencepiece
        except ImportError as error:
            raise MissingPartError(f"{error.name} is not installed", fix=INSTALL) from None
        shared = folder / "sentencepiece.bpe.model"
        files = [shared, shared] if shared.is_file() else [folder / "source.spm", folder / "target.spm"]
        for file in (folder / "model.bin", *files):
            if not file.is_file():
                raise BadModelError(
                    f"{file}: no such file", fix="name a folder of OPUS-MT or NLLB for CTranslate2"
                )
        if not shared.is_file() and pair is None:
            raise BadModelError(f"{folder}: an OPUS-MT model translates one pair", fix="name the pair")
        self._pair = None if shared.is_file() else pair
        try:
            self._pieces, self._words = (sentencepiece.SentencePieceProcessor(str(file)) for file in files)
            self._translator: Any = ctranslate2.Translator(
                str(folder), device="cpu", compute_type="int8", intra_threads=threads
            )
        except (RuntimeError, OSError, ValueError) as error:
            raise BadModelError(f"{folder}: CTranslate2 cannot load it: {error}") from None

    def translate(self, text: str, *, source: str, target: str) -> str:
        """See ``Translator``."""
        if not any(c.isalnum() for c in text):
            return ""
        pieces = [*self._pieces.encode(text, out_type=str), _END]
        if self._pair is None:
            prefix = [_nllb(target)]
            pieces = [_nllb(source), *pieces]
        elif self._pair == (source.split("-")[0], target.split("-")[0]):
            prefix = None
        else:
            raise MissingPartError(
                f"this model translates {self._pair[0]} to {self._pair[1]}, not {source} to {target}",
                fix="name a model for that pair, or NLLB",
            )
        (found,) = self._translator.translate_batch(
            [pieces],
            target_prefix=[prefix] if prefix else None,
            beam_size=2,
            max_decoding_length=_LONGEST,
            no_repeat_ngram_size=4,
        )
        tokens = found.hypotheses[0][len(prefix or ()) :]
        return str(self._words.decode([token for token in tokens if token != _END])).strip()

    def close(self) -> None:
        """Let go of the model."""
        self._translator.unload_model()


def _nllb(language: str) -> str:
    code = _NLLB.get(language.split("-")[0])
    if code is None:
        raise MissingPartError(
            f"no NLLB code is known for language {language!r}", fix=f"one of {sorted(_NLLB)}"
        )
    return code
