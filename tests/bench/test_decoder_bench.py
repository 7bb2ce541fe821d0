"""The arithmetic of the decoder's bench, and its rows on a short run."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from edgevid.bench import decoder
from edgevid.bench.parity import agreement, log_softmax
from edgevid.models.store import ModelStore

RNG = np.random.default_rng(4)


def test_agreement_is_a_lower_bound_of_the_full_divergence() -> None:
    theirs = (3 * RNG.standard_normal((50, 200))).astype(np.float32)
    ours = theirs + (0.3 * RNG.standard_normal((50, 200))).astype(np.float32)
    p, q = log_softmax(theirs), log_softmax(ours)
    full = (np.exp(p) * (p - q)).sum(axis=1).mean()
    bounds = []
    for k in (1, 20, 150):
        top = np.argsort(-p, axis=1)[:, :k]
        found = agreement(top, np.take_along_axis(p, top, axis=1), ours)
        assert found.top1 == (p.argmax(axis=1) == q.argmax(axis=1)).mean()
        bounds.append(found.kl)
    assert 0 < bounds[0] < bounds[1] < bounds[2] <= full + 1e-9
    assert bounds[2] > 0.99 * full


def test_equal_distributions_agree() -> None:
    logits = RNG.standard_normal((5, 30)).astype(np.float32)
    p = log_softmax(logits)
    top = np.argsort(-p, axis=1)[:, :10]
    assert agreement(top, np.take_along_axis(p, top, axis=1), logits + 7) == pytest.approx(
        (1.0, 0.0), abs=1e-6
    )


@pytest.mark.packs
def test_without_llama_cpp_its_rows_stay_and_say_why(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.where(decoder.MODEL)
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    monkeypatch.setattr(decoder, "DEPTHS", (64,))
    monkeypatch.setattr(decoder, "STEPS", {"decode": (1, 2), "10-token step": (10, 1)})
    monkeypatch.setattr(decoder, "repacking_works", lambda path: False)
    rows = {row.measure: row for row in decoder.rows(quick=True, threads=1)}
    peer = rows["decode, depth 64, over llama.cpp"]
    assert (peer.value, peer.goal, peer.passed) == (None, decoder.GOAL, None)
    assert "edgevid[vlm]" in peer.method
    assert rows["decode, depth 64"].value > 0
    assert 0 < rows["decode, depth 64, share of roofline"].value < 2
    assert rows["parity with llama.cpp, top-1"].passed is True
    assert rows["parity with llama.cpp, KL"].passed is True


def test_the_better_setting_of_the_peer_counts() -> None:
    found = list(decoder._against("decode", decoder.DEPTHS[0], 2.6, {"on": 4.0, "off": 2.0}, "", "method"))
    assert [row.value for row in found] == [2.0, 1.3]
    assert found[1].passed is True
    assert "off" in found[0].method
    worse = list(decoder._against("decode", decoder.DEPTHS[0], 2.7, {"off": 2.0}, "", "method"))
    assert worse[1].passed is False
