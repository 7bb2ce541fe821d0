"""GGUF files written by the gguf package, read and refused through gguf_info."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Q
from gguf import GGUFEndian, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgevid.core.errors import BadModelError

native = pytest.importorskip("edgevid._native")


def write_model(path: Path, *, endian: GGUFEndian = GGUFEndian.LITTLE) -> Path:
    writer = GGUFWriter(path, "llama", endianess=endian)
    writer.add_name("tiny é")
    writer.add_context_length(128)
    writer.add_array("numbers", [1, 2, 3])
    writer.add_array("words", ["a", "", "été"])
    writer.add_bool("flag", True)
    writer.add_float64("pi", 3.25)
    writer.add_tensor("vector", np.arange(5, dtype=np.float32))
    writer.add_tensor("half", np.ones((3, 4), dtype=np.float16))
    writer.add_tensor("blocks", np.zeros((2, 34), dtype=np.uint8), raw_dtype=Q.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_model(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


def read(tmp: Path, data: bytes) -> dict[str, object]:
    path = tmp / "model.gguf"
    path.write_bytes(data)
    info: dict[str, object] = native.gguf_info(str(path))
    return info


def test_reads_what_the_gguf_package_writes(tmp_path: Path, model: bytes) -> None:
    assert read(tmp_path, model) == {
        "version": 3,
        "bytes": len(model),
        "architecture": "llama",
        "name": "tiny é",
        "context_length": 128,
        "tensors": 3,
        "types": {"F32": 1, "F16": 1, "Q8_0": 1},
    }


def test_a_file_without_metadata_has_no_names(tmp_path: Path) -> None:
    info = read(tmp_path, b"GGUF" + (3).to_bytes(4, "little") + bytes(16))
    assert (info["architecture"], info["name"], info["context_length"], info["tensors"]) == (
        None,
        None,
        None,
        0,
    )


def test_the_sample_of_another_byte_order_is_named(tmp_path: Path) -> None:
    path = write_model(tmp_path / "big.gguf", endian=GGUFEndian.BIG)
    with pytest.raises(BadModelError, match=r"big\.gguf: a big-endian GGUF file"):
        native.gguf_info(str(path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"GG", "not a GGUF file"),
        (b"PK\x03\x04" * 100, "not a GGUF file"),
        (b"GGUF\x01\0\0\0" + bytes(16), "GGUF version 1; versions 2 and 3 are read"),
        (b"GGUF\x03\0\0\0" + b"\xff" * 16, "over the limit"),
        (b"GGUF\x03\0\0\0" + (1000).to_bytes(8, "little") * 2, "truncated"),
    ],
)
def test_refusals(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(BadModelError, match=message):
        read(tmp_path, data)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        native.gguf_info(str(tmp_path / "absent.gguf"))
    with pytest.raises(BadModelError, match="not a regular file"):
        native.gguf_info(str(tmp_path))


def test_truncation_names_expected_and_actual_bytes(tmp_path: Path, model: bytes) -> None:
    with pytest.raises(BadModelError, match=rf"but the file has {len(model) - 60} bytes"):
        read(tmp_path, model[:-60])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_read_or_refused(tmp_path: Path, model: bytes, data: st.DataObject) -> None:
    damaged = bytearray(model)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        change = data.draw(st.sampled_from(("set", "insert", "delete", "cut", "large")))
        if change == "set":
            damaged[at] = data.draw(st.integers(0, 255))
        elif change == "insert":
            damaged[at:at] = data.draw(st.binary(min_size=1, max_size=9))
        elif change == "delete":
            del damaged[at : at + data.draw(st.integers(1, 16))]
        elif change == "cut":
            del damaged[at + 1 :]
        else:
            damaged[at : at + 8] = data.draw(st.sampled_from((2**63, 2**64 - 1, 2**32, 1 << 40))).to_bytes(
                8, "little"
            )
        if not damaged:
            return
    try:
        info = read(tmp_path, bytes(damaged))
    except BadModelError as error:
        assert "\n" not in str(error)
    else:
        assert info["bytes"] == len(damaged)
