"""The onnx package's own operator cases, as far as our ops can express them.

A boolean mask becomes a list of tokens per query row: an attention call with one row over exactly the
tokens it sees. Not expressible, so left out: float masks, soft caps, score outputs, sliding windows, rows
that see nothing, external caches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.ops.dequantize import Floats
from edgevid.ops.paged_attention import Extent, KvCache
from edgevid.ops.rms_norm import rms_norm
from edgevid.ops.rope import rope
from edgevid.ops.swiglu import swiglu

PAGE = 16


class Case:
    """One node, its attributes, and its arrays by the names the operator gives them."""

    def __init__(self, case: Any) -> None:
        import onnx

        node = case.model.graph.node[0]
        self.name: str = case.name
        self.op: str = node.op_type
        self.attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        present = [name for name in node.input if name]
        self.inputs = dict(zip(present, case.data_sets[0][0]))
        self.output_names = [name for name in node.output if name]
        self.want = np.asarray(case.data_sets[0][1][0]).astype(np.float32)

    def f32(self, name: str) -> Floats:
        return np.ascontiguousarray(self.inputs[name].astype(np.float32))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Cases of one node; building all of them takes a few seconds."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node_cases = pytest.importorskip("onnx.backend.test.case.node").collect_testcases(None)
    single = [c for c in node_cases if c.model is not None and len(c.model.graph.node) == 1]
    ops = ("RMSNormalization", "RotaryEmbedding", "Attention", "SwiGLU")
    return [Case(c) for c in single if c.model.graph.node[0].op_type in ops]


def report(op: str, passed: list[str], cases: list[Case]) -> None:
    known = [c for c in cases if c.op == op]
    if not known:
        pytest.skip(f"this onnx has no {op} cases")
    print(f"\nonnx {op}: {len(passed)} of {len(known)} cases")
    assert passed


def test_rms_normalization(isa: str, cases: list[Case]) -> None:
    passed = []
    for case in (c for c in cases if c.op == "RMSNormalization"):
        x, w = case.f32("X"), case.f32("W")
        eps = case.attributes.get("epsilon", 1e-5)
        got = rms_norm(x.reshape(-1, w.size), w.ravel(), eps=eps).reshape(x.shape)
        assert np.allclose(got, case.want, rtol=1e-5, atol=1e-6), case.name
        passed.append(case.name)
    report("RMSNormalization", passed, cases)


def test_rotary_embedding(isa: str, cases: list[Case]) -> None:
    passed = []
    for case in (c for c in cases if c.op == "RotaryEmbedding"):
        x = case.f32("input")  # [batch, heads, rows, dim], or [batch, rows, heads * dim]
        heads = case.attributes.get("num_heads", 0)
        rows = x.reshape(*x.shape[:2], heads, -1) if heads else x.transpose(0, 2, 1, 3)
        cos, sin = case.f32("cos_cache"), case.f32("sin_cache")
        if "position_ids" in case.inputs:
            cos, sin = cos[case.inputs["position_ids"]], sin[case.inputs["position_ids"]]
        turned = [
            rope(np.ascontiguousarray(r), c, s, interleaved=bool(case.attributes.get("interleaved", 0)))
            for r, c, s in zip(rows, cos, sin)
        ]
        got = np.stack(turned)
        got = got.reshape(x.shape) if heads else got.transpose(0, 2, 1, 3)
        assert np.allclose(got, case.want, rtol=1e-5, atol=1e-6), case.name
        passed.append(case.name)
    report("RotaryEmbedding", passed, cases)


def test_swiglu(isa: str, cases: list[Case]) -> None:
    passed = []
    for case in (c for c in cases if c.op == "SwiGLU" and c.attributes.get("alpha", 1.0) == 1.0):
        got = swiglu(np.concatenate([case.f32("a"), case.f32("b")], axis=1))
        atol = 1e-2 if case.inputs["a"].dtype == np.float16 else 1e-6
        assert np.allclose(got, case.want, rtol=1e-5, atol=atol), case.name
        passed.append(case.name)
    report("SwiGLU", passed, cases)


def heads_first(x: Floats, heads: int) -> Floats:
    """[batch, heads, rows, dim] from that or from [batch, rows, heads * dim]."""
    return x if x.ndim == 4 else x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def visible(case: Case, q: Floats, k: Floats, past: int) -> npt.NDArray[np.bool_] | None:
    """[batch, q_heads, rows, tokens], or None when our op cannot express the case."""
    unknown = {
        "softcap",
        "left_window_size",
        "right_window_size",
        "softmax_precision",
        "qk_matmul_output_mode",
    }
    if unknown & set(case.attributes) or len(case.output_names) > 3 or "nonpad_kv_seqlen" in case.inputs:
        return None
    seen = np.ones((*q.shape[:3], k.shape[2]), bool)
    if case.attributes.get("is_causal", 0):
        seen &= np.tri(q.shape[2], k.shape[2], past, dtype=bool)
    if "attn_mask" in case.inputs:
        mask = case.inputs["attn_mask"]
        if mask.dtype != bool:
            return None
        seen &= mask
    return seen if seen.any(axis=-1).all() else None


def attend_one(q: Floats, k: Floats, v: Floats, seen: npt.NDArray[np.bool_], scale: float) -> Floats:
    """One batch entry and KV head: q [group, rows, dim] over k, v [tokens, dim]."""
    dim = max(q.shape[-1], v.shape[-1])

    def pad(a: Floats) -> Floats:
        return np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, dim - a.shape[-1])])

    tokens = len(k)
    pages = -(-tokens // PAGE)
    cache = KvCache(
        num_pages=pages, page_size=PAGE, num_kv_heads=1, head_dim=dim, dtype="f32", backend="native"
    )
    slots = [Extent(t // PAGE, t % PAGE, 1) for t in range(tokens)]
    cache.append(pad(k)[:, None], pad(v)[:, None], slots)
    out = np.empty((*q.shape[:2], v.shape[-1]), np.float32)
    for head, row in np.ndindex(*q.shape[:2]):
        chosen = [slots[t] for t in np.flatnonzero(seen[head, row])]
        out[head, row] = cache.attend(pad(q[head, row])[None, None], [chosen], scale=scale)[
            0, 0, : v.shape[-1]
        ]
    return out


def test_attention(isa: str, cases: list[Case]) -> None:
    passed = []
    for case in (c for c in cases if c.op == "Attention"):
        kv_heads = case.attributes.get("kv_num_heads", 0)
        q = heads_first(case.f32("Q"), case.attributes.get("q_num_heads", 0))
        k, v = heads_first(case.f32("K"), kv_heads), heads_first(case.f32("V"), kv_heads)
        past = case.inputs["past_key"].shape[2] if "past_key" in case.inputs else 0
        if past:
            k = np.concatenate([case.f32("past_key"), k], axis=2)
            v = np.concatenate([case.f32("past_value"), v], axis=2)
        seen = visible(case, q, k, past)
        if seen is None:
            continue
        scale = case.attributes.get("scale", q.shape[-1] ** -0.5)
        group = q.shape[1] // k.shape[1]
        got = np.empty((*q.shape[:3], v.shape[-1]), np.float32)
        for b, h in np.ndindex(*k.shape[:2]):
            mine = slice(h * group, (h + 1) * group)
            got[b, mine] = attend_one(q[b, mine], k[b, h], v[b, h], seen[b, mine], scale)
        if case.want.ndim == 3:
            got = got.transpose(0, 2, 1, 3).reshape(case.want.shape)
        exact = case.inputs["Q"].dtype == np.float32
        assert np.allclose(got, case.want, rtol=0, atol=1e-5 if exact else 2e-2), case.name
        passed.append(case.name)
    report("Attention", passed, cases)
