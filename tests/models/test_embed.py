"""Sentence vectors of the pack minilm-l6-int8."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edgevid.core.errors import MissingPartError
from edgevid.models.embed import TextEmbedder
from edgevid.models.store import ModelStore

TEXTS = [
    "a man rides a bicycle on the road",
    "someone is cycling down the street",
    "the price of oil fell on Tuesday",
    "crude got cheaper this week",
    "a dog barks at the door",
    "you can hear a puppy yapping by the entrance",
]


@pytest.fixture(scope="module")
def embed(store: ModelStore) -> TextEmbedder:
    return TextEmbedder(store)


@pytest.mark.packs
def test_unit_rows_and_paraphrases_nearest(embed: TextEmbedder) -> None:
    vectors = embed(TEXTS)
    assert vectors.shape == (6, 384) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    similarity = vectors @ vectors.T - 2 * np.eye(6)
    assert similarity.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


@pytest.mark.packs
def test_a_text_has_one_vector_whatever_comes_with_it(store: ModelStore) -> None:
    together = TextEmbedder(store, batch=4)(TEXTS)
    alone = np.concatenate([TextEmbedder(store, cache=1)([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert (TextEmbedder(store)([TEXTS[0]] * 3) == alone[0]).all()


@pytest.mark.packs
def test_odd_texts(embed: TextEmbedder) -> None:
    vectors = embed(["", " ", "\x00", "🙂" * 1000, "word " * 5000])
    assert np.isfinite(vectors).all() and vectors.shape == (5, 384)
    assert embed([]).shape == (0, 384)


@pytest.mark.packs
def test_the_cache_is_bounded_and_shared_by_threads(store: ModelStore) -> None:
    embed = TextEmbedder(store, cache=3)
    expected = embed(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(embed, [TEXTS] * 12):
            np.testing.assert_array_equal(vectors, expected)
    assert len(embed._cache) == 3


def test_without_its_pack_it_names_the_command(tmp_path) -> None:
    with pytest.raises(MissingPartError, match="minilm-l6-int8"):
        TextEmbedder(ModelStore(tmp_path))
