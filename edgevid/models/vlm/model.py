"""``VlmModel``: a user's own video language model as one object that watches and answers."""

from __future__ import annotations

import os
from pathlib import Path

from edgevid.core.errors import BadModelError
from edgevid.core.kv_config import KVConfig
from edgevid.models.native_llm import NativeLanguageModel
from edgevid.models.session import onnx_session
from edgevid.models.vlm.conversion import VlmFiles, convert_checkpoint, convert_mmproj
from edgevid.models.vlm.encoder import FrameEncoder, FrameRows, VisionPart
from edgevid.models.vlm.prompt import Conversation


class VlmModel(NativeLanguageModel):
    """A text model on the native decoder with the eyes it was trained with.

    ``StreamSession(model=VlmModel.open(...))`` feeds its ``encoder`` with frames and speaks to it by its
    ``conversation``.

    Attributes:
        vision: a picture -> rows of the text model.
        encoder: a frame -> its rows between the family's marks.
        name: how answers and statistics call it.

    Raises:
        BadModelError: the halves do not fit together, or a file cannot be loaded.
    """

    def __init__(
        self,
        files: VlmFiles,
        *,
        name: str = "vlm",
        rows: FrameRows = "full",
        kv: KVConfig | None = None,
        kv_tokens: int = 0,
        threads: int = 0,
        exact: bool = False,
    ) -> None:
        super().__init__(files.text, kv=kv, kv_tokens=kv_tokens, threads=threads, exact=exact)
        if files.hidden != self.config.hidden:
            raise BadModelError(
                f"{files.vision}: its rows are {files.hidden} wide, {files.text} takes {self.config.hidden}",
                fix="use the mmproj that was made with this text model",
            )
        session = onnx_session(files.vision, threads=self.threads, name="vision tower")
        self.vision = VisionPart(session, files.recipe, files.rows, files.square)
        self.name = name
        self.conversation = Conversation(self, files.family)
        self.encoder = FrameEncoder(self.vision, self, self.conversation, keep=rows)

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        mmproj: Path | str | None = None,
        cache: Path | None = None,
        rows: FrameRows = "full",
        kv: KVConfig | None = None,
        kv_tokens: int = 0,
        threads: int = 0,
        exact: bool = False,
    ) -> VlmModel:
        """Open a Hugging Face folder, or a text GGUF with its ``mmproj``; the first time, it is converted.

        Args:
            cache: where to keep what was converted; by default $EDGEVID_CACHE, else the user's cache.
            rows: "pooled" feeds 10 rows a frame in place of all (see ``encoder.pooled``).
            kv, kv_tokens, threads, exact: as in ``NativeLanguageModel``.

        Raises:
            BadModelError: incomplete, malformed or of a family that is not known; the message names what.
            MissingPartError: a package that conversion needs is not installed.
            EdgevidError: the cache cannot be written.
        """
        cache = cache or _default_cache()
        if mmproj is not None:
            files = convert_mmproj(Path(path), Path(mmproj), cache)
        else:
            files = convert_checkpoint(Path(path), cache)
        return cls(files, name=str(path), rows=rows, kv=kv, kv_tokens=kv_tokens, threads=threads, exact=exact)


def _default_cache() -> Path:
    if cache := os.environ.get("EDGEVID_CACHE"):
        return Path(cache).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgevid"
