"""Clusters of one layer: made when a segment is sealed, chosen when a step attends."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevid.core.kv_config import RetrievalConfig
from edgevid.ops.backend import Backend
from edgevid.ops.cluster_assign import cluster_assign
from edgevid.ops.cluster_estimate import cluster_estimate
from edgevid.ops.cluster_scores import Spread, cluster_scores, doubt_of
from edgevid.ops.dequantize import Floats
from edgevid.ops.hash_codes import hash_codes
from edgevid.ops.kv_seal import LANES, Ids, Moments, cluster_moments, cluster_summaries, seal_order
from edgevid.ops.paged_attention import AttentionRest
from edgevid.ops.select_mass import Doubt, Marks, select_mass

FIRST_MEAN_TOKENS = 256
"""Of the first segment, that centre it."""


class Clusters:
    """The clusters of all sealed segments of a layer, oldest first, as columns of one table.

    Attributes:
        tokens: int32 [columns], of each cluster; a segment's columns are padded to a multiple of 16 with 0.
    """

    def __init__(
        self, config: RetrievalConfig, *, layer: int, num_kv_heads: int, head_dim: int, backend: Backend
    ) -> None:
        self._config, self._layer, self._heads, self._backend = config, layer, num_kv_heads, backend
        self._means = np.empty((num_kv_heads, head_dim, 0), np.int8)
        self._scales = np.empty((num_kv_heads, 0), np.float32)
        v_stride = -(-head_dim // LANES) * LANES
        of_each = np.empty((num_kv_heads, 0), np.float32)
        no_values = np.empty((num_kv_heads, 0, v_stride), np.int8)
        self._moments = Moments(no_values, of_each, of_each, np.zeros((num_kv_heads, head_dim), np.float32))
        self.tokens: Ids = np.empty(0, np.int32)
        self._columns: list[int] = []
        self._mean: Floats | None = None
        self._summed = 0

    def add(self, keys: Floats, values: Floats) -> Ids:
        """Cluster a segment of ``keys`` and their ``values``, float32 [tokens, num_kv_heads * head_dim].

        Returns:
            int32 [tokens]: the token that goes to each slot.
        """
        config = self._config
        centre = np.zeros(keys.shape[1], np.float32)
        if config.centred:
            centre = keys[:FIRST_MEAN_TOKENS].mean(axis=0) if self._mean is None else self._mean
        codes = hash_codes(keys, centre, seed=config.seed, layer=self._layer, backend=self._backend)
        ids, leaders = cluster_assign(
            codes, threshold=config.hamming, capacity=config.clusters, backend=self._backend
        )
        order, begin = seal_order(ids, len(leaders))
        made = cluster_summaries(keys[order], begin, num_kv_heads=self._heads, backend=self._backend)
        if config.estimate:
            new = cluster_moments(
                keys[order], values[order], begin, num_kv_heads=self._heads, backend=self._backend
            )
            share = np.float32(len(keys) / (self._summed + len(keys)))
            old, average = self._moments, self._moments.variance
            self._moments = Moments(
                np.concatenate([old.value_means, new.value_means], axis=1),
                np.concatenate([old.value_scales, new.value_scales], axis=1),
                np.concatenate([old.spreads, new.spreads], axis=1),
                average + (new.variance - average) * share,
            )
        padded = np.zeros(made.scales.shape[1], np.int32)
        padded[: len(leaders)] = np.diff(begin)
        self._means = np.concatenate([self._means, made.means], axis=2)
        self._scales = np.concatenate([self._scales, made.scales], axis=1)
        self.tokens = np.concatenate([self.tokens, padded])
        self._columns.append(len(padded))
        self._summed += len(keys)
        before = np.zeros_like(centre) if self._mean is None else self._mean
        self._mean = before + (keys.mean(axis=0) - before) * np.float32(len(keys) / self._summed)
        return order

    def drop_oldest(self) -> None:
        """Forget the oldest segment."""
        gone = self._columns.pop(0)
        self._means, self._scales = self._means[:, :, gone:].copy(), self._scales[:, gone:].copy()
        held = self._moments
        self._moments = held._replace(
            value_means=held.value_means[:, gone:].copy(),
            value_scales=held.value_scales[:, gone:].copy(),
            spreads=held.spreads[:, gone:].copy(),
        )
        self.tokens = self.tokens[gone:]

    def choose(
        self, q: Floats, scale: float, resident_max: Floats, resident_sum: Floats
    ) -> tuple[npt.NDArray[np.bool_], AttentionRest | None]:
        """bool [num_kv_heads, columns], what a step attends, and what the other clusters add to that.

        Args:
            q: float32 [rows, num_q_heads, head_dim].
            resident_max: float32 [num_kv_heads, rows, group], as
                :meth:`edgevid.ops.paged_attention.KvCache.mass` gives it for what is attended anyway;
                likewise ``resident_sum``.
        """
        group = q.shape[1] // self._heads
        marks = np.empty((self._heads, len(self.tokens)), np.bool_)
        tops = np.empty((self._heads, len(q) * group), np.float32)
        sums = np.empty_like(tops)
        values = np.zeros((*tops.shape, self._moments.value_means.shape[2]), np.float32)
        for head in range(self._heads):
            rows = q[:, head * group : (head + 1) * group].reshape(-1, q.shape[2])
            resident = resident_max[head].ravel(), resident_sum[head].ravel()
            scores = self._scores(head, rows, scale)
            marks[head] = self._select(scores, *resident, doubt=self._doubt(head, rows, scale))
            if self._config.estimate:
                tops[head] = np.maximum(scores.max(axis=1), resident[0])
                sums[head], values[head] = self._estimate(head, scores, marks[head], tops[head])
        return marks, AttentionRest(tops, sums, values) if self._config.estimate else None

    def _scores(self, head: int, rows: Floats, scale: float) -> Floats:
        table = self._means[head], self._scales[head]
        scores = cluster_scores(
            rows,
            *table,
            clusters=len(self.tokens),
            scale=scale,
            spread=self._spread(head),
            backend=self._backend,
        )
        scores[:, self.tokens == 0] = -np.inf
        return scores

    def _spread(self, head: int) -> Spread | None:
        if not self._config.estimate:
            return None
        return Spread(self._moments.variance[head], self._moments.spreads[head])

    def _doubt(self, head: int, rows: Floats, scale: float) -> Doubt | None:
        spread = self._spread(head)
        return None if spread is None else doubt_of(rows, spread, scale=scale)

    def _select(
        self, scores: Floats, resident_max: Floats, resident_sum: Floats, *, doubt: Doubt | None
    ) -> Marks:
        return select_mass(
            scores,
            self.tokens,
            resident_max,
            resident_sum,
            threshold=self._config.mass,
            pooled=self._config.pooled,
            exact=self._config.sorted,
            max_tokens=self._config.max_tokens,
            doubt=doubt,
            backend=self._backend,
        )

    def _estimate(self, head: int, scores: Floats, marks: Marks, tops: Floats) -> tuple[Floats, Floats]:
        densities = np.exp(scores - tops[:, None])
        table = self._moments.value_means[head], self._moments.value_scales[head]
        return cluster_estimate(densities, self.tokens, marks, *table, backend=self._backend)
