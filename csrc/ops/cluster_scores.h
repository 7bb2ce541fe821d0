// Scores of clusters: what a query's attention to a cluster's mean key would be, raised by how far its keys
// spread around the mean. The specification is edgevid/ops/cluster_scores.py.
//
//   score[r, c] = scale * <q[r], mean[c]> + min(kMostSpread, terms[r] * spreads[c])
//
// Queries and means are int8 with a scale of their own, so products are summed in integers.
//
// The spread raises the mean of exp(score) over exp of the mean's score: by half the variance of the score,
// as if keys lay like a Gaussian (the second cumulant), at most kMostSpread (ops/kernels.h), as a few far
// keys must not stand for many. terms[r] = sum_d (scale q[r, d])^2 w[d] / 2 with w = variance / its mean:
// which dims the spread lies in is much the same in all clusters of a head.
#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"

namespace ev::ops {

// One KV head of ClusterSummaries and, for the spread, of ClusterMoments (ops/kv_seal.h).
struct ClusterTable {
  const int8_t* means = nullptr;  // [head_dim, stride]
  const float* scales = nullptr;  // [stride]
  int32_t clusters = 0;
  int32_t stride = 0;
  const float* spreads = nullptr;  // [stride]; null: scores of the means alone
};

// The queries of one KV head's group, rounded for scoring: row i * group + j is query head j of position i.
class ScoreQueries {
 public:
  // Of the `group` query heads that start at column first_column of q [m, >= first_column + group *
  // head_dim]. variance [head_dim] of the head's keys, or null: then no spread can be added. Throws
  // Error(kInvalidArgument) when shapes disagree.
  void set(MatrixRef<const float> q, int64_t first_column, int group, int head_dim, float scale,
           const float* variance = nullptr);

  int64_t rows() const { return rows_; }
  int head_dim() const { return head_dim_; }
  int64_t code_stride() const { return (int64_t{head_dim_} + 15) / 16 * 16; }
  const int8_t* codes() const { return codes_.data(); }  // [rows, code_stride], 0 past head_dim
  const float* scales() const {
    return scales_.data();
  }  // [rows], `scale` included; NaN if a query is not finite
  const int32_t* sums() const { return sums_.data(); }        // [rows] of the codes
  const std::vector<float>& terms() const { return terms_; }  // [rows]; empty without variance

 private:
  int64_t rows_ = 0;
  int head_dim_ = 0;
  std::vector<int8_t> codes_;
  std::vector<float> scales_, terms_, weights_;
  std::vector<int32_t> sums_;
};

// out [rows, stride], -inf past the clusters. Runs on the calling thread. Throws Error(kInvalidArgument) when
// shapes disagree, or the table has spreads and the queries no terms.
void cluster_scores(const ScoreQueries& queries, const ClusterTable& table, MatrixRef<float> out);

// to[i] = sqrt(from[i]): spreads as standard deviations.
void square_roots(const float* from, int64_t n, float* to);

}  // namespace ev::ops
