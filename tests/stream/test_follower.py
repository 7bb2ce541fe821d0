from __future__ import annotations

from edgevid.core.nouns import Answer, Evidence, Kind, Observation, TimeSpan
from edgevid.memory.memory import Memory
from edgevid.stream.follower import _cited


def test_a_draft_is_held_to_the_cited_rows_in_order_of_time(memory: Memory) -> None:
    video = memory.add_video("x", width=4, height=4, has_audio=True, channels=["object"])

    def add(kind: Kind, label: str, start_ns: int) -> int:
        span = TimeSpan(start_ns, start_ns + 5)
        return memory.add(video, Observation(kind, label, span, 0.9, model_id="t"))

    late, early, other = add("object", "dog", 20), add("speech", "hello", 10), add("object", "car", 0)
    faint = add("faint", "cat", 0)
    rows = (late, faint, early, other + 100)  # the last one was forgotten
    answer = Answer("?", "A dog.", (Evidence(TimeSpan(10, 25), rows), Evidence(TimeSpan(20, 25), (late,))))
    assert [row.id for row in _cited(answer, memory)] == [early, late]
