"""The audio channels edgevid listens with by default."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from edgevid.core.nouns import KINDS, Kind

if TYPE_CHECKING:
    from edgevid.models.store import ModelStore
    from edgevid.perception.protocols import AudioChannel
    from edgevid.perception.sounds import SoundChannel
    from edgevid.perception.speech import SpeechChannel

SPEECH_PACK = "moonshine-tiny-en"
VOICE_PACK = "silero-vad"
SOUND_PACK = "yamnet"


def default_channels(
    store: ModelStore, *, threads: int = 1, channels: Collection[Kind] = KINDS
) -> list[AudioChannel]:
    """The audio channels among ``channels``, their models loaded.

    Raises:
        MissingPartError: a pack is not installed; ``fix`` installs it.
        BadModelError: a file of a pack is not the pinned one.
    """
    made: list[AudioChannel] = []
    if "speech" in channels:
        made.append(speech_channel(store, threads=threads))
    if "sound" in channels:
        made.append(sound_channel(store, threads=threads))
    return made


def speech_channel(store: ModelStore, *, threads: int = 1, pack: str = SPEECH_PACK) -> SpeechChannel:
    """Speech by a Moonshine ``pack``; ``moonshine-base-en`` hears a little better at 20 times the cost."""
    from edgevid.models.session import onnx_session
    from edgevid.perception.moonshine import Moonshine, read_vocabulary
    from edgevid.perception.speech import SpeechChannel
    from edgevid.perception.vad import SileroVad

    files, voice = store.where(pack), store.where(VOICE_PACK)
    recogniser = Moonshine(
        onnx_session(files["encoder.ort"], threads=threads),
        onnx_session(files["decoder.ort"], threads=threads),
        read_vocabulary(files["tokenizer.bin"]),
    )
    return SpeechChannel(recogniser, SileroVad(onnx_session(voice["model.onnx"])), model_id=pack)


def sound_channel(store: ModelStore, *, threads: int = 1) -> SoundChannel:
    """Sounds by YAMNet."""
    from edgevid.models.session import onnx_session
    from edgevid.perception.sounds import SoundChannel
    from edgevid.perception.yamnet import Yamnet, read_class_names

    files = store.where(SOUND_PACK)
    tagger = Yamnet(onnx_session(files["model.onnx"], threads=threads))
    return SoundChannel(tagger, read_class_names(files["classes.csv"]), model_id=SOUND_PACK)
