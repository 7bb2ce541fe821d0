"""The extension module ``edgevid._native``, and its errors in the words of the models room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from edgevid.core.errors import BadInputError, BadModelError, LimitError, MissingPartError, UsageError


def native_library() -> ModuleType:
    """The extension module; ``MissingPartError`` when it is not built."""
    try:
        return import_module("edgevid._native")
    except ImportError as error:
        raise MissingPartError(
            f"edgevid's native library cannot be loaded: {error}", fix="pip install . in the source tree"
        ) from error


@contextmanager
def native_errors(prefix: str = "") -> Iterator[None]:
    """Translate what the extension raises; ``prefix`` names the file concerned, where it does not itself."""

    def said(error: Exception) -> str:
        return str(error) if str(error).startswith(prefix) else f"{prefix}{error}"

    try:
        yield
    except ValueError as error:
        raise UsageError(said(error)) from error
    except MemoryError as error:
        raise LimitError(said(error), fix="close sequences, or raise kv_tokens=") from error
    except OSError as error:
        raise BadModelError(said(error), fix="check the path and its permissions") from error
    except (BadModelError, MissingPartError) as error:  # malformed, of another kind
        raise BadModelError(said(error), fix="get the file again, or one of a supported kind") from error


@contextmanager
def session_errors() -> Iterator[None]:
    """The same for what may read or write a session file, which is input and no model."""
    try:
        with native_errors():
            yield
    except BadModelError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError | BadModelError):
            raise
        raise BadInputError(error.message, fix="name another session file, or free its disk") from cause
