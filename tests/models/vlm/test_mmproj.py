"""A GGUF pair sees what the checkpoint it came from sees, and what llama.cpp sees.

Measured against llama.cpp (llama-cpp-python 0.3.36): at most 1.8e-3 in rows of size 5.5; it rounds
activations of the tower to float16 and takes its GELU from a table. Its CLIP towers are left out: that
version puts the class token behind the patches and then drops the first patch in its place; transformers'
order is followed here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.core.errors import BadModelError
from edgevid.models.vlm.conversion import convert_checkpoint
from edgevid.models.vlm.mmproj import MmprojFile
from edgevid.models.vlm.model import VlmModel

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "idefics3": ("smolvlm", {}),
    "clip": ("llava", {"text": "qwen2"}),
    "siglip": ("llava", {"text": "qwen2", "tower": "siglip"}),
}
LLAMA_CPP_WITHIN = 1e-2


def opened(
    case: str, checkpoint: Any, tmp_path: Path, **options: Any
) -> tuple[VlmModel, VlmModel, Path, Path]:
    """The checkpoint, its GGUF pair, and the pair's files."""
    from tests.models.vlm.mmproj_files import write_mmproj

    kind, made = CASES[case]
    folder, _ = checkpoint(kind, **made)
    text = convert_checkpoint(folder, tmp_path).text
    mmproj, _ = write_mmproj(tmp_path / "mmproj.gguf", folder, **options)
    pair = VlmModel.open(text, mmproj=mmproj, cache=tmp_path, threads=1, exact=True)
    return VlmModel.open(folder, cache=tmp_path, threads=1, exact=True), pair, text, mmproj


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_pair_sees_what_its_checkpoint_sees(
    case: str, swapped: bool, checkpoint: Any, picture: Any, tmp_path: Path
) -> None:
    whole, pair, _, _ = opened(case, checkpoint, tmp_path, swapped=swapped)
    (expected,) = whole.vision.session.run({"pixels": pair.vision.recipe(picture)})
    np.testing.assert_allclose(pair.vision(picture), expected, atol=1e-6)
    assert pair.conversation.question("Why?") == whole.conversation.question("Why?")


@pytest.mark.parametrize("case", ["idefics3", "siglip"])
def test_a_pair_sees_what_llama_cpp_sees(case: str, checkpoint: Any, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp.mtmd_cpp", reason="pip install 'edgevid[vlm]'")
    from tests.models.vlm.mtmd_rows import mtmd_rows

    _, pair, text, mmproj = opened(case, checkpoint, tmp_path)
    side = pair.vision.recipe.side
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    ours = pair.vision(noise)
    theirs = mtmd_rows(text, mmproj, noise, pair.config.hidden)[-1]
    assert np.abs(ours - theirs).max() < LLAMA_CPP_WITHIN < np.abs(ours).max() / 100


def test_files_that_do_not_fit(checkpoint: Any, tmp_path: Path) -> None:
    from tests.models.tiny_gguf import TinyModel, write_tiny
    from tests.models.vlm.mmproj_files import write_mmproj

    folder, _ = checkpoint("smolvlm")
    mmproj, _ = write_mmproj(tmp_path / "m.gguf", folder)
    text = write_tiny(tmp_path / "text.gguf", TinyModel(hidden=128))
    with pytest.raises(BadModelError, match=r"rows are 64 wide, .*text\.gguf takes 128"):
        VlmModel.open(text, mmproj=mmproj, cache=tmp_path)
    with pytest.raises(BadModelError, match="no such mmproj file"):
        VlmModel.open(text, mmproj=tmp_path / "none.gguf", cache=tmp_path)
    with pytest.raises(BadModelError, match=r"general\.architecture is not clip"):
        MmprojFile(text)
    other, _ = write_mmproj(tmp_path / "o.gguf", folder, projector="resampler")
    with pytest.raises(BadModelError, match="projector_type is resampler; known are idefics3, mlp"):
        MmprojFile(other)
    odd, _ = write_mmproj(tmp_path / "h.gguf", folder, heads=7)
    with pytest.raises(BadModelError, match="7 heads do not divide its width of 48"):
        VlmModel.open(text, mmproj=odd, cache=tmp_path)
    assert not list((tmp_path / "vlm").glob(".part-*"))
    torn = tmp_path / "torn.gguf"
    whole = mmproj.read_bytes()
    for length in (0, 3, 40, 500, len(whole) // 2, len(whole) - 1):
        torn.write_bytes(whole[:length])
        with pytest.raises(BadModelError, match=r"torn\.gguf"):
            MmprojFile(torn)
    for text in (b"clip.use_gelu", b"v.patch_embd.weight", b"idefics3"):  # a key, a tensor, a value
        torn.write_bytes(whole.replace(text, b"\xff" + text[1:]))
        with pytest.raises(BadModelError, match=r"torn\.gguf: .*utf-8") as caught:
            MmprojFile(torn)
        assert caught.value.fix
