"""Real Apertium, and stages made of shell tools for what can go wrong."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgevid.core.errors import BadInputError, EdgevidError, MissingPartError
from edgevid.lipsync.apertium import ApertiumTranslator, install


def spanish(translator: ApertiumTranslator, text: str) -> str:
    return translator.translate(text, source="en", target="es")


def test_sentences_become_spanish(translator: ApertiumTranslator) -> None:
    assert spanish(translator, "Hello, my friend.") == "Hola, mi amigo."
    assert (
        spanish(translator, "Good morning") == "Buenos días"
    )  # no end of sentence: `apertium -z` hangs on it
    assert translator.translate("Buenos días", source="es-419", target="en-us") == "Good morning"
    assert translator.unknown_words == 0


def test_unknown_words_come_unmarked_and_are_counted(translator: ApertiumTranslator) -> None:
    assert spanish(translator, "the xylogrump and the zzyzx") == "El xylogrump y el zzyzx"
    assert translator.unknown_words == 2


@pytest.mark.parametrize("text", ["", "  \n", "...", "!?", "*", "♪♪", "\0"])
def test_nothing_to_say_is_nothing_said(translator: ApertiumTranslator, text: str) -> None:
    assert spanish(translator, text) == ""


def test_reserved_characters_pass_through(translator: ApertiumTranslator) -> None:
    assert spanish(translator, "3/4 [two] {x} ^y$ <b> c\\d") == "3/4 [dos] {x} ^y$ <b> c\\d"
    assert "*" not in spanish(translator, "a *star #tag @place")


def test_any_unicode_passes(translator: ApertiumTranslator) -> None:
    assert spanish(translator, "😀 日本語 שלום") == "😀 日本語 שלום"
    assert spanish(translator, "a\u0301 \u202e lone \ud800 \x01 good")


_STREAM_FORMAT = st.sampled_from(
    "[x] ^l<n>$ a/b {1} \\ * # @ ~ + $5 3.5 U.S. . [] <b> don't dog ñ 日本 😀".split()
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=40), st.lists(_STREAM_FORMAT, max_size=12).map("".join)))
def test_no_text_gets_the_stages_out_of_step(translator: ApertiumTranslator, text: str) -> None:
    spanish(translator, text)
    assert spanish(translator, "Good morning") == "Buenos días"
    assert translator.restarts == 0


def test_two_thousand_characters(translator: ApertiumTranslator) -> None:
    many = spanish(translator, "The dog is brown. " * 111)
    assert many == " ".join(["El perro es marrón."] * 111)
    assert spanish(translator, "a" * 2000) == "a" * 2000
    with pytest.raises(BadInputError, match="limit"):
        spanish(translator, "a " * 6000)


@pytest.mark.parametrize("stage", [0, 4, -1])
def test_a_killed_stage_loses_no_sentence(translator: ApertiumTranslator, stage: int) -> None:
    os.kill(translator.pids[stage], signal.SIGKILL)
    assert spanish(translator, "Good morning, my friend.") == "Buenos días, mi amigo."
    assert translator.restarts == 1


def test_stages_killed_mid_sentence_lose_no_sentence(translator: ApertiumTranslator) -> None:
    """A killer goes through the stages while sentences are translated: every answer is whole all the same."""
    text = "The dog is brown. " * 100
    expected = spanish(translator, text)

    def kill() -> None:
        for turn in range(6):
            time.sleep(0.15)
            pids = translator.pids
            with suppress(ProcessLookupError):  # it was being replaced
                os.kill(pids[(3 * turn) % len(pids)], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    answers = []
    while killer.is_alive():
        try:
            answers.append(spanish(translator, text))
        except EdgevidError as error:  # both tries met the killer
            assert "restarted" in str(error)
    killer.join()
    assert answers
    assert set(answers) == {expected}
    assert translator.restarts >= 1


def test_a_pair_that_is_not_there_names_its_package() -> None:
    with pytest.raises(MissingPartError, match="en to xx") as raised:
        ApertiumTranslator(pairs=[("en", "xx")])
    assert raised.value.fix == "apt-cache search apertium lists the pairs"
    assert install("ca", "en-us") == "apt-get install apertium apertium-eng-cat"


@pytest.mark.parametrize("language", ["", "../../../etc/passwd", "日本"])
def test_a_language_that_is_none(translator: ApertiumTranslator, language: str) -> None:
    with pytest.raises(MissingPartError):
        translator.translate("hello", source="en", target=language)


def made_of(folder: Path, line: str, **options: float) -> ApertiumTranslator:
    (folder / "eng-spa.mode").write_text(line)
    return ApertiumTranslator(modes=folder, **options)  # type: ignore[arg-type]


def test_a_pair_without_its_programs_says_which(tmp_path: Path) -> None:
    translator = made_of(tmp_path, "lt-nothing 'x' | cat")
    with pytest.raises(MissingPartError, match=r"lt-nothing is missing.*eng-spa") as raised:
        spanish(translator, "hello")
    assert raised.value.fix == "apt-get install apertium apertium-eng-spa"


def test_stages_that_never_answer_are_given_up(tmp_path: Path) -> None:
    """Answers the first request alone, which is the one asked at the start; then it hangs."""
    script = tmp_path / "once"
    script.write_text("#!/bin/sh\nprintf '.[]\\0'\nexec sleep 60\n")
    script.chmod(0o755)
    translator = made_of(tmp_path, f"'{script}'", timeout_s=0.1)
    started = time.monotonic()
    with pytest.raises(
        EdgevidError, match=r"apertium en-es failed and was restarted: no answer within 0\.1 s"
    ):
        spanish(translator, "hello")
    assert time.monotonic() - started < 30
    translator.close()
