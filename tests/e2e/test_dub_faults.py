"""Dubs where something is wrong, in the source or on the machine: sound is never lost, files always play."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevid.lipsync.file import write_dub
from edgevid.lipsync.session import DubSession
from edgevid.media.encode import VideoWriter
from edgevid.media.source import open_source
from edgevid.models.store import ModelStore

from .conftest import Run, json_lines
from .talks import film, frame_times, pictures_of, sound_of, spoken

Floats = np.ndarray[Any, Any]

pytestmark = [pytest.mark.packs, pytest.mark.usefixtures("speech_parts")]


def _similar(before: Floats, after: Floats) -> float:
    size = min(before.size, after.size)
    return float(np.corrcoef(before[:size], after[:size])[0, 1])


def _as_long(output: Path, source: Path) -> None:
    """``output`` decodes to the end, and has all pictures and all sound of ``source``."""
    assert pictures_of(output) == pytest.approx(pictures_of(source), abs=1e6)
    assert sound_of(output).size >= sound_of(source).size - 1600


def _music(seconds: float, rate: int) -> Floats:
    """Plucked strings in four chords and a drum twice a second."""
    random = np.random.default_rng(5)
    t = np.arange(int(seconds * rate)) / rate
    beat = t % 0.5
    chords = np.array([[262, 330, 392], [220, 262, 330], [175, 220, 262], [196, 247, 294]])
    which = chords[(t // 2).astype(int) % 4]
    strings = sum(np.sin(2 * np.pi * which[:, n] * h * t) / h for n in range(3) for h in (1, 2, 3))
    drum = random.normal(size=t.size) * np.exp(-beat * 40)
    return (0.04 * strings * np.exp(-beat * 3) + 0.08 * drum).astype(np.float32)


def test_music_stays_as_it_is(edgevid: Run, tmp_path: Path) -> None:
    source = film(tmp_path / "music.mp4", _music(6, 16_000), 16_000, frame_times(6, 12))
    output = tmp_path / "music.es.mp4"
    done = edgevid("dub", source, "--to", "es", "-o", output, "--json")
    assert done.returncode == 0, done.stderr
    stats = json_lines(done.stdout)[-1]
    assert stats["dubbed"] == 0
    _as_long(output, source)
    assert _similar(sound_of(source), sound_of(output)) > 0.95  # both went through a lossy codec


def test_two_voices_are_both_dubbed(edgevid: Run, tmp_path: Path) -> None:
    first, rate = spoken("Where did you put the keys of the house?", variant="m3")
    second, _ = spoken("I have left them on the kitchen table.", variant="f2")
    pause = np.zeros(rate, np.float32)
    sound = np.concatenate([pause, first, pause, second, pause]) * 0.6
    source = film(tmp_path / "two.mp4", sound, rate, frame_times(len(sound) / rate, 12))
    output = tmp_path / "two.es.mp4"
    done = edgevid("dub", source, "--to", "es", "-o", output, "--json")
    assert done.returncode == 0, done.stderr
    *clauses, stats = json_lines(done.stdout)
    assert stats["dubbed"] == len(clauses) >= 2
    between_s = (rate + len(first)) / rate
    assert any(c["source_start_s"] < between_s for c in clauses)
    assert any(c["source_start_s"] > between_s for c in clauses)
    _as_long(output, source)


def test_of_two_faces_none_is_drawn(store: ModelStore, test_data: Path, edgevid: Run, tmp_path: Path) -> None:
    for pack in ("blazeface", "face-mesh"):
        store.where(pack)
    with open_source(test_data / "talking" / "grid_bbaf2n.mpg") as clip:
        frames = list(clip.frames())
        sound = np.concatenate([chunk.samples for chunk in clip.audio(sample_rate=16_000)])
    height, width = frames[0].image.shape[:2]
    source, output = tmp_path / "two.mp4", tmp_path / "two.es.mp4"
    with VideoWriter(source, width=2 * width, height=height, fps=25, sample_rate=16_000) as writer:
        for frame in frames:
            writer.write(np.concatenate([frame.image, frame.image], axis=1), pts_ns=frame.pts_ns)
        writer.write_audio(sound)
    done = edgevid("dub", source, "--to", "es", "-o", output, "--json")
    assert done.returncode == 0, done.stderr
    stats = json_lines(done.stdout)[-1]
    assert stats["frames_drawn"] == 0
    assert stats["frames_untouched"]["several faces"] > 10
    _as_long(output, source)


@contextmanager
def _killing(part: Any) -> Iterator[None]:
    """Kill each process of ``part`` as soon as it is seen."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.002):
            for pid in part.pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill, name="test killer")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("name", ["translator", "voice"])
def test_a_part_that_always_dies_leaves_the_original(name: str, talk: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with DubSession(talk, target="es") as session:
        part = getattr(session.parts, name)
        with _killing(part):
            write_dub(session, output)
        stats = session.stats()
        assert part.restarts >= 2
    assert stats["failed"] >= 1 and stats["failed"] + stats["dubbed"] == stats["clauses"]
    assert any("left as it was" in warning for warning in stats["warnings"])
    _as_long(output, talk)
    if not stats["dubbed"]:
        assert _similar(sound_of(talk), sound_of(output)) > 0.95


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
@pytest.mark.parametrize("name", ["translator", "voice"])
def test_a_part_killed_once_costs_nothing(name: str, live: bool, talk: Path) -> None:
    from edgevid.lipsync.flow import DubbedSound

    heard = rate = 0
    with DubSession(talk, target="es", live=live) as session:
        part = getattr(session.parts, name)
        for pid in part.pids:
            os.kill(pid, signal.SIGKILL)
        for message in session:
            if isinstance(message.payload, DubbedSound):
                heard, rate = heard + message.payload.samples.size, message.payload.rate
        stats = session.stats()
        assert part.restarts >= 1
    assert stats["dubbed"] == stats["clauses"] >= 1 and stats["failed"] == 0
    assert heard / rate >= sound_of(talk).size / 16_000 - 0.1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_a_signal_before_the_first_clause(
    live: bool, number: signal.Signals, talk: Path, tmp_path: Path
) -> None:
    source = tmp_path / "long.mkv"
    samples = np.tile(sound_of(talk), 12)
    film(source, samples, 16_000, frame_times(len(samples) / 16_000, 12))
    output, trace = tmp_path / "out.mp4", tmp_path / "trace.json"
    command = [sys.executable, "-X", "importtime", "-m", "edgevid", "dub", source, "--to", "es", "-o", output]
    process = subprocess.Popen(
        [*map(str, command), *(["--live"] if live else []), "--trace", str(trace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:  # the dub begins
        if "edgevid.lipsync.file" in line:
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    assert "Traceback" not in errors
    left = set(tmp_path.iterdir()) - {source, trace}
    assert left <= {output} if live else not left
    for path in left:
        pictures_of(path)


@pytest.mark.parametrize("options", [[], ["--live"], ["--subtitles", "--keep-original"]], ids=" ".join)
def test_a_full_disk_is_told_and_leaves_nothing(options: list[str], talk: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "edgevid", "dub", str(talk), "--to", "es", "-o", str(output), *options]
    limited = ["sh", "-c", 'ulimit -f 16; exec "$@"', "sh", *command]  # blocks of 512 bytes or of 1 KiB
    done = subprocess.run(limited, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode not in (0, 130), done.stdout
    last = done.stderr.splitlines()[-1]
    assert "cannot be written" in last and "free space" in last and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_an_output_that_cannot_be_made(live: bool, talk: Path, edgevid: Run, tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_text("x")
    for output in ("folder.mp4", "file/out.mp4", "/proc/out.mp4"):
        done = edgevid("dub", talk, "--to", "es", "-o", tmp_path / output, *(["--live"] if live else []))
        assert done.returncode in (1, 2, 3), done.stderr
        assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.mp4"]


def test_sound_without_pictures_is_refused(english: tuple[Floats, int], edgevid: Run, tmp_path: Path) -> None:
    from edgevid.media.wav import write_wav

    samples, rate = english
    write_wav(tmp_path / "a.wav", samples, sample_rate=rate)
    done = edgevid("dub", tmp_path / "a.wav", "--to", "es")
    assert done.returncode == 3 and "no pictures" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_packs_the_command_that_pulls_them_is_named(talk: Path, edgevid: Run, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    done = edgevid("dub", talk, "--to", "es", "-o", output, EDGEVID_CACHE=str(tmp_path / "none"))
    assert done.returncode == 4 and "edgevid models pull" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not output.exists()


def test_without_a_translator_a_new_voice_is_offered(talk: Path, edgevid: Run, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    done = edgevid("dub", talk, "--to", "es", "-o", output, PATH=str(tmp_path))
    assert done.returncode == 4 and not output.exists()
    assert "apt-get install" in done.stderr and ("--to en" in done.stderr or "espeak" in done.stderr)


def test_without_packs_for_faces_pictures_pass(
    store: ModelStore, talk: Path, edgevid: Run, tmp_path: Path
) -> None:
    cache, output = tmp_path / "cache", tmp_path / "out.mp4"
    for pack in ("moonshine-tiny-en", "silero-vad"):
        for file in store.where(pack).values():
            copy = cache / file.relative_to(store.root.parent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    done = edgevid("dub", talk, "--to", "es", "-o", output, "--json", EDGEVID_CACHE=str(cache))
    assert done.returncode == 0, done.stderr
    stats = json_lines(done.stdout)[-1]
    assert stats["dubbed"] >= 1 and stats["frames_drawn"] == 0
    assert any("pictures stay untouched" in warning for warning in stats["warnings"])
    _as_long(output, talk)


@pytest.mark.soak
def test_three_minutes_keep_their_length_and_their_memory(talk: Path, tmp_path: Path) -> None:
    def resident_mb() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

    samples = np.tile(sound_of(talk), 26)
    seconds = samples.size / 16_000
    source, output = tmp_path / "long.mkv", tmp_path / "long.es.mkv"
    film(source, samples, 16_000, frame_times(seconds, 12))
    sizes: list[tuple[float, int]] = []
    with DubSession(source, target="es") as session:
        write_dub(session, output, on_progress=lambda second: sizes.append((second, resident_mb())))
        assert session.stats()["worst_lag_ms"] <= 3000
    assert sizes[-1][0] > 170
    after_a_minute = [size for second, size in sizes if second > 60]
    assert max(after_a_minute) - after_a_minute[0] < 16
    assert pictures_of(output)[-1] == pytest.approx(pictures_of(source)[-1], abs=1e6)
    assert sound_of(output).size / 16_000 == pytest.approx(seconds, abs=0.1 + 3.0)
