// Sealing: tokens copied to new pages in the order of their clusters, so that a cluster is a run of slots,
// and a summary of each cluster for scoring. The specification is edgevid/ops/kv_seal.py.
//
//   means   int8 [num_kv_heads, head_dim, stride]   dim-major: 16 clusters fill a vector
//   scales  f32  [num_kv_heads, stride]             max |mean| / 127
//   radii   f32  [num_kv_heads, stride]             largest distance of a key from its mean, rounded up
//
//   value means   int8 [num_kv_heads, stride, v_stride]   token-major, as attention's second product reads
//   value scales  f32  [num_kv_heads, stride]             max |mean value| / 127
//   spreads       f32  [num_kv_heads, stride]             mean square distance of keys from their mean, per
//   dim variance      f32  [num_kv_heads, head_dim]           the same per dim, of all keys
//
// stride is the number of clusters rounded up to 16; what is beyond them holds 0.
#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"
#include "base/thread_pool.h"
#include "ops/kv_pages.h"

namespace ev::ops {

struct ClusterSummaries {
  int32_t clusters = 0;
  int32_t stride = 0;
  std::vector<int8_t> means;
  std::vector<float> scales, radii;

  size_t bytes() const { return means.size() + (scales.size() + radii.size()) * sizeof(float); }
};

// For estimating clusters that are not attended (ops/cluster_estimate.h).
struct ClusterMoments {
  std::vector<int8_t> value_means;
  std::vector<float> value_scales, spreads, variance;

  size_t bytes() const {
    return value_means.size() + (value_scales.size() + spreads.size() + variance.size()) * sizeof(float);
  }
};

// Slot j of `to` receives the token in slot order[j] of `from`; both name order.size() tokens, bit for bit.
// Throws Error(kInvalidArgument) when they do not, an extent leaves its page or `order` is no permutation;
// nothing is then written. `from` and `to` must not share pages.
void kv_seal(const KvLayer& layer, const std::vector<Extent>& from, const std::vector<int32_t>& order,
             const std::vector<Extent>& to);

// `order` and `begin` (each cluster's first slot, and their end) from the clusters' ids, in [0, clusters).
void seal_order(const std::vector<int32_t>& ids, int32_t clusters, std::vector<int32_t>& order,
                std::vector<int32_t>& begin);

// Of keys f32 [n, num_kv_heads * head_dim] in the order of their slots. Compiled once: the same on every ISA.
// Throws Error(kInvalidArgument) unless the runs are not empty and cover the keys.
ClusterSummaries cluster_summaries(MatrixRef<const float> keys, const std::vector<int32_t>& begin,
                                   int num_kv_heads);

// Of the same keys and their values f32 [n, num_kv_heads * head_dim], likewise.
ClusterMoments cluster_moments(MatrixRef<const float> keys, MatrixRef<const float> values,
                               const std::vector<int32_t>& begin, int num_kv_heads);

}  // namespace ev::ops
