"""``edgevid dub`` with every real part: files of all kinds in, a playable file or one clear line out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edgevid.lipsync.espeak import EspeakVoice
from edgevid.media.encode import VideoWriter
from edgevid.media.source import open_source

from .conftest import Run, json_lines
from .talks import film, frame_times, pictures_of, sound_of

pytestmark = [pytest.mark.packs, pytest.mark.usefixtures("speech_parts")]


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
    assert pictures_of(output) == pytest.approx(pictures_of(talk), abs=1e6)


def test_outside_of_speech_the_sound_is_the_original(talk: Path, edgevid: Run, tmp_path: Path) -> None:
    output = tmp_path / "charla.mp4"
    done = edgevid("dub", talk, "--to", "es", "-o", output)
    assert done.returncode == 0, done.stderr
    before, after = sound_of(talk)[1600:9600], sound_of(output)[1600:9600]
    assert np.corrcoef(before, after)[0, 1] > 0.98  # both went through a lossy codec
    inside = slice(24_000, 40_000)
    assert abs(np.corrcoef(sound_of(talk)[inside], sound_of(output)[inside])[0, 1]) < 0.5


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
    before, after = sound_of(clip), sound_of(output)
    assert np.corrcoef(before[3200:48_000], after[3200:48_000])[0, 1] > 0.98


@pytest.mark.parametrize("kind", ["8 kHz", "60 fps", "variable", "one second", "pictures end first"])
def test_odd_files(
    kind: str, english: tuple[np.ndarray[Any, Any], int], edgevid: Run, tmp_path: Path
) -> None:
    import soxr

    samples, rate = english
    seconds = len(samples) / rate
    fps = 60.0 if kind == "60 fps" else 12.0
    times = frame_times(seconds, fps)
    if kind == "8 kHz":
        samples, rate = soxr.resample(samples, rate, 8000), 8000
    elif kind == "variable":
        times = [t for n, t in enumerate(times) if n < 8 or n % 7 in (0, 1)]
    elif kind == "one second":
        samples, times = samples[:rate], frame_times(1, fps)
    elif kind == "pictures end first":
        times = frame_times(1, fps)
    source = film(tmp_path / "odd.mp4", samples, rate, times, fps=fps)
    output = tmp_path / "odd.es.mp4"
    done = edgevid("dub", source, "--to", "es", "-o", output, "--json")
    assert done.returncode == 0, done.stderr
    stats = json_lines(done.stdout)[-1]
    assert stats["frames"] == len(times)
    if kind != "one second":
        assert stats["dubbed"] >= 1
    assert pictures_of(output) == pytest.approx(pictures_of(source), abs=1e6)
    assert len(sound_of(output)) >= len(sound_of(source)) - 1600


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
    samples = np.tile(sound_of(talk), 12)
    film(source, samples, 16_000, frame_times(len(samples) / 16_000, 12))
    output = tmp_path / "long.es.mkv"
    _interrupt_dub(source, "--to", "es", "-o", output)
    assert list(tmp_path.iterdir()) == [source]


def test_an_interrupted_live_dub_is_kept(talk: Path, tmp_path: Path) -> None:
    output = tmp_path / "live.mp4"
    _interrupt_dub(talk, "--to", "es", "--live", "-o", output)
    assert list(tmp_path.iterdir()) == [output]
    assert 0 < len(pictures_of(output)) <= len(pictures_of(talk))


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
    assert heard >= len(sound_of(talk)) / 16_000 - 0.1


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
    assert len(sound_of(output)) >= len(sound_of(talk)) - 4800
    assert '"listen"' in trace.read_text()


def test_items_are_typed_and_in_order(talk: Path) -> None:
    from edgevid.lipsync.flow import DubbedFrame
    from edgevid.lipsync.session import DubSession

    with DubSession(talk, target="es") as session:
        times = [message.pts_ns for message in session if isinstance(message.payload, DubbedFrame)]
    assert times == sorted(times) and len(times) == len(pictures_of(talk))


@pytest.mark.soak
def test_memory_does_not_grow_with_length(talk: Path, tmp_path: Path) -> None:
    from edgevid.lipsync.session import DubSession

    def resident_mb() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

    samples = np.tile(sound_of(talk), 40)
    source = film(tmp_path / "long.mkv", samples, 16_000, frame_times(len(samples) / 16_000, 12))
    sizes: list[tuple[float, int]] = []
    with DubSession(source, target="es") as session:
        for message in session:
            if message.seq % 100 == 0:
                sizes.append((message.pts_ns / 1e9, resident_mb()))
    after_a_minute = [size for second, size in sizes if second > 60]
    assert sizes[-1][0] > 200
    assert max(after_a_minute) - after_a_minute[0] < 16
