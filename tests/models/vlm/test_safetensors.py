"""The reader against the safetensors package, and against files that lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgevid.core.errors import BadModelError
from edgevid.models.vlm.safetensors import SafetensorsFile, widened

ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def written(path: Path, header: Any, data: bytes = bytes(24), *, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def test_reads_what_the_package_wrote(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    torch.manual_seed(0)
    made = {f"t{i}": torch.randn(3, 5).to(kind) for i, kind in enumerate((torch.float32, torch.float16))}
    made["b"] = torch.randn(7, 2).bfloat16()
    made["none"] = torch.zeros(0, 4)
    save_file(made, tmp_path / "m.safetensors")
    file = SafetensorsFile(tmp_path / "m.safetensors")
    assert set(file) == set(made)
    for name, tensor in made.items():
        np.testing.assert_array_equal(widened(file.raw(name)), tensor.float().numpy())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dtype": "F4"}, "unknown type F4"),
        ({"dtype": None}, "unknown type None"),
        ({"shape": [2, -3]}, "not lists of whole numbers"),
        ({"shape": [2, True]}, "not lists of whole numbers"),
        ({"shape": [1 << 40, 1 << 40]}, "takes 24 bytes"),
        ({"shape": [2, 4]}, r"F32 \[2, 4\] but takes 24 bytes"),
        ({"data_offsets": [0]}, "not lists"),
        ({"data_offsets": [24, 0]}, "takes -24 bytes"),
        ({"data_offsets": [8, 32]}, "behind the end of the file"),
    ],
)
def test_an_entry_that_lies_is_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = written(tmp_path / "m.safetensors", {"a": {**ENTRY, **change}})
    with pytest.raises(BadModelError, match=said):
        SafetensorsFile(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    for bad in (b"", b"12345678", bytes(100), b"\xff" * 100):
        path.write_bytes(bad)
        with pytest.raises(BadModelError, match="cut short or no safetensors file"):
            SafetensorsFile(path)
    for header, said in ((b"[]", "not a JSON object"), (b"{,}", "not JSON"), ({"a": 5}, "not an object")):
        with pytest.raises(BadModelError, match=said):
            SafetensorsFile(written(path, header))
    with pytest.raises(BadModelError, match="No such file"):
        SafetensorsFile(tmp_path / "other.safetensors")
    counts = {"a": {"dtype": "I64", "shape": [3], "data_offsets": [0, 24]}}
    with pytest.raises(BadModelError, match="not a floating-point tensor"):
        SafetensorsFile(written(path, counts)).raw("a")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_does_more_than_raise(data: st.DataObject, tmp_path: Path) -> None:
    path = written(tmp_path / "m.safetensors", {"a": ENTRY, "__metadata__": {"format": "pt"}})
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        file = SafetensorsFile(path)
        for name in file:
            assert file.raw(name).size >= 0
    except BadModelError as error:
        assert str(path) in str(error) and "\n" not in str(error)
