"""How a pipeline fails."""

from __future__ import annotations

from edgevid.core.errors import EdgevidError


class StageFailedError(EdgevidError):
    """A stage crashed or hung more often than it may; the last crash is the cause."""

    code = "stage_failed"


class StageHungError(Exception):
    """A stage's function did not return in time."""
