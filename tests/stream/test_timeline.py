from __future__ import annotations

from edgevid.core.nouns import Kind, Observation, TimeSpan
from edgevid.memory.erasing import Selection
from edgevid.memory.memory import Memory
from edgevid.stream.timeline import Timeline

S = 1_000_000_000


def at(kind: Kind, label: str, t: float, *, count: int = 1, score: float = 0.5) -> Observation:
    return Observation(kind, label, TimeSpan(int(t * S), int((t + 1) * S)), score, count)


def rows_of(*observations: Observation) -> list[tuple[str, float, float, int]]:
    with Memory() as memory:
        video = memory.add_video("x", width=1, height=1, has_audio=False, channels=["object"])
        timeline = Timeline(memory, video)
        for observation in observations:
            timeline.add(observation, period_ns=S)
        spans = [(row.observation, row.observation.span) for row in memory.rows(video)]
        return [(o.label, span.start_s, span.end_s, o.count) for o, span in spans]


def test_an_object_that_stays_is_one_row() -> None:
    assert rows_of(*(at("object", "dog", t) for t in range(5))) == [("dog", 0, 5, 1)]


def test_a_gap_or_another_count_starts_a_new_row() -> None:
    assert rows_of(at("object", "dog", 0), at("object", "dog", 3)) == [("dog", 0, 1, 1), ("dog", 3, 4, 1)]
    assert rows_of(at("object", "dog", 0), at("object", "dog", 1, count=2)) == [
        ("dog", 0, 1, 1),
        ("dog", 1, 2, 2),
    ]


def test_two_labels_run_side_by_side() -> None:
    seen = [at("object", name, t) for t in range(3) for name in ("dog", "cat")]
    assert rows_of(*seen) == [("dog", 0, 3, 1), ("cat", 0, 3, 1)]


def test_text_read_with_a_wrong_letter_is_the_same_caption() -> None:
    assert rows_of(at("text", "EXIT ONLY", 0), at("text", "EX1T ONLY", 1)) == [("EXIT ONLY", 0, 2, 1)]
    assert len(rows_of(at("text", "EXIT ONLY", 0), at("text", "GATE 24", 1))) == 2


def test_a_fuller_reading_starts_a_new_row() -> None:
    looks = [
        at("text", "RAMIES", 0),
        at("text", "YARAMIES", 1),
        at("text", "RAMIES", 2),
        at("text", "YARAMIES!", 3),
    ]
    assert rows_of(*looks) == [("RAMIES", 0, 1, 1), ("YARAMIES", 1, 4, 1)]
    typed = [at("text", "READY TO GO", 0), at("text", "READY TO GO?", 1), at("text", "READY TO GO ON", 2)]
    assert rows_of(*typed) == [("READY TO GO", 0, 2, 1), ("READY TO GO ON", 2, 3, 1)]


def test_speech_is_never_merged() -> None:
    assert len(rows_of(at("speech", "yes", 0), at("speech", "yes", 1))) == 2


def test_add_says_whether_a_row_began() -> None:
    with Memory() as memory:
        video = memory.add_video("x", width=1, height=1, has_audio=False, channels=["object"])
        timeline = Timeline(memory, video)
        first = timeline.add(at("object", "dog", 0), period_ns=S)
        assert first is not None
        assert timeline.add(at("object", "dog", 1, score=0.9), period_ns=S) is None
        (row,) = memory.rows(video)
        assert (row.id, row.observation.score) == (first, 0.9)


def test_what_was_there_before_and_after_dropped_looks_is_one_row() -> None:
    with Memory() as memory:
        video = memory.add_video("x", width=1, height=1, has_audio=False, channels=["object"])
        timeline = Timeline(memory, video)
        assert timeline.add(at("object", "dog", 0), period_ns=S) is not None
        assert timeline.add(at("object", "dog", 3), period_ns=S, unseen_ns=2 * S) is None
        assert timeline.add(at("object", "dog", 9), period_ns=S, unseen_ns=2 * S) is not None


def test_a_row_forgotten_meanwhile_starts_anew() -> None:
    with Memory() as memory:
        video = memory.add_video("x", width=1, height=1, has_audio=False, channels=["object"])
        timeline = Timeline(memory, video)
        timeline.add(at("object", "dog", 0), period_ns=S)
        memory.forget(Selection(video, span=TimeSpan(0, S)))
        assert timeline.add(at("object", "dog", 1), period_ns=S) is not None
        assert len(memory.rows(video)) == 1
