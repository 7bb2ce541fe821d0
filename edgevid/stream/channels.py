"""Which channels a session runs: those asked for, or all that this machine can have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from edgevid.core.errors import MissingPartError
from edgevid.core.nouns import KINDS, Kind

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore
    from edgevid.perception.protocols import AudioChannel, VisualChannel


def choose(store: ModelStore, wanted: Iterable[Kind] | None) -> tuple[tuple[Kind, ...], list[str]]:
    """The kinds to watch for, and a warning for each that is left out.

    Named kinds are taken as they are. By default a kind is left out only when its pack comes over a channel
    that is off here (npm is not installed, say); one that merely was not pulled is an error when it loads.
    """
    if wanted is not None:
        return tuple(wanted), []
    kept: list[Kind] = []
    warnings = []
    for kind in KINDS:
        problem = store.status(_pack_of(kind)).problem if kind != "cut" else None
        if problem is None:
            kept.append(kind)
        else:
            warnings.append(f"not watching for {kind}: {problem}")
    return tuple(kept), warnings


def visual(store: ModelStore, threads: int, kinds: tuple[Kind, ...]) -> Sequence[VisualChannel]:
    """The visual channels among ``kinds``, loaded; MissingPartError when packs were not pulled."""
    _require(store, kinds)
    if not set(kinds) & {"object", "class", "text", "cut"}:
        return ()
    from edgevid.perception import vision

    return vision.default_channels(store, threads=threads, channels=kinds)


def audio(store: ModelStore, kinds: tuple[Kind, ...]) -> Sequence[AudioChannel]:
    """The audio channels among ``kinds``, loaded; one thread, for the ear works beside the eye.

    Errors as for ``visual``.
    """
    _require(store, kinds)
    if not set(kinds) & {"speech", "sound"}:
        return ()
    from edgevid.perception import audio as hearing

    return hearing.default_channels(store, threads=1, channels=kinds)


def _require(store: ModelStore, kinds: tuple[Kind, ...]) -> None:
    """Name all packs that are missing at once, where each channel would name its own."""
    packs = [_pack_of(kind) for kind in kinds if kind != "cut"]
    missing = [pack for pack in packs if not store.status(pack).installed]
    if len(missing) > 1:
        raise MissingPartError(
            f"model packs {', '.join(missing)} are not installed", fix="edgevid models pull --default"
        )


def _pack_of(kind: Kind) -> str:
    from edgevid.perception import classes, objects, text
    from edgevid.perception.audio import SOUND_PACK, SPEECH_PACK

    packs = {"object": objects.PACK, "class": classes.PACK, "text": text.PACK}
    return {**packs, "speech": SPEECH_PACK, "sound": SOUND_PACK}[kind]
