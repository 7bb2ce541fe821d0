"""One source being watched for clients: a thread, its journal, its newest frame."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgevid.app.server.journal import Journal
from edgevid.app.server.sources import Allowed
from edgevid.core.errors import EdgevidError
from edgevid.core.nouns import Frame, Kind, Observation
from edgevid.memory.memory import Memory
from edgevid.stream.session import StreamSession

if TYPE_CHECKING:
    from edgevid.media.source import Source
    from edgevid.models.store import ModelStore
    from edgevid.runtime import CpuBudget

Histograms = dict[str, tuple[tuple[int, ...], float]]
State = Literal["loading", "watching", "done", "stopped", "failed"]

_log = logging.getLogger("edgevid.serve")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a client asked to have watched.

    Attributes:
        source: where the pictures come from.
        fps: frames looked at per second.
        channels: kinds to watch for; None = all that can be had.
        start_s, end_s: part of the source.
        live: the newest frame wins; a file is read in real time.
        label: the client's name for it.
    """

    source: Allowed
    fps: float
    channels: tuple[Kind, ...] | None = None
    start_s: float = 0.0
    end_s: float | None = None
    live: bool = False
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """The newest frame that was looked at, and what was seen in it."""

    frame: Frame
    seen: tuple[Observation, ...]


class ServedSession:
    """Watches one open source in a thread of its own, from ``start`` until its end or ``stop``."""

    def __init__(self, plan: Plan, opened: Source, *, events: int) -> None:
        self.id = f"s{secrets.token_hex(6)}"
        self.plan = plan
        self.state: State = "loading"
        self.error: EdgevidError | None = None
        self.video_id: int | None = None
        self.began_s = time.time()
        self.journal = Journal(events)
        self.shown: Shown | None = None
        self.frames = 0
        self._opened = opened
        self._beginning = threading.Lock()
        self._stopping = threading.Event()
        self._stats: dict[str, Any] = {}
        self._histograms: Histograms = {}
        self._stream: StreamSession | None = None
        self._thread = threading.Thread(target=self._run, name=f"edgevid-{self.id}", daemon=True)
        self._options: dict[str, Any] = {}

    @property
    def running(self) -> bool:
        """Whether it loads or watches."""
        return self.state in ("loading", "watching")

    def start(self, *, memory: Memory, store: ModelStore, budget: CpuBudget) -> None:
        """Begin; the thread opens models first."""
        self._options = {"memory": memory, "store": store, "budget": budget}
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end, without waiting; what was seen stays in memory."""
        if not self._stopping.is_set():
            self._stopping.set()
            closing = threading.Thread(target=self._opened.close, name=f"edgevid-{self.id}-end", daemon=True)
            closing.start()  # a live source may take a second

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended within ``timeout_s``."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def stats(self) -> dict[str, Any]:
        """The ``stats`` line of the session, empty until its models are loaded."""
        stream = self._stream
        return stream.stats() if stream is not None else self._stats

    def histograms(self) -> Histograms:
        """Run times of each stage; see ``StreamSession.stage_histograms``."""
        stream = self._stream
        return stream.stage_histograms() if stream is not None else self._histograms

    def to_json(self) -> dict[str, Any]:
        """``{"id", "state", "source", "video_id", ...}``."""
        return {
            "id": self.id,
            "state": self.state,
            "source": self.plan.source.shown,
            "label": self.plan.label,
            "live": self.plan.live,
            "fps": self.plan.fps,
            "video_id": self.video_id,
            "frames": self.frames,
            "duration_s": self._opened.info.duration_s,
            "events": self.journal.written,
            "began": round(self.began_s, 3),
            "error": None if self.error is None else {"code": self.error.code, "message": str(self.error)},
        }

    def _run(self) -> None:
        try:
            self._watch()
            self.state = "stopped" if self._stopping.is_set() else "done"
        except EdgevidError as error:
            self.error, self.state = error, "failed"
        except Exception as error:
            _log.exception("session %s failed", self.id)
            self.error, self.state = EdgevidError(f"watching failed: {type(error).__name__}"), "failed"
        finally:
            self._opened.close()
            self.journal.append("state", self.to_json())
            self.journal.close()
            _give_memory_back()

    def _watch(self) -> None:
        plan = self.plan
        with StreamSession(channels=plan.channels, fps=plan.fps, label=plan.label, **self._options) as stream:
            self._stream = stream
            if self._stopping.is_set():
                return
            events = stream.watch(
                self._opened, start_s=plan.start_s, end_s=plan.end_s, live=plan.live, on_seen=self._see
            )
            try:
                for event in events:
                    self._begin()
                    self.journal.append("event", event.to_json())
                self._begin()
            finally:
                self._stats, self._histograms = stream.stats(), stream.stage_histograms()
                self._stream = None

    def _see(self, frame: Frame, seen: Sequence[Observation]) -> None:
        self._begin()
        self.shown = Shown(frame, tuple(o for o in seen if o.kind != "faint"))
        self.frames += 1

    def _begin(self) -> None:
        """Once the first frame or event shows that the video has its row in memory; from any thread."""
        with self._beginning:
            if self.state == "loading" and self._stream is not None and self._stream.watched:
                self.video_id = self._stream.video_id
                self.state = "watching"
                self.journal.append("state", self.to_json())


def _give_memory_back() -> None:
    """Models hang in cycles of an ended pipeline, and glibc keeps what they leave: 300 MB a session."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # another libc
        ctypes.CDLL(None).malloc_trim(0)
