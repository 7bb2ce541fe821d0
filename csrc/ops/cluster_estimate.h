// What clusters that are not attended add to attention, each taken as its mean key and mean value, count
// times. The specification is edgevid/ops/cluster_estimate.py.
#pragma once

#include <cstdint>

#include "base/tensor.h"

namespace ev::ops {

// How much the spread of keys around their mean raises the mean of exp(score) over the score of the mean:
// half the variance of the score, as if they lay like a Gaussian (the second cumulant), at most kMostSpread,
// as a few far keys must not stand for many.
//
//   score[r, c] += min(kMostSpread, terms[r] * spreads[c]),    terms[r] = sum_d (scale q[r, d])^2 w[d] / 2
//
// with w = variance / its mean: which dims the spread lies in is much the same in all clusters of a head.
constexpr float kMostSpread = 1.0f;

// terms [m * group] for the `group` query heads that start at column first_column of q; variance [head_dim].
void spread_terms(MatrixRef<const float> q, int64_t first_column, int group, int head_dim,
                  const float* variance, float scale, float* terms);

// scores [rows, stride], stride any; spreads [stride].
void add_spread(const float* terms, const float* spreads, MatrixRef<float> scores);

// One KV head of ClusterMoments (ops/kv_seal.h).
struct ValueTable {
  const int8_t* means = nullptr;  // [stride, v_stride]
  const float* scales = nullptr;  // [stride]
};

// For every row adds weight[c] = density[c] * count[c] of the clusters without a mark to `sum`, and that
// times their mean values to `values`. densities [rows, stride], stride a multiple of 16, as select_mass()
// leaves them, are overwritten; sum [rows]; values [rows, v_stride], v_stride a multiple of 16. Runs on the
// calling thread. Throws Error(kInvalidArgument) when shapes disagree.
void cluster_estimate(MatrixRef<float> densities, const int32_t* counts, const uint8_t* marks,
                      const ValueTable& table, float* sum, MatrixRef<float> values);

}  // namespace ev::ops
