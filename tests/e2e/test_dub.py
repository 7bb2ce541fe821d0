"""``edgevid dub`` with every real part: files of all kinds in, a playable file or one clear line out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edgevid.core.errors import MissingPartError
from edgevid.lipsync.apertium import ApertiumTranslator
from edgevid.lipsync.espeak import EspeakVoice
from edgevid.media.encode import VideoWriter
from edgevid.media.source import open_source
from edgevid.models.store import ModelStore

from .conftest import json_lines

Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.packs

_TEXT = "Good morning to all of you. I would like to show you my house. It has a red door."


@pytest.fixture(scope="module", autouse=True)
def parts(store: ModelStore) -> None:
    """All parts are on this machine; else the tests are skipped, saying what to install."""
    for pack in ("moonshine-tiny-en", "silero-vad"):
        store.where(pack)
    try:
        EspeakVoice().close()
        ApertiumTranslator(pairs=[("en", "es")]).close()
    except MissingPartError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def english() -> tuple[np.ndarray[Any, Any], int]:
    """Clear English: samples and rate."""
    voice = EspeakVoice()
    try:
        spoken = voice.speak(_TEXT, language="en-us", rate=0.9)
    finally:
        voice.close()
    return spoken.samples, spoken.rate


def _film(
    path: Path, sound: np.ndarray[Any, Any], rate: int, times_ns: list[int], *, fps: float = 12
) -> Path:
    y, x = np.mgrid[0:96, 0:128]
    picture = np.stack([x, y, x + y], axis=2).astype(np.uint8)
    with VideoWriter(path, width=128, height=96, fps=fps, sample_rate=rate) as writer:
        for index, time_ns in enumerate(times_ns):
            writer.write(np.roll(picture, index, axis=1), pts_ns=time_ns)
        writer.write_audio(sound)
    return path


def _times(seconds: float, fps: float) -> list[int]:
    return [round(n * 1e9 / fps) for n in range(int(seconds * fps))]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory, english: tuple[np.ndarray[Any, Any], int]) -> Path:
    """English over a soft hum, and a second of hum alone before and after."""
    samples, rate = english
    hum = (0.01 * np.sin(2 * np.pi * 180 * np.arange(len(samples) + 2 * rate) / rate)).astype(np.float32)
    hum[rate : rate + len(samples)] += 0.5 * samples
    path = tmp_path_factory.mktemp("talk") / "a talk.mp4"
    return _film(path, hum, rate, _times(len(hum) / rate, 12))


def _sound(path: Path) -> np.ndarray[Any, Any]:
    with open_source(path) as source:
        return np.concatenate([c.samples for c in source.audio(sample_rate=16_000)])


def _pictures(path: Path) -> list[int]:
    with open_source(path) as source:
        return [frame.pts_ns for frame in source.frames()]


def test_a_talk_is_dubbed_with_all_tracks(talk: Path, edgevid: Run, tmp_path: Path) -> None:
    output = tmp_path / "charla.mp4"
    done = edgevid("dub", talk, "--to", "es", "-o", output, "--subtitles", "--keep-original", "--json")
    assert done.returncode == 0, done.stderr
    *clauses, stats = json_lines(done.stdout)
    assert stats["dubbed"] == len(clauses) >= 1
    said = " ".join(clause["text"] for clause in clauses).lower()
    assert "casa" in said and "puerta" in said
    for clause in clauses:
        assert 0 <= clause["start_s"] - clause["source_start_s"] <= 3
    with av.open(str(output)) as container:
        assert "AI-dubbed" in container.metadata["comment"]
        tracks = [(s.type, s.metadata.get("language")) for s in container.streams][1:]
    assert tracks == [("audio", "spa"), ("audio", "eng"), ("subtitle", "spa")]
    assert "puerta" in output.with_suffix(".srt").read_text().lower()
    assert _pictures(output) == pytest.approx(_pictures(talk), abs=1e6)


def test_outside_of_speech_the_sound_is_the_original(talk: Path, edgevid: Run, tmp_path: Path) -> None:
    output = tmp_path / "charla.mp4"
    done = edgevid("dub", talk, "--to", "es", "-o", output)
    assert done.returncode == 0, done.stderr
    before, after = _sound(talk)[1600:9600], _sound(output)[1600:9600]
    assert np.corrcoef(before, after)[0, 1] > 0.98  # both went through a lossy codec
    inside = slice(24_000, 40_000)
    assert abs(np.corrcoef(_sound(talk)[inside], _sound(output)[inside])[0, 1]) < 0.5


def test_a_new_voice_needs_no_translator(talk: Path, edgevid: Run, tmp_path: Path) -> None:
    output = tmp_path / "again.mkv"
    done = edgevid(
        "dub", talk, "--to", "en", "-o", output, "--voice", "f2", "--json", PATH=os.environ["PATH"]
    )
    assert done.returncode == 0, done.stderr
    *clauses, stats = json_lines(done.stdout)
    assert stats["dubbed"] == len(clauses) >= 1
    assert all(clause["text"] == clause["source_text"] for clause in clauses)


def test_without_speech_the_sound_stays(clip: Path, edgevid: Run, tmp_path: Path) -> None:
    output = tmp_path / "tone.mp4"
    done = edgevid("dub", clip, "--to", "es", "-o", output, "--json")
    assert done.returncode == 0, done.stderr
    (stats,) = json_lines(done.stdout)
    assert stats["clauses"] == 0 and "no speech found" in stats["warnings"][0]
    before, after = _sound(clip), _sound(output)
    assert np.corrcoef(before[3200:48_000], after[3200:48_000])[0, 1] > 0.98


@pytest.mark.parametrize("kind", ["8 kHz", "60 fps", "variable", "one second", "pictures end first"])
def test_odd_files(
    kind: str, english: tuple[np.ndarray[Any, Any], int], edgevid: Run, tmp_path: Path
) -> None:
    import soxr

    samples, rate = english
    seconds = len(samples) / rate
    fps = 60.0 if kind == "60 fps" else 12.0
    times = _times(seconds, fps)
    if kind == "8 kHz":
        samples, rate = soxr.resample(samples, rate, 8000), 8000
    elif kind == "variable":
        times = [t for n, t in enumerate(times) if n < 8 or n % 7 in (0, 1)]
    elif kind == "one second":
        samples, times = samples[:rate], _times(1, fps)
    elif kind == "pictures end first":
        times = _times(1, fps)
    source = _film(tmp_path / "odd.mp4", samples, rate, times, fps=fps)
    output = tmp_path / "odd.es.mp4"
    done = edgevid("dub", source, "--to", "es", "-o", output, "--json")
    assert done.returncode == 0, done.stderr
    stats = json_lines(done.stdout)[-1]
    assert stats["frames"] == len(times)
    if kind != "one second":
        assert stats["dubbed"] >= 1
    assert _pictures(output) == pytest.approx(_pictures(source), abs=1e6)
    assert len(_sound(output)) >= len(_sound(source)) - 1600


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--to", "de"], 4, "--to en"),
        (["--to", "zz"], 4, "fix"),
        (["--to", "Spanish"], 2, "language code"),
        (["--to", "es", "--from", "xx"], 4, "fix"),
        (["--to", "es", "-o", "nowhere/out.mp4"], 3, "mkdir"),
        (["--to", "es", "-o", "out.txt"], 2, "use .mp4"),
        (["--to", "es", "--live"], 2, "-o"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    arguments: list[str], code: int, said: str, talk: Path, edgevid: Run, tmp_path: Path
) -> None:
    source = tmp_path / talk.name
    source.write_bytes(talk.read_bytes())
    done = edgevid("dub", source, *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [source]


def test_a_silent_film_is_refused(edgevid: Run, tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with VideoWriter(path, width=64, height=48, fps=10) as writer:
        for _ in range(10):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    done = edgevid("dub", path, "--to", "es")
    assert done.returncode == 3 and "no sound" in done.stderr


def _interrupt_dub(*arguments: str | Path) -> None:
    """Dub until the first clause is told, press Ctrl-C, and see it end as it should."""
    command = [sys.executable, "-m", "edgevid", "dub", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in errors


def test_ctrl_c_leaves_nothing_behind(talk: Path, tmp_path: Path) -> None:
    source = tmp_path / "long.mkv"
    samples = np.tile(_sound(talk), 12)
    _film(source, samples, 16_000, _times(len(samples) / 16_000, 12))
    output = tmp_path / "long.es.mkv"
    _interrupt_dub(source, "--to", "es", "-o", output)
    assert list(tmp_path.iterdir()) == [source]


def test_an_interrupted_live_dub_is_kept(talk: Path, tmp_path: Path) -> None:
    output = tmp_path / "live.mp4"
    _interrupt_dub(talk, "--to", "es", "--live", "-o", output)
    assert list(tmp_path.iterdir()) == [output]
    assert 0 < len(_pictures(output)) <= len(_pictures(talk))


def test_a_killed_voice_costs_nothing(talk: Path) -> None:
    from edgevid.lipsync.flow import DubbedSound
    from edgevid.lipsync.session import DubSession

    with DubSession(talk, target="es") as session:
        voice = session.parts.voice
        assert isinstance(voice, EspeakVoice)
        for pid in voice.pids:
            os.kill(pid, signal.SIGKILL)
        items = [message.payload for message in session]
        stats = session.stats()
    assert stats["dubbed"] == stats["clauses"] >= 1 and voice.restarts == 1
    sound = [item for item in items if isinstance(item, DubbedSound)]
    heard = sum(item.samples.size for item in sound) / sound[0].rate
    assert heard >= len(_sound(talk)) / 16_000 - 0.1


def test_live_from_a_paced_file(talk: Path, edgevid: Run, tmp_path: Path) -> None:
    output, trace = tmp_path / "live.mp4", tmp_path / "trace.json"
    began = time.monotonic()
    done = edgevid("dub", talk, "--to", "es", "--live", "-o", output, "--trace", trace, "--json")
    assert done.returncode == 0, done.stderr
    *clauses, stats = json_lines(done.stdout)
    with open_source(talk) as source:
        assert source.info.duration_s is not None
        assert time.monotonic() - began >= source.info.duration_s - 0.5
    assert stats["dubbed"] == len(clauses) >= 1
    assert all(clause["start_s"] > clause["source_end_s"] for clause in clauses)
    assert len(_sound(output)) >= len(_sound(talk)) - 4800
    assert '"listen"' in trace.read_text()


def test_items_are_typed_and_in_order(talk: Path) -> None:
    from edgevid.lipsync.flow import DubbedFrame
    from edgevid.lipsync.session import DubSession

    with DubSession(talk, target="es") as session:
        times = [message.pts_ns for message in session if isinstance(message.payload, DubbedFrame)]
    assert times == sorted(times) and len(times) == len(_pictures(talk))


@pytest.mark.soak
def test_memory_does_not_grow_with_length(talk: Path, tmp_path: Path) -> None:
    from edgevid.lipsync.session import DubSession

    def resident_mb() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

    samples = np.tile(_sound(talk), 40)
    source = _film(tmp_path / "long.mkv", samples, 16_000, _times(len(samples) / 16_000, 12))
    sizes: list[tuple[float, int]] = []
    with DubSession(source, target="es") as session:
        for message in session:
            if message.seq % 100 == 0:
                sizes.append((message.pts_ns / 1e9, resident_mb()))
    after_a_minute = [size for second, size in sizes if second > 60]
    assert sizes[-1][0] > 200
    assert max(after_a_minute) - after_a_minute[0] < 16
