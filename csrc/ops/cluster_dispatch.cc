// The public functions of hash_codes, cluster_assign, cluster_scores and cluster_estimate: check, then call
// the active ISA's kernel.
#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "ops/cluster_assign.h"
#include "ops/cluster_estimate.h"
#include "ops/cluster_scores.h"
#include "ops/hash_codes.h"
#include "ops/kernels.h"
#include "ops/registry.h"

namespace ev::ops {
namespace {

constexpr int64_t kMaxDims = 65536;
constexpr int64_t kMaxClusters = int64_t{1} << 24;
constexpr int64_t kTokensPerRange = 64;  // fewer are not worth a second thread
constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;
constexpr int64_t kPlanes = 32;

uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

Hyperplanes::Hyperplanes(uint64_t seed, uint32_t layer, int64_t dims) : dims_(dims) {
  require(dims >= 1 && dims <= kMaxDims, "hash_codes: a key has 1 to 65536 dimensions");
  pairs_.resize(static_cast<size_t>((dims + 15) / 16 * 16 * kPlanes));
  const uint64_t start = mix(seed + layer * kGolden);
  for (int64_t j = 0; j < dims; ++j) {
    const uint64_t word = mix(start + static_cast<uint64_t>(j + 1) * kGolden) >> 32;
    for (int64_t b = 0; b < kPlanes; ++b)
      pairs_[static_cast<size_t>((j / 2 * kPlanes + b) * 2 + j % 2)] = (word >> b & 1) != 0 ? 1 : -1;
  }
}

void hash_codes(MatrixRef<const float> keys, const float* centre, const Hyperplanes& planes, uint32_t* codes,
                ThreadPool& pool) {
  require(keys.cols == planes.dims(), "hash_codes: keys are [n, dims], the centre [dims]");
  const HashArgs args{keys.data, keys.stride, keys.cols, centre, planes.pairs(), codes};
  pool.parallel_for(keys.rows, kTokensPerRange,
                    [&](int64_t begin, int64_t end) { kernels().hash_codes(args, begin, end); });
}

void cluster_assign(const uint32_t* codes, int64_t n, const ClusterRule& rule, std::vector<uint32_t>& leaders,
                    int32_t* ids) {
  const auto open = static_cast<int64_t>(leaders.size());
  require(rule.threshold >= 0 && rule.threshold <= kPlanes + 1 && rule.capacity >= 1 && open <= rule.capacity,
          "cluster_assign: threshold is 0..33, capacity at least 1 and the open clusters");
  const int64_t room = std::min(rule.capacity, open + n);
  require(room < kMaxClusters, "cluster_assign: more than 2^24 clusters");
  leaders.resize(static_cast<size_t>(room));
  const AssignArgs args{codes,          n,  static_cast<uint32_t>(rule.threshold), rule.capacity, open,
                        leaders.data(), ids};
  leaders.resize(static_cast<size_t>(kernels().cluster_assign(args)));
}

void ScoreQueries::set(MatrixRef<const float> q, int64_t first_column, int group, int head_dim, float scale,
                       const float* variance) {
  require(
      group > 0 && head_dim > 0 && first_column >= 0 && first_column + int64_t{group} * head_dim <= q.cols,
      "cluster_scores: shapes disagree");
  rows_ = q.rows * group;
  head_dim_ = head_dim;
  const auto rows = static_cast<size_t>(rows_);
  codes_.resize(rows * static_cast<size_t>(code_stride()));
  scales_.resize(rows);
  sums_.resize(rows);
  terms_.resize(variance != nullptr ? rows : 0);
  if (variance != nullptr) {
    const double total = std::accumulate(variance, variance + head_dim, 0.0);
    const double factor = total > 0 ? 0.5 * double{scale} * double{scale} * head_dim / total : 0.0;
    weights_.resize(static_cast<size_t>(head_dim));
    std::transform(variance, variance + head_dim, weights_.begin(),
                   [&](float v) { return static_cast<float>(v * factor); });
  }
  kernels().round_queries({q.data + first_column, q.stride, rows_, group, head_dim, scale,
                           variance != nullptr ? weights_.data() : nullptr, codes_.data(), code_stride(),
                           scales_.data(), terms_.data(), sums_.data()});
}

void cluster_scores(const ScoreQueries& queries, const ClusterTable& table, MatrixRef<float> out) {
  require(table.stride % 16 == 0 && table.clusters >= 0 && table.clusters <= table.stride &&
              out.rows == queries.rows() && out.cols == table.stride &&
              (table.spreads == nullptr || queries.terms().size() == static_cast<size_t>(queries.rows())),
          "cluster_scores: shapes disagree");
  kernels().cluster_scores({queries.codes(), queries.code_stride(), queries.rows(), queries.head_dim(),
                            queries.scales(), queries.terms().data(), queries.sums(), table.means,
                            table.scales, table.spreads, table.clusters, table.stride, out.data, out.stride});
}

void square_roots(const float* from, int64_t n, float* to) {
  kernels().square_roots(to, from, n);
}

void cluster_estimate(MatrixRef<float> densities, const float* counts, const ValueTable& table, float* sum,
                      MatrixRef<float> values) {
  require(densities.cols % 16 == 0 && values.cols % 16 == 0 && values.rows == densities.rows,
          "cluster_estimate: shapes disagree");
  kernels().cluster_estimate({densities.data, densities.stride, densities.rows, densities.cols, counts,
                              table.means, table.scales, values.cols, sum, values.data, values.stride});
}

}  // namespace ev::ops
