from __future__ import annotations

import pytest

from edgevid.core.errors import BadInputError, MissingPartError
from edgevid.core.nouns import TimeSpan


def test_timespan_refuses_to_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        TimeSpan(2, 1)


def test_timespan_seconds() -> None:
    span = TimeSpan(1_500_000_000, 2_000_000_000)
    assert (span.start_s, span.end_s) == (1.5, 2.0)


def test_error_prints_its_fix_and_serialises() -> None:
    error = MissingPartError("pack 'llm' is not here", fix="edgevid models pull llm")
    assert str(error) == "pack 'llm' is not here (fix: edgevid models pull llm)"
    assert error.to_json() == {
        "error": {
            "code": "missing_part",
            "message": "pack 'llm' is not here",
            "fix": "edgevid models pull llm",
        }
    }
    assert error.exit_code == 4
    assert BadInputError("x").exit_code == 3
