from __future__ import annotations

from pathlib import Path

import pytest

from edgevid.core.errors import MissingPartError
from edgevid.core.nouns import KINDS
from edgevid.models.store import ModelStore
from edgevid.perception.vision import default_channels


def test_channels_without_packs_work_with_nothing_pulled(tmp_path: Path) -> None:
    made = default_channels(ModelStore(tmp_path), channels=("class", "cut", "speech"))
    assert [channel.kind for channel in made] == ["cut", "class"]


@pytest.mark.parametrize(("kind", "pack"), [("object", "centernet-coco"), ("text", "ppocr")])
def test_a_missing_pack_is_named_with_its_fix(tmp_path: Path, kind: str, pack: str) -> None:
    with pytest.raises(MissingPartError) as caught:
        default_channels(ModelStore(tmp_path), channels=(kind,))
    assert pack in f"{caught.value} {caught.value.fix}"
    assert caught.value.fix and "edgevid models pull" in caught.value.fix


@pytest.mark.packs
def test_all_four_by_default(store: ModelStore) -> None:
    assert {channel.kind for channel in default_channels(store)} == set(KINDS) - {"speech", "sound"}
