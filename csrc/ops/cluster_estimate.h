// What clusters that are not attended add to attention, each taken as its mean key and mean value, count
// times. The specification is edgevid/ops/cluster_estimate.py.
#pragma once

#include <cstdint>

#include "base/tensor.h"

namespace ev::ops {

// One KV head of ClusterMoments (ops/kv_seal.h).
struct ValueTable {
  const int8_t* means = nullptr;  // [stride, v_stride]
  const float* scales = nullptr;  // [stride]
};

// For every row adds weight[c] = density[c] * counts[c] to `sum`, and that times the mean values to `values`;
// weights below kLeastWeight (ops/kernels.h) count as 0. densities [rows, stride], stride a multiple of 16,
// as select_mass() leaves them, are overwritten; counts [stride]: tokens, 0 for clusters that are attended,
// whose densities may then hold anything finite; sum [rows]; values [rows, v_stride], v_stride a multiple
// of 16. Runs on the calling thread. Throws Error(kInvalidArgument) when shapes disagree.
void cluster_estimate(MatrixRef<float> densities, const float* counts, const ValueTable& table, float* sum,
                      MatrixRef<float> values);

}  // namespace ev::ops
