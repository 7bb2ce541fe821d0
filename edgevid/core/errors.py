"""Errors a user can act on.

Every error carries one clear sentence and, where there is one, the fix; the command line prints
``error: MESSAGE (fix: FIX)`` and exits with ``exit_code``.
"""

from __future__ import annotations

from typing import ClassVar


class EdgevidError(Exception):
    """Base of all errors edgevid raises on purpose.

    Args:
        message: one sentence, no trailing period needed, naming the file or option concerned.
        fix: what the user can do, as a command where possible.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} (fix: {self.fix})" if self.fix else self.message

    def to_json(self) -> dict[str, dict[str, str | None]]:
        """The object printed under ``--json``: ``{"error": {"code", "message", "fix"}}``."""
        return {"error": {"code": self.code, "message": self.message, "fix": self.fix}}


class UsageError(EdgevidError):
    """An option or argument is wrong."""

    code = "usage"
    exit_code = 2


class BadInputError(EdgevidError):
    """A video, audio file or stream cannot be used: missing, empty, truncated, not media, over a limit."""

    code = "bad_input"
    exit_code = 3


class BadModelError(EdgevidError):
    """A model file is malformed, of an unsupported kind, or its hash is wrong."""

    code = "bad_model"
    exit_code = 3


class MissingPartError(EdgevidError):
    """A model pack, Python extra or system program is missing; ``fix`` is the command that installs it."""

    code = "missing_part"
    exit_code = 4


class NetworkError(EdgevidError):
    """A download failed or the network is switched off (``--offline``)."""

    code = "network"
    exit_code = 1


class LimitError(BadInputError):
    """Input is larger than a stated limit (pixels, bytes, duration); the message names limit and value."""

    code = "limit"


class CancelledError(EdgevidError):
    """The caller cancelled or a deadline passed."""

    code = "cancelled"
    exit_code = 130
