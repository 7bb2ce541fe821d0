"""Several channels read as one, in order of presentation time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from edgevid.runtime.channel import Channel, Closed
from edgevid.runtime.message import Message, now_ns

_FOREVER = float("inf")


class PtsMerge:
    """Gives the message with the smallest ``pts_ns`` at the heads of its channels; of equals, that of the
    earlier channel.

    A message is given when every other channel has a head too, or has ended, so the order is right. But it
    waits no longer than ``wait_s`` for a channel that says nothing; what comes from there later still is
    given late, not lost.

    Args:
        channels: all made with the same ``condition``.
        wait_s: from a message's entering its channel.
    """

    def __init__(
        self, channels: Sequence[Channel[Any]], condition: threading.Condition, *, wait_s: float
    ) -> None:
        self._channels = tuple(channels)
        self._condition = condition
        self._wait_ns = int(wait_s * 1e9)

    def take(self, timeout_s: float | None = None) -> tuple[Message[Any], int] | None:
        """See ``Channel.take``."""
        until_ns = None if timeout_s is None else now_ns() + int(timeout_s * 1e9)
        with self._condition:
            while (patience_s := self._patience_s()) > 0:
                left_s = _FOREVER if until_ns is None else (until_ns - now_ns()) / 1e9
                if left_s <= 0:
                    return None
                wait_s = min(patience_s, left_s)
                self._condition.wait(None if wait_s == _FOREVER else wait_s)
            heads = [(head[0].pts_ns, n) for n, c in enumerate(self._channels) if (head := c.head())]
            if heads:
                return self._channels[min(heads)[1]].take_now()
            if all(channel.ended for channel in self._channels):
                raise Closed("merge")
            return None  # the only message has just expired

    def _patience_s(self) -> float:
        """How long the reader must still wait for a message, if none comes."""
        heads = [channel.head() for channel in self._channels]
        if all(head or channel.ended for head, channel in zip(heads, self._channels)):
            return 0.0
        queued_ns = [head[1] for head in heads if head]
        return (min(queued_ns) + self._wait_ns - now_ns()) / 1e9 if queued_ns else _FOREVER
