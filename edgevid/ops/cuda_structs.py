"""The structs of ``csrc/cuda/ev_cuda.h``, field by field under the same names."""

from __future__ import annotations

import ctypes as c


class EvCudaPages(c.Structure):
    _fields_ = [
        *((name, c.c_void_p) for name in ("keys", "values", "key_scales", "value_scales")),
        *(
            (name, c.c_int64)
            for name in ("k_page_stride", "v_page_stride", "ks_page_stride", "vs_page_stride")
        ),
        *((name, c.c_int32) for name in ("page_size", "num_kv_heads", "head_dim", "v_stride")),
        *((name, c.c_int32) for name in ("key_scale_lines", "type")),
    ]


class EvCudaAttention(c.Structure):
    _fields_ = [
        *((name, c.c_void_p) for name in ("q", "slots")),
        *((name, c.c_int32) for name in ("lists", "tokens", "m", "group")),
        ("scale", c.c_float),
        *((name, c.c_void_p) for name in ("rest_max", "rest_sum", "rest_values")),
        *((name, c.c_void_p) for name in ("out", "max", "sum", "workspace")),
    ]


class EvCudaScores(c.Structure):
    _fields_ = [
        *((name, c.c_void_p) for name in ("q", "means", "scales", "variance", "spreads", "out")),
        *((name, c.c_int32) for name in ("num_kv_heads", "rows", "head_dim", "clusters", "stride")),
        ("scale", c.c_float),
    ]


class EvCudaSelection(c.Structure):
    _fields_ = [
        *((name, c.c_void_p) for name in ("scores", "counts", "resident_max", "resident_sum")),
        *((name, c.c_void_p) for name in ("row_doubts", "cluster_doubts", "marks")),
        *((name, c.c_int32) for name in ("num_kv_heads", "rows", "clusters", "max_tokens")),
        ("threshold", c.c_float),
        *((name, c.c_int32) for name in ("pooled", "exact")),
        ("workspace", c.c_void_p),
    ]


class EvCudaEstimate(c.Structure):
    _fields_ = [
        *(
            (name, c.c_void_p)
            for name in ("densities", "counts", "marks", "means", "scales", "sum", "values")
        ),
        *((name, c.c_int32) for name in ("num_kv_heads", "rows", "stride", "v_stride")),
    ]


class EvCudaMoments(c.Structure):
    _fields_ = [
        *((name, c.c_void_p) for name in ("keys", "values", "begin", "value_means", "value_scales")),
        *((name, c.c_void_p) for name in ("spreads", "variance", "squares")),
        *((name, c.c_int32) for name in ("clusters", "stride", "num_kv_heads", "head_dim", "v_stride")),
    ]
