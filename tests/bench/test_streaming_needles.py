"""The bench of needles: its arithmetic by hand, whole runs of the model that ships and of a random one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edgevid.bench.streaming_needles import WAYS, WEIGHTS, Watcher, attended, retrieval_heads, rows
from edgevid.core.errors import MissingPartError
from edgevid.core.kv_config import RetrievalConfig
from edgevid.train.tiny_vlm.vision import ROWS


def test_attention_is_summed_over_a_second_and_maximal_over_the_question() -> None:
    keys = np.zeros((1 + 3 * ROWS + 2, 1, 4), np.float32)
    keys[1 + ROWS : 1 + 2 * ROWS, 0, 0] = 20  # second 1, what the second row of the question looks for
    queries = np.zeros((2, 2, 4), np.float32)
    queries[1, 0, 0] = 1
    mass = attended(queries, keys)
    assert mass.shape == (2, 3)
    assert mass[0].argmax() == 1
    assert mass[0, 1] == pytest.approx(1, abs=0.01)
    # The other head looks at everything alike; the question's first row sees one token less.
    np.testing.assert_allclose(mass[1], ROWS / (len(keys) - 1), rtol=1e-6)


def test_retrieval_heads_are_those_that_look_at_what_was_asked() -> None:
    rng = np.random.default_rng(0)
    found = []
    for at in range(5, 15):
        mass = rng.random((6, 20))
        mass[4, at], mass[1, at + 1] = 2, 2  # the second or the next to it
        found.append((mass, at))
    assert set(retrieval_heads(found)[:2]) == {1, 4}


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match="model of E3"):
        Watcher(tmp_path)


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch", reason="pip install 'edgevid[dev]'")
    pytest.importorskip("gguf", reason="pip install 'edgevid[test]'")
    pytest.importorskip("tokenizers", reason="pip install 'edgevid[dev]'")
    from edgevid.train.tiny_vlm.export import export
    from edgevid.train.tiny_vlm.network import TinyVLM

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("random")
    export(TinyVLM(), folder)
    return folder


def test_attending_all_that_was_sealed_is_attending_everything(random_weights: Path) -> None:
    watcher = Watcher(random_weights, threads=1)
    film = watcher.film(np.random.default_rng(2), seconds=60, questions=5)
    whole = RetrievalConfig(everything=True, min_sealed=0)
    with closing(watcher.watch(film)) as dense, closing(watcher.watch(film, retrieval=whole)) as ours:
        for question in film.questions:
            right, mass, _ = watcher.answer(dense, question)
            same, again, share = watcher.answer(ours, question)
            assert (right, share) == (same, 1.0)
            np.testing.assert_allclose(again, mass, atol=2e-3)


def test_a_model_that_knows_nothing_passes_no_gate_of_accuracy(random_weights: Path) -> None:
    found = {row.measure: row for row in rows(seconds=120, quick=True, threads=1, folder=random_weights)}
    assert found["E3 dense"].passed is False
    assert 0 <= float(found["E3 dense"].value or 0) < 0.5
    assert all(f"E3 {way}, span" in found for way in WAYS)


@pytest.mark.skipif(not (WEIGHTS / "tiny_vlm.gguf").is_file(), reason="the model of E3 is not trained yet")
def test_the_model_that_ships_answers_what_it_saw() -> None:
    watcher = Watcher(threads=1)
    film = watcher.film(np.random.default_rng(5), seconds=24, questions=40)
    with closing(watcher.watch(film)) as sequence:
        right = [watcher.answer(sequence, question)[0] for question in film.questions]
    assert np.mean(right) >= 0.8
