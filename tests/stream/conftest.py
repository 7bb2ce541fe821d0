from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgevid.memory.memory import Memory


@pytest.fixture
def memory() -> Iterator[Memory]:
    """An empty memory in RAM."""
    with Memory() as opened:
        yield opened
