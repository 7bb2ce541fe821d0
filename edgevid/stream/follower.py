"""A language model that follows the stream: frames and timeline lines go into its KV cache as they happen."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevid.core.kv_config import KVConfig
from edgevid.core.nouns import KINDS, Answer, AttendedSpan, Frame, Observation
from edgevid.memory.memory import Memory, Row
from edgevid.models.chat import Message, chat_tokens
from edgevid.models.llm import CountingSequence, LanguageModel, LanguageSequence, SavedSequence
from edgevid.stream.answer import phrasing
from edgevid.stream.answer.vocabulary import Vocabulary
from edgevid.stream.attended import TokenTimes
from edgevid.stream.connector import LabelConnector, VisionEncoder
from edgevid.stream.events import Event
from edgevid.stream.grounding import ungrounded
from edgevid.stream.kv_session import Point

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore
    from edgevid.models.vlm.prompt import Conversation

DEMO = "demo"
_SYSTEM = (
    "You watch a video. Notes with times follow. Answer questions from the notes alone, in one sentence."
)
_ANSWER_TOKENS = 48
_COUNTED_TOKENS = 64  # at the end: the question rather than the notes: counting is dearer than reading
_SHOWN_ROWS = 24
_MISSED_ROWS = 64  # newest ones that are told to a decoder that lost the end of its past


class Follower:
    """Feeds one sequence per video and drafts answers on forks of it, so that asking never disturbs watching.

    Args:
        model: any backend.
        name: how answers and statistics call it.
        speaks: whether a supported draft may become the answer; the demo model's never does.
        encoder: frames to embedding rows; None when the model is fed text lines only.
        conversation: how the model is spoken to; None uses its chat template, one turn for each text.
        session_file: that the model's sequence lives in; the past then outlasts videos and processes.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        name: str,
        speaks: bool,
        encoder: VisionEncoder | None,
        vocabulary: Vocabulary,
        conversation: Conversation | None = None,
        session_file: Path | None = None,
    ) -> None:
        self._model = model
        self._conversation = conversation
        self._name = name
        self._speaks = speaks
        self._encoder = encoder
        self._vocabulary = vocabulary
        self._session_file = session_file
        self._video_id = 0
        self._lock = threading.Lock()
        self._sequence: LanguageSequence | None = None
        self._times = TokenTimes()
        self._fed = {"tokens": 0, "seconds": 0.0}
        self._drafted = {"tokens": 0, "seconds": 0.0}

    @classmethod
    def load(
        cls,
        model: str | Path | LanguageModel,
        *,
        kv: KVConfig,
        store: ModelStore,
        threads: int,
        vocabulary: Vocabulary,
        mmproj: str | Path | None = None,
    ) -> Follower:
        """Open "demo", a GGUF file, the Hugging Face folder of a video language model, or a loaded model.

        A model that brings an ``encoder`` sees through it, any other through the label connector.

        Args:
            mmproj: the vision half of a GGUF file.

        Raises:
            MissingPartError: the demo pack or the classifier pack is not installed.
            BadModelError: the file is not a model this runtime reads.
        """
        if not isinstance(model, str | Path):
            speaks, name, loaded = True, getattr(model, "name", "user model"), model
        elif mmproj is not None or Path(model).is_dir():
            from edgevid.models.vlm.model import VlmModel

            speaks, name = True, str(model)
            cache = store.root.parent
            loaded = VlmModel.open(model, mmproj=mmproj, cache=cache, kv=kv, threads=threads)
        else:
            from edgevid.models.native_llm import NativeLanguageModel

            speaks, name = str(model) != DEMO, str(model)
            path = Path(model) if speaks else store.where(DEMO)["model.gguf"]
            loaded = NativeLanguageModel(path, kv=kv, threads=threads)
        encoder: VisionEncoder | None = getattr(loaded, "encoder", None)
        if encoder is None:
            from edgevid.perception.classes import Classifier

            encoder = LabelConnector(Classifier(store, threads=threads), loaded)
        conversation = getattr(loaded, "conversation", None)
        return cls(
            loaded,
            name=name,
            speaks=speaks,
            encoder=encoder,
            vocabulary=vocabulary,
            conversation=conversation,
            session_file=getattr(loaded, "session_file", None),
        )

    def begin(self, memory: Memory, video_id: int) -> None:
        """Start a new video: with an empty past or, with a session file, the one it holds.

        Rows of ``memory`` that are newer than that past (a killed process loses its end) are told again.
        """
        with self._lock:
            self._video_id = video_id
            self._times = TokenTimes()  # those of another video mean nothing in this one
            if self._sequence is not None:
                if self._session_file is not None:
                    return
                self._sequence.close()
            self._sequence = self._model.new_sequence()
            if self._sequence.length > 0:
                self._catch_up(self._sequence, memory)
            elif self._conversation is not None:
                self._feed_tokens(self._conversation.opening(_SYSTEM))
            else:
                self._feed_tokens(chat_tokens(self._model, [Message("system", _SYSTEM)], reply=False))

    def see(self, frame: Frame) -> None:
        """Append the rows of one frame."""
        if self._encoder is None:
            return
        rows = self._encoder(frame)
        with self._lock:
            began = time.perf_counter()
            sequence = self._need()
            sequence.append_rows(rows, logits="none")
            self._remember(sequence, len(rows), frame.pts_ns)
            if isinstance(sequence, SavedSequence):
                sequence.mark = Point(self._video_id, frame.pts_ns).to_mark()
            self._count(self._fed, len(rows), began)

    def note(self, events: Iterable[Event]) -> None:
        """Append one short line per event that has just begun."""
        seen = [event.observation for event in events]
        if seen:
            ids = self._model.tokenize("".join(_note(observation) for observation in seen))
            with self._lock:
                self._feed_tokens(ids)
                self._remember(self._need(), len(ids), seen[0].span.start_ns)

    def improve(self, answer: Answer, memory: Memory) -> Answer:
        """Draft an answer from what ``answer`` cites; keep it only when every claim in it is supported."""
        rows = _cited(answer, memory)[:_SHOWN_ROWS]
        draft, attended = self._draft(answer.question, rows)
        answer = replace(answer, attended=attended)
        unsupported = ungrounded(draft, answer.question, rows, self._vocabulary)
        if unsupported:
            verdict = f"draft refused: {', '.join(unsupported[:3])} not in the evidence"
        elif not draft or not rows:
            verdict = "draft refused: it cites nothing"
        elif not self._speaks:
            verdict = "draft not shown: a demo model describes nothing"
        else:
            return replace(answer, text=draft, calls=(*answer.calls, f"llm:{self._name}: draft supported"))
        return replace(answer, calls=(*answer.calls, f"llm:{self._name}: {verdict}"))

    def stats(self) -> dict[str, Any]:
        """``kv_tokens``, tokens per second of feeding and drafting, and the selection in use."""
        with self._lock:
            kv = self._sequence.kv() if self._sequence is not None else None
        return {
            "kv_tokens": kv.tokens if kv else 0,
            "model": self._name,
            "encoder": getattr(self._encoder, "name", None),
            "selection": kv.selection if kv else None,
            "seen_tokens": kv.seen if kv else 0,
            "fed_tokens": int(self._fed["tokens"]),
            "feed_tokens_per_s": _rate(self._fed),
            "decoded_tokens": int(self._drafted["tokens"]),
            "decode_tokens_per_s": _rate(self._drafted),
        }

    def checkpoint(self) -> None:
        """Bring the session file, if there is one, up to the newest token."""
        with self._lock:
            if self._session_file is not None and isinstance(self._sequence, SavedSequence):
                self._sequence.checkpoint()

    def save(self, path: Path) -> None:
        """Write what the model has seen to a session file; nothing for a backend without such files."""
        with self._lock:
            if not isinstance(self._sequence, SavedSequence):
                return
            self._sequence.save(path)

    def close(self) -> None:
        """Give the KV cache back."""
        with self._lock:
            if self._sequence is not None:
                self._sequence.close()
                self._sequence = None

    def _catch_up(self, sequence: LanguageSequence, memory: Memory) -> None:
        if not isinstance(sequence, SavedSequence) or not sequence.mark:
            return
        seen = Point.of_mark(sequence.mark)
        missed = [
            row
            for video in memory.videos()
            if video.id >= seen.video_id
            for row in memory.rows(video.id)
            if (video.id, row.observation.span.start_ns) > seen
        ]
        lines = "".join(_note(row.observation) for row in missed[-_MISSED_ROWS:])
        if lines:
            self._feed_tokens(self._model.tokenize(lines))

    def _remember(self, sequence: LanguageSequence, tokens: int, pts_ns: int) -> None:
        """The newest ``tokens`` were seen at ``pts_ns``."""
        self._times.add(sequence.length - tokens, sequence.length, pts_ns)
        kv = sequence.kv()
        self._times.forget(kv.seen - kv.tokens)

    def _draft(self, question: str, rows: Sequence[Row]) -> tuple[str, tuple[AttendedSpan, ...]]:
        """What the model says, and the times it attended when it read the question."""
        notes = "\n".join(
            f"{phrasing.clock(row.observation.span.start_ns)} {row.observation.label}" for row in rows
        )
        text = f"Notes:\n{notes}\nQuestion: {question}"
        if self._conversation is not None:
            ids = self._conversation.question(text)
        else:
            ids = chat_tokens(self._model, [Message("user", text)], bos=False)
        with self._lock:
            sequence, times = self._need(), self._times
            seen, notes_reader = sequence.length, sequence.fork()
        with closing(notes_reader):
            if len(ids) > _COUNTED_TOKENS:
                notes_reader.append_tokens(ids[:-_COUNTED_TOKENS], logits="none")
            reader = (
                notes_reader.fork(attended=True)
                if isinstance(notes_reader, CountingSequence)
                else notes_reader.fork()
            )
        attended: tuple[AttendedSpan, ...] = ()
        with closing(reader):
            reader.append_tokens(ids[-_COUNTED_TOKENS:])
            if isinstance(reader, CountingSequence):
                with self._lock:
                    attended = times.spans(reader.attended(), before=seen)
            writer = reader.fork()  # which does not count: generated tokens need not be dearer
        with closing(writer):
            began = time.perf_counter()
            pieces = list(writer.generate(max_tokens=_ANSWER_TOKENS, stop=["\n"]))
            self._count(self._drafted, len(pieces), began)
        return "".join(piece.text for piece in pieces).strip(), attended

    def _feed_tokens(self, ids: Sequence[int]) -> None:
        began = time.perf_counter()
        self._need().append_tokens(ids, logits="none")
        self._count(self._fed, len(ids), began)

    def _need(self) -> LanguageSequence:
        if self._sequence is None:
            raise RuntimeError("begin() starts a video before anything is fed")
        return self._sequence

    @staticmethod
    def _count(counter: dict[str, float], tokens: int, began: float) -> None:
        counter["tokens"] += tokens
        counter["seconds"] += time.perf_counter() - began


def _cited(answer: Answer, memory: Memory) -> list[Row]:
    """Rows that the evidence names, in order of time; faint ones never support a draft."""
    ids = {row_id for evidence in answer.evidence for row_id in evidence.rows}
    found = [row for row_id in ids if (row := memory.row(row_id)) and row.observation.kind in KINDS]
    return sorted(found, key=lambda row: (row.observation.span.start_ns, row.id))


def _note(o: Observation) -> str:
    said = {
        "object": f"{o.label}" + (f" x{o.count}" if o.count > 1 else ""),
        "speech": f'someone says "{o.label}"',
        "text": f'text "{o.label}"',
        "sound": f"sound: {o.label}",
        "cut": "new scene",
    }.get(o.kind, o.label)
    return f"{phrasing.clock(o.span.start_ns)} {said}\n"


def _rate(counter: dict[str, float]) -> float:
    return round(counter["tokens"] / counter["seconds"], 1) if counter["seconds"] > 0 else 0.0
