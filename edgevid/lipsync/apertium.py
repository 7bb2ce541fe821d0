"""Machine translation by Apertium (GPL; programs of its own): rules and dictionaries, a few milliseconds.

A pair of languages is a "mode": a file that names the pair's stages, programs joined by pipes. They are
started once and asked sentence by sentence: with ``-z`` a stage hands on what it holds when it reads a zero
byte. A text without an end of sentence is held back for ever all the same (DECISIONS/014), so one is added to
every request and taken off the answer, as Apertium's own de-formatter does.
"""

from __future__ import annotations

import re
import shlex
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgevid.core.errors import BadInputError, EdgevidError, MissingPartError
from edgevid.lipsync.process_line import LineDiedError, LineHungError, Pool, ProcessLine

MODES = Path("/usr/share/apertium/modes")
_PACKAGES = {
    frozenset(("en", "es")): "apertium-eng-spa",
    frozenset(("en", "ca")): "apertium-eng-cat",
    frozenset(("en", "eo")): "apertium-eo-en",
    frozenset(("es", "ca")): "apertium-spa-cat",
    frozenset(("fr", "es")): "apertium-fr-es",
    frozenset(("es", "pt")): "apertium-es-pt",
}
_ISO_639_3 = {
    "ca": "cat",
    "en": "eng",
    "eo": "epo",
    "es": "spa",
    "eu": "eus",
    "fr": "fra",
    "gl": "glg",
    "it": "ita",
    "pt": "por",
    "ro": "ron",
}
_START_S, _TIMEOUT_S = 20.0, 5.0
_MAX_TEXT = 10_000
_RESERVED = re.compile(r"([\[\]{}^$/\\<>])")  # of Apertium's stream format; escaped
_ESCAPE = re.compile(r"\\(.)")
_MARK = re.compile(r"[*@#]+")  # unknown, not in the bilingual dictionary, cannot be inflected
_LAST = "[]"  # an empty blank, which every stage hands on
_SENTENCE_END = f".{_LAST}"


class ApertiumTranslator:
    """Translates through Apertium's stages. Any thread may call.

    Args:
        pairs: (source, target) in ISO 639-1, started now; others start when first asked for.
        lines: of stages per pair; as many sentences are translated at a time.
        modes: folder of mode files; default: ``MODES``.
        timeout_s: for one sentence.

    Attributes:
        unknown_words: how many words were passed on as they came, since the start.

    Raises:
        MissingPartError: a pair, or a program it needs, is not installed.
    """

    def __init__(
        self,
        *,
        pairs: Iterable[tuple[str, str]] = (),
        lines: int = 1,
        modes: Path | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._lines, self._modes, self._timeout_s = lines, modes or MODES, timeout_s
        self._pools: dict[tuple[str, str], Pool] = {}
        self._lock = threading.Lock()
        self.unknown_words = 0
        try:
            for source, target in pairs:
                self._pool(source, target)
        except EdgevidError:
            self.close()
            raise

    @property
    def restarts(self) -> int:
        """How often a line of stages died or hung and was started anew."""
        return sum(pool.restarts for pool in self._pools.values())

    @property
    def pids(self) -> list[int]:
        """All processes now."""
        return [pid for pool in self._pools.values() for pid in pool.pids]

    def translate(self, text: str, *, source: str, target: str) -> str:
        """See ``Translator``. Unknown words stay as they are, without Apertium's mark.

        Raises:
            BadInputError: more than 10,000 characters.
            MissingPartError: the pair is not installed.
            EdgevidError: the stages died twice on this text, or gave no answer in time.
        """
        if len(text) > _MAX_TEXT:
            raise BadInputError(f"a text of {len(text)} characters is over the limit of {_MAX_TEXT}")
        pool = self._pool(source, target)
        request = _encode(text)
        if request is None:
            return ""
        answer = pool.ask(request, _whole)
        translated, unknown = _decode(answer)
        with self._lock:
            self.unknown_words += unknown
        return translated

    def close(self) -> None:
        """End all stages."""
        for pool in self._pools.values():
            pool.close()

    def _pool(self, source: str, target: str) -> Pool:
        with self._lock:
            pool = self._pools.get((source, target))
            if pool is None:
                try:
                    commands = _commands(_mode(self._modes, source, target))
                except MissingPartError as error:
                    raise MissingPartError(error.message, fix=install(source, target)) from None
                name = f"apertium {source}-{target}"
                pool = Pool(name, lambda: _start(commands), size=self._lines, timeout_s=self._timeout_s)
                self._pools[source, target] = pool
            return pool


def install(source: str, target: str) -> str:
    """The command that installs the pair."""
    package = _PACKAGES.get(frozenset((_base(source), _base(target))))
    return f"apt-get install apertium {package}" if package else "apt-cache search apertium lists the pairs"


def _mode(modes: Path, source: str, target: str) -> Path:
    for name in _mode_names(source, target):
        if (modes / name).is_file():
            return modes / name
    raise MissingPartError(f"Apertium has no pair {source} to {target} here")


def _mode_names(source: str, target: str) -> Iterator[str]:
    short = _base(source), _base(target)
    yield "{}-{}.mode".format(*(_ISO_639_3.get(code, code) for code in short))
    yield "{}-{}.mode".format(*short)


def _base(language: str) -> str:
    """``en-us`` -> ``en``; whatever is no code of letters finds no file."""
    return re.sub(r"[^a-z]", "", language.lower().split("-")[0])


def _commands(mode: Path) -> list[list[str]]:
    """The stages, as a shell would read them, to be run without one. $1 asks for marks on unknown words."""
    line = mode.read_text().strip().replace("$1", "-g").replace("$2", "")
    commands = [shlex.split(stage) for stage in line.split("|")]
    for program, *_ in commands:
        if shutil.which(program) is None:
            raise MissingPartError(f"{program} is missing, which Apertium's {mode.stem} needs")
    return [[program, "-z", *arguments] for program, *arguments in commands]


def _start(commands: list[list[str]]) -> ProcessLine:
    line = ProcessLine(commands)
    try:
        line.ask(
            f"{_SENTENCE_END}\0".encode(), _whole, timeout_s=_START_S
        )  # the dictionaries are read by now
    except (LineDiedError, LineHungError) as error:
        line.close()
        raise EdgevidError(f"Apertium did not start: {error}") from None
    return line


def _encode(text: str) -> bytes | None:
    """The request, or None when there is no word in it. Characters that mark words in answers are dropped."""
    printable = "".join(c if c.isprintable() else " " for c in _MARK.sub(" ", text))
    if not any(c.isalnum() for c in printable):
        return None
    words = " ".join(printable.split())
    return (_RESERVED.sub(r"\\\1", words) + _SENTENCE_END + "\0").encode("utf-8", "replace")


def _decode(answer: bytes) -> tuple[str, int]:
    """The text, and how many words in it are marked."""
    text = answer.decode("utf-8", "replace").removesuffix(_LAST + "\0").removesuffix(".")
    text, unknown = _MARK.subn("", text)
    return " ".join(_ESCAPE.sub(r"\1", text).split()), unknown


def _whole(answer: bytearray) -> bool:
    """A zero byte alone is not enough: when a stage dies, those after it end what they hold with one too."""
    if not answer.endswith(b"\0"):
        return False
    if not answer.endswith(f"{_LAST}\0".encode()):
        raise LineDiedError("a stage ended")
    return True
