from __future__ import annotations

from pathlib import Path

import pytest

from edgevid.core.errors import MissingPartError
from edgevid.core.nouns import KINDS
from edgevid.models.store import ModelStore
from edgevid.stream.channels import choose


def test_named_kinds_are_taken_as_they_are(tmp_path: Path) -> None:
    assert choose(ModelStore(tmp_path), ["object", "cut"]) == (("object", "cut"), [])


def test_without_npm_objects_are_left_out_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    kinds, warnings = choose(ModelStore(tmp_path), None)
    assert kinds == tuple(kind for kind in KINDS if kind != "object")
    (warning,) = warnings
    assert "not watching for object" in warning
    assert "npm" in warning


def test_a_pack_that_was_only_not_pulled_is_an_error_that_names_the_command(tmp_path: Path) -> None:
    from edgevid.stream.session import StreamSession

    with pytest.raises(
        MissingPartError, match=r"packs centernet-coco, ppocr, .*edgevid models pull --default"
    ):
        StreamSession(store=ModelStore(tmp_path))
    with pytest.raises(MissingPartError, match=r"pack ppocr .*edgevid models pull ppocr"):
        StreamSession(store=ModelStore(tmp_path), channels=("text", "cut"))
