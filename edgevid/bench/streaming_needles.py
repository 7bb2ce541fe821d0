"""E3: questions about seconds long past, asked of the KV cache alone.

Streams are rendered here with known answers (:mod:`edgevid.train.tiny_vlm.world`), a model of two million
parameters trained on such streams watches them at ten rows a second, and every question is asked of a
fork at the end. Ways of keeping the past are compared on the same streams and questions:

* ``dense``: everything is attended;
* ``ReSV``: the shipped retrieval, while watching and while answering;
* ``window``: sinks and as many of the newest rows as ReSV attends per question;
* ``off``: the memory of ReSV with nothing retrieved: sinks and what is not sealed.

A span is right when the second that a question's words attend most is the asked one or the next to it, in the
heads that did so most often on calibration questions ("retrieval heads", Wu et al., arXiv 2404.15574). It is
read from all kept keys; those that a window leaves out are taken away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import edgevid.train.tiny_vlm
from edgevid.bench.report import Row
from edgevid.bench.streaming_nll import retrieved_share
from edgevid.core.errors import MissingPartError
from edgevid.core.kv_config import KVConfig, RetrievalConfig
from edgevid.models.native_llm import NativeLanguageModel, NativeSequence
from edgevid.train.tiny_vlm.questions import FAMILIES, Question, ask
from edgevid.train.tiny_vlm.vision import MAX_SECOND, ROWS, Vision
from edgevid.train.tiny_vlm.world import Stream, draw_stream, render

WEIGHTS = Path(edgevid.train.tiny_vlm.__file__).parent / "weights"
WAYS = ("dense", "ReSV", "window", "off")
POINTS, RATIO, PASSES, FAILS = 0.02, 0.10, 0.9, 0.5
"""Gates: ReSV within POINTS of dense at no more than RATIO of the sealed tokens per question; dense above
PASSES; window and off below FAILS, on what they no longer see."""

_AGES = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares of the stream's length
_NEAR_S = 1
_HEADS = 3
_SINKS = KVConfig().sinks

Doubles = npt.NDArray[np.float64]


class Asked(NamedTuple):
    """One question's outcome: ``age`` as a share of the stream, ``retrieved`` as a share of sealed tokens."""

    family: str
    age: float
    right: bool
    near: bool
    retrieved: float


def _counted(found: Sequence[Asked]) -> list[Asked]:
    """What the gates are about: the model has not learnt ``after`` on streams longer than a minute, with or
    without retrieval, so it is reported and counts in no gate."""
    return [asked for asked in found if asked.family != "after"]


@dataclass(frozen=True, slots=True)
class Film:
    """A stream as the model sees it, rows [F * ROWS, hidden], and what is asked at its end."""

    stream: Stream
    rows: npt.NDArray[np.float32]
    questions: tuple[Question, ...]


class Watcher:
    """The tiny VLM and its eyes.

    Args:
        folder: of ``tiny_vlm.gguf`` and ``tiny_vlm.npz``.

    Raises:
        MissingPartError: the files are not there.
    """

    def __init__(self, folder: Path = WEIGHTS, *, threads: int = 0) -> None:
        if not (folder / "tiny_vlm.gguf").is_file():
            raise MissingPartError(
                f"the model of E3 is not in {folder}", fix="python -m edgevid.train.tiny_vlm.train --help"
            )
        self.model = NativeLanguageModel(
            folder / "tiny_vlm.gguf", kv=KVConfig(), kv_tokens=6 * 8192, threads=threads
        )
        self._vision = Vision.load(folder / "tiny_vlm.npz")

    def film(self, rng: np.random.Generator, *, seconds: int, questions: int) -> Film:
        """A random stream with random questions of every family in turn."""
        start = int(rng.integers(MAX_SECOND + 1 - seconds))
        stream = draw_stream(rng, seconds, start_s=start)
        rows = self.see(stream, rng)
        found: list[Question] = []
        for family in FAMILIES * questions:
            question = ask(rng, stream, family) if len(found) < questions else None
            if question is not None:
                found.append(question)
        return Film(stream, rows, tuple(found))

    def see(self, stream: Stream, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """What the model sees of a stream that ends by MAX_SECOND: rows [F * ROWS, hidden]."""
        seconds = stream.start_s + np.arange(len(stream))
        return self._vision.rows(render(stream, rng), seconds).reshape(len(stream) * ROWS, -1)

    def watch(
        self, film: Film, *, retrieval: RetrievalConfig | None = None, recent: int = 0
    ) -> NativeSequence:
        """The film in a cache, a frame a step; ``recent``: attend only so many of the newest rows."""
        sequence = self.model.new_sequence(
            attend_sinks=_SINKS if recent else 0, attend_recent=recent, retrieval=retrieval, trace=True
        )
        sequence.append_tokens(self.model.tokenize("<s>", special=True), logits="none")
        for frame in range(len(film.stream)):
            sequence.append_rows(film.rows[frame * ROWS : (frame + 1) * ROWS], logits="none")
        return sequence

    def answer(self, sequence: NativeSequence, question: Question) -> tuple[bool, Doubles, float]:
        """Whether the answer is right, the attention per head and second (:func:`attended`), and the
        attended share of the sealed tokens."""
        want = self.model.tokenize(question.answer)
        with closing(sequence.fork()) as fork:
            logits = fork.append_tokens(self.model.tokenize(question.prompt))
            seconds = np.stack([_seen(fork, layer) for layer in range(self.model.config.layers)])
            said = [int(logits[-1].argmax())]
            while len(said) < len(want) and said == want[: len(said)]:
                said.append(int(fork.append_tokens(said[-1:])[-1].argmax()))
            share = retrieved_share(fork.retrieval())
        return said == want, seconds.reshape(-1, seconds.shape[-1]), share


def _seen(sequence: NativeSequence, layer: int) -> Doubles:
    """:func:`attended` of the last step; sealed keys lie in the order of their clusters."""
    q, k, _ = sequence.trace(layer)
    in_order = k.copy()
    first = _SINKS
    for order, _ in sequence.clusters(layer):
        in_order[first + np.asarray(order)] = k[first : first + len(order)]
        first += len(order)
    return attended(q, in_order)


def attended(q: npt.NDArray[np.float32], k: npt.NDArray[np.float32]) -> Doubles:
    """The most that any row of a question gives to each second, per head: [heads, F].

    Args:
        q: the question's rotated queries [rows, heads, head_dim].
        k: all keys [1 + F * ROWS + rows, kv_heads, head_dim].
    """
    rows, heads, dim = q.shape
    tokens = len(k)
    scores = np.einsum("rhd,thd->hrt", q, k.repeat(heads // k.shape[1], axis=1)).astype(np.float64) / dim**0.5
    last_seen = tokens - rows + np.arange(rows)
    scores[:, np.arange(tokens) > last_seen[:, None]] = -np.inf
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    of_second: Doubles = weights[:, :, 1 : tokens - rows].reshape(heads, rows, -1, ROWS).sum(axis=3)
    return np.asarray(of_second.max(axis=1))


def retrieval_heads(found: Sequence[tuple[Doubles, int]]) -> npt.NDArray[np.intp]:
    """The _HEADS heads (layer * heads + head) whose most attended second is near the asked one most often.

    Args:
        found: per calibration question the attention [layers * heads, F] and the asked second's index.
    """
    hits = np.sum([np.abs(mass.argmax(axis=1) - at) <= _NEAR_S for mass, at in found], axis=0)
    return np.argsort(-hits, kind="stable")[:_HEADS]


def rows(
    *, seconds: int, quick: bool = False, threads: int = 0, folder: Path = WEIGHTS, seed: int = 1
) -> Iterator[Row]:
    """Accuracy by way, family and age on streams of ``seconds``; the gates of E3."""
    watcher = Watcher(folder, threads=threads)
    films, questions = (4, 20) if quick else (20, 50)
    rng = np.random.default_rng(seed)
    heads = _calibrate(watcher, rng, seconds)
    found: dict[str, list[Asked]] = {way: [] for way in WAYS}
    memory = {"window": 0.0, "off": 0.0}
    for _ in range(films):
        film = watcher.film(rng, seconds=seconds, questions=questions)
        _compare(watcher, film, heads, found, memory)
    method = (
        f"{films * questions} questions at the end of {films} rendered streams of {seconds} s "
        f"({seconds * ROWS} rows), seed {seed}, greedy, exact words"
    )
    yield from _gates(found, {way: total / films for way, total in memory.items()}, seconds, method)
    for way in WAYS:
        yield from _tables(way, found[way], method)


def _calibrate(watcher: Watcher, rng: np.random.Generator, seconds: int) -> npt.NDArray[np.intp]:
    seen = []
    for _ in range(2):
        film = watcher.film(rng, seconds=seconds, questions=20)
        with closing(watcher.watch(film)) as sequence:
            for question in film.questions:
                right, mass, _ = watcher.answer(sequence, question)
                if right:
                    seen.append((mass, question.second - film.stream.start_s))
    return retrieval_heads(seen) if seen else np.arange(_HEADS)


def _compare(
    watcher: Watcher,
    film: Film,
    heads: npt.NDArray[np.intp],
    found: dict[str, list[Asked]],
    memory: dict[str, float],
) -> None:
    """One film, every way; the window is as large as what ReSV attended on it."""
    shipped = RetrievalConfig()
    sealed = 0
    for way in WAYS:
        unsealed = len(film.rows) + 1 - sealed
        if way == "window":
            attended_share = np.mean([asked.retrieved for asked in found["ReSV"][-len(film.questions) :]])
            recent = unsealed + round(sealed * float(attended_share))
        else:
            recent = unsealed if way == "off" else 0
        retrieval = shipped if way == "ReSV" else None
        if way in memory:
            memory[way] += recent
        with closing(watcher.watch(film, retrieval=retrieval, recent=recent)) as sequence:
            if way == "ReSV":
                stats = sequence.retrieval()
                sealed = int(stats["sealed"]) if stats else 0
            for question in film.questions:
                right, mass, share = watcher.answer(sequence, question)
                at = question.second - film.stream.start_s
                seen = mass[heads].sum(axis=0)
                if recent:
                    seen[_SINKS // ROWS : max(0, len(film.stream) - recent // ROWS)] = 0
                near = abs(int(seen.argmax()) - at) <= _NEAR_S
                age = 1 - (at + 1) / len(film.stream)
                found[way].append(Asked(question.family, age, right, near, share))


def _gates(
    found: dict[str, list[Asked]], memory: dict[str, float], seconds: int, method: str
) -> Iterator[Row]:
    dense, ours = (_accuracy(_counted(found[way])) for way in ("dense", "ReSV"))
    yield Row("E3 dense", round(dense, 4), "right", PASSES, dense >= PASSES, method)
    yield Row("E3 ReSV minus dense", round(ours - dense, 4), "right", -POINTS, ours >= dense - POINTS, method)
    ratio = float(np.mean([asked.retrieved for asked in found["ReSV"]]))
    yield Row("E3 retrieved per question", round(ratio, 4), "of sealed", RATIO, ratio <= RATIO, method)
    for way, what in (("window", "a window of equal tokens"), ("off", "retrieval off")):
        unseen = [asked for asked in _counted(found[way]) if asked.age > memory[way] / ROWS / seconds]
        right = _accuracy(unseen)
        how = f"{len(unseen)} questions older than the {memory[way]:.0f} rows it attends; {method}"
        yield Row(f"E3 {what}", round(right, 4), "right", FAILS, right < FAILS, how)


def _tables(way: str, found: Sequence[Asked], method: str) -> Iterator[Row]:
    for family in FAMILIES:
        chosen = [asked for asked in found if asked.family == family]
        yield Row(f"E3 {way}, {family}", round(_accuracy(chosen), 4), "right", None, None, method)
    for low, high in pairwise(_AGES):
        chosen = [asked for asked in found if low <= asked.age < high]
        what = f"E3 {way}, age {low:.0%} to {high:.0%}"
        yield Row(what, round(_accuracy(chosen), 4), "right", None, None, method)
    both = float(np.mean([asked.right and asked.near for asked in found]))
    near = float(np.mean([asked.near for asked in found]))
    yield Row(f"E3 {way}, span", round(near, 4), "right", None, None, method)
    yield Row(f"E3 {way}, answer and span", round(both, 4), "right", None, None, method)


def _accuracy(found: Sequence[Asked]) -> float:
    return float(np.mean([asked.right for asked in found])) if found else float("nan")
