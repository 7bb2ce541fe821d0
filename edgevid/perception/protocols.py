"""The two shapes of a perception channel. A channel turns frames or sound into rows of the timeline."""

from __future__ import annotations

from typing import Protocol

from edgevid.core.nouns import AudioChunk, Frame, Kind, Observation


class VisualChannel(Protocol):
    """Looks at one sampled frame at a time, in order of ``pts_ns``; may remember earlier frames.

    Not thread-safe: one channel belongs to one stream.
    """

    @property
    def kind(self) -> Kind: ...

    @property
    def model_id(self) -> str:
        """The pack (or the algorithm, when there is no model) that makes the observations."""
        ...

    def observe(self, frame: Frame, *, period_ns: int) -> list[Observation]:
        """What is seen in ``frame``; each observation spans ``[pts_ns, pts_ns + period_ns)``.

        Args:
            frame: the picture; its ``wall_ns`` is copied to the observations.
            period_ns: time until the next sampled frame.
        """
        ...

    def reset(self) -> None:
        """Another stream begins: forget the frames of this one."""
        ...


class AudioChannel(Protocol):
    """Listens to consecutive chunks of one stream; a result may come some chunks after its sound."""

    @property
    def kind(self) -> Kind: ...

    @property
    def model_id(self) -> str:
        """The pack that makes the observations."""
        ...

    def push(self, chunk: AudioChunk) -> list[Observation]:
        """Take the next chunk; return what has become certain since the last call."""
        ...

    def flush(self) -> list[Observation]:
        """The stream ended: return what was still pending and forget it."""
        ...
