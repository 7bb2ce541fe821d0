"""Errors of the extension module in the words of the models room."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevid.core.errors import BadModelError
from edgevid.models.native_llm import NativeLanguageModel


@pytest.mark.parametrize("data", [b"", b"GGUF", b"no model at all"])
def test_a_bad_file_is_named_once_with_a_fix(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    with pytest.raises(BadModelError) as caught:
        NativeLanguageModel(path)
    assert caught.value.message.count("bad.gguf") == 1
    assert caught.value.fix
