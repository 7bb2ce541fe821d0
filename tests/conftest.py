"""Fixtures shared by all tests: where test data and model packs are, and a visible skip when they are not."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgevid.core.errors import MissingPartError
from edgevid.models.store import ModelStore

_REPO = Path(__file__).resolve().parent.parent

# A shell lets what it starts in the background ignore Ctrl-C, and so would the programs that are tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder with the real clips (MANIFEST.tsv inside); skips when it is not on this machine."""
    root = Path(os.environ.get("EDGEVID_TEST_DATA", _REPO.parent / "shared" / "data"))
    if not (root / "MANIFEST.tsv").is_file():
        pytest.skip(f"no test data at {root}; set EDGEVID_TEST_DATA")
    return root


class _SkippingStore(ModelStore):
    """Skips a test that asks for a pack that is not pulled, naming the command that pulls it."""

    def where(self, name: str) -> Mapping[str, Path]:
        try:
            return super().where(name)
        except MissingPartError as error:
            pytest.skip(f"{error}; all defaults: edgevid models pull --default")


@pytest.fixture(scope="session")
def store() -> ModelStore:
    """The packs pulled on this machine ($EDGEVID_CACHE or the user's cache)."""
    return _SkippingStore()
