// Scores of clusters: what a query's attention to a cluster's mean key would be. The specification is
// edgevid/ops/cluster_scores.py.
#pragma once

#include <cstdint>

#include "base/tensor.h"

namespace ev::ops {

// One KV head of ClusterSummaries (ops/kv_seal.h).
struct ClusterTable {
  const int8_t* means = nullptr;  // [head_dim, stride]
  const float* scales = nullptr;  // [stride]
  int32_t clusters = 0;
  int32_t stride = 0;
};

// out[i * group + j, c] = scale * <q[i, j], mean[c]>, for the `group` query heads that start at column
// first_column of q [m, >= first_column + group * head_dim]; out [m * group, stride], -inf past the clusters.
// Runs on the calling thread. Throws Error(kInvalidArgument) when shapes disagree.
void cluster_scores(MatrixRef<const float> q, int64_t first_column, int group, int head_dim,
                    const ClusterTable& table, float scale, MatrixRef<float> out);

}  // namespace ev::ops
