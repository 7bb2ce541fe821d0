"""``Answerer``: questions about a watched video, answered from its timeline; no language model speaks."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from edgevid.core.nouns import Answer
from edgevid.memory.memory import Memory
from edgevid.stream.answer import (
    counting,
    doing,
    hearing,
    intent,
    language,
    order,
    patterns,
    scenes,
    seeing,
    timing,
)
from edgevid.stream.answer.closest import closest
from edgevid.stream.answer.intent import Query
from edgevid.stream.answer.labels import load_vocabulary
from edgevid.stream.answer.mention import mentioned, nearest_said, nearest_seen, spelled
from edgevid.stream.answer.picture import without_picture
from edgevid.stream.answer.reply import Reply
from edgevid.stream.answer.router import nearest
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.answer.wall_clock import clock_note, named_time
from edgevid.stream.answer.watched import Watched
from edgevid.stream.answer.window import named_part, named_scene, named_window

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore


# Questions that "at the start" and "at the end" restrict; for others they ask for the first or last thing.
_IN_PARTS = frozenset({"how_many", "presence", "which", "either", "summary", "where", "heard"})

_MAKERS = frozenset(
    "brand company firm manufacturer sponsor publisher broadcaster".split()
)  # named by writing


class Answerer:
    """Structured, cited answers.

    Args:
        memory: where the rows are.
        store: model packs; the text-vector pack, when installed, finds the evidence lines closest to a
            question no rule understands. Without it shared words do.
        vocabulary: what the channels can name; None = the labels of the installed packs.
    """

    def __init__(self, memory: Memory, *, store: ModelStore, vocabulary: Vocabulary | None = None) -> None:
        self._memory = memory
        self._store = store
        self._read: tuple[tuple[int, tuple[int, int]], Watched] | None = None
        self.vocabulary = vocabulary or load_vocabulary(store)

    def answer(self, video_id: int, question: str) -> Answer:
        """Answer ``question`` about the video; every time in the text is an end of a cited span.

        Raises:
            KeyError: no such video.
        """
        began = time.perf_counter()
        reply = self._reply(video_id, question)
        return Answer(
            question=question,
            text=reply.text + clock_note(reply.evidence, self._memory.video(video_id)),
            evidence=reply.evidence,
            latency_ms=(time.perf_counter() - began) * 1e3,
            calls=(f"timeline:{reply.via}",),
        )

    def _reply(self, video_id: int, question: str) -> Reply:
        watched = self._watched(video_id)
        code = language.detect(question)
        if code != "en":
            return Reply(language.REFUSALS[code], (), "language")
        of_day = named_time(question, watched.video, watched.duration_ns)
        if of_day is not None:
            if of_day.span is None:
                return Reply(of_day.unwatched, (), "unwatched")
            watched, question = watched.within(of_day.span), of_day.rest
        query = intent.parse(question, self.vocabulary)
        window = named_window(question, watched.duration_ns) or named_scene(
            query.text, [row.observation.span.start_ns for row in watched.of("cut")], watched.duration_ns
        )
        if window is None and query.intent in _IN_PARTS:
            window = named_part(query.text, watched.duration_ns)
            if window is not None:
                query = replace(query, order=None)
        if window is not None:
            watched = watched.within(window)
        if query.intent == "unknown":
            found = mentioned(query.words, watched) or self._said_near(query, watched)
            plainer = None if found is not None else nearest(question, self._store)
            if plainer is None:
                return found or closest(question, watched, self._store)
            query = intent.parse(plainer, self.vocabulary)
        unseen = without_picture(query, watched)
        return unseen or self._fall_back(query, watched, self._dispatch(query, watched))

    def _watched(self, video_id: int) -> Watched:
        """The video's rows, read again only when something may have changed."""
        key = video_id, self._memory.version()
        read = self._read
        if read is None or read[0] != key:
            self._read = read = key, Watched.read(self._memory, video_id)
        return read[1]

    def _fall_back(self, query: Query, watched: Watched, reply: Reply) -> Reply:
        """Where nothing seen fits, what is said or written may; else name what comes nearest."""
        unasked = reply.via == "which" and query.unknown and not query.subject
        if reply.via not in ("cannot", "undetectable", "absent") and not unasked:
            return reply
        words = mentioned(query.words, watched) or (
            spelled(query.subject, watched) if reply.via == "absent" else None
        )
        if words is None and (query.attribute in patterns.MAY_BE_WRITTEN or _MAKERS & {*query.unknown}):
            words = hearing.on_screen(watched)
        if words is not None:
            text = f"{reply.text} {words.text}" if reply.via == "cannot" else words.text
            return Reply(text, words.evidence, f"{reply.via}+{words.via}")
        if unasked and reply.evidence and (place := seeing.only_place(query)):
            return Reply(f"{reply.text} Which of these are {place} I cannot tell.", reply.evidence, reply.via)
        if unasked and (near_said := self._said_near(query, watched)) is not None:
            return near_said
        if unasked and reply.evidence:
            unknown = seeing.undetectable(query, self.vocabulary).text
            return Reply(f"{unknown[:-1]}; what I see: {reply.text}", reply.evidence, "undetectable")
        if unasked:
            reply = seeing.undetectable(query, self.vocabulary)
        if reply.via == "undetectable":
            near = nearest_seen(" ".join(query.unknown), watched, self._store)
            if near is not None:
                return Reply(f"{reply.text[:-1]}; {near.text}.", near.evidence, "undetectable+near")
        return reply

    def _said_near(self, query: Query, watched: Watched) -> Reply | None:
        asks = query.text.startswith(("what ", "which ", "who ", "where ", "why ", "how "))
        return nearest_said(query.text, watched, self._store) if asks and query.unknown else None

    def _dispatch(self, query: Query, watched: Watched) -> Reply:
        vocabulary = self.vocabulary
        match query.intent:
            case "nothing":
                return Reply("Please ask a question about the video, in words.", (), "nothing")
            case "cannot":
                return Reply(f"I cannot tell: I do not detect {query.attribute}.", (), "cannot")
            case "said":
                return hearing.said(query, watched)
            case "written":
                return hearing.written(query, watched)
            case "heard":
                return hearing.heard(query, watched, vocabulary)
            case "summary":
                return hearing.summary(watched)
            case "cuts":
                return scenes.cuts(query, watched)
            case "length":
                return scenes.length(query, watched)
            case "how_long":
                return timing.how_long(query, watched, vocabulary)
            case "how_many":
                return counting.how_many(query, watched, vocabulary)
            case "before" | "after":
                return order.beside(query, watched, vocabulary, after=query.intent == "after")
            case "compare":
                return order.compare(query, watched)
            case "said_order":
                return order.said_order(query, watched)
            case "nobody":
                return order.nobody(query, watched)
            case "where":
                return order.where(query, watched, self._memory)
            case "when":
                return timing.when(query, watched, vocabulary)
            case "either":
                return seeing.either(query, watched, vocabulary)
            case "worn":
                return doing.worn(query, watched, vocabulary)
            case "presence" if query.number is not None and query.subject:
                return counting.enough(query, watched)
            case "presence":
                return seeing.presence(query, watched, vocabulary)
            case _:
                return doing.doing(query, watched, vocabulary) or seeing.which(query, watched)
