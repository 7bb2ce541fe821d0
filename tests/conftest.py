"""Fixtures shared by all tests: where test data and model packs are, and a visible skip when they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgevid.models.store import ModelStore

_REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder with the real clips (MANIFEST.tsv inside); skips when it is not on this machine."""
    root = Path(os.environ.get("EDGEVID_TEST_DATA", _REPO.parent / "shared" / "data"))
    if not (root / "MANIFEST.tsv").is_file():
        pytest.skip(f"no test data at {root}; set EDGEVID_TEST_DATA")
    return root


@pytest.fixture(scope="session")
def store() -> ModelStore:
    """The model store ($EDGEVID_CACHE) with the default packs; skips when one is not pulled."""
    found = ModelStore()
    missing = [s.pack.name for s in found.list() if s.pack.default and not s.installed]
    if missing:
        pytest.skip(f"model packs not pulled: {', '.join(missing)}; edgevid models pull --default")
    return found
