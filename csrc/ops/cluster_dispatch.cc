// The public functions of hash_codes, cluster_assign, cluster_scores and cluster_estimate: check, then call
// the active ISA's kernel.
#include <algorithm>
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

void cluster_scores(MatrixRef<const float> q, int64_t first_column, int group, int head_dim,
                    const ClusterTable& table, float scale, MatrixRef<float> out) {
  require(group > 0 && head_dim > 0 && first_column >= 0 &&
              first_column + int64_t{group} * head_dim <= q.cols && table.stride % 16 == 0 &&
              table.clusters >= 0 && table.clusters <= table.stride && out.rows == q.rows * group &&
              out.cols == table.stride,
          "cluster_scores: shapes disagree");
  kernels().cluster_scores({q.data + first_column, q.stride, out.rows, group, head_dim, table.means,
                            table.scales, table.clusters, table.stride, scale, out.data, out.stride});
}

void spread_terms(MatrixRef<const float> q, int64_t first_column, int group, int head_dim,
                  const float* variance, float scale, float* terms) {
  require(
      group > 0 && head_dim > 0 && first_column >= 0 && first_column + int64_t{group} * head_dim <= q.cols,
      "spread_terms: shapes disagree");
  double total = 0;
  for (int d = 0; d < head_dim; ++d) total += double{variance[d]};
  const double factor = total > 0 ? 0.5 * double{scale} * double{scale} * head_dim / total : 0.0;
  for (int64_t row = 0; row < q.rows * group; ++row) {
    const float* x = q.row(row / group) + first_column + row % group * head_dim;
    double sum = 0;
    for (int d = 0; d < head_dim; ++d) sum += double{x[d]} * double{x[d]} * double{variance[d]};
    terms[row] = static_cast<float>(sum * factor);
  }
}

void add_spread(const float* terms, const float* spreads, MatrixRef<float> scores) {
  for (int64_t row = 0; row < scores.rows; ++row)
    kernels().add_capped(scores.row(row), spreads, terms[row], kMostSpread, scores.cols);
}

void cluster_estimate(MatrixRef<float> densities, const int32_t* counts, const uint8_t* marks,
                      const ValueTable& table, float* sum, MatrixRef<float> values) {
  require(densities.cols % 16 == 0 && values.cols % 16 == 0 && values.rows == densities.rows,
          "cluster_estimate: shapes disagree");
  thread_local std::vector<float> weights;
  weights.assign(static_cast<size_t>(densities.cols), 0.0f);
  bool any = false;
  for (int64_t c = 0; c < densities.cols; ++c) {
    if (marks[c] != 0 || counts[c] == 0) continue;
    weights[static_cast<size_t>(c)] = static_cast<float>(counts[c]);
    any = true;
  }
  if (!any) return;  // densities may then hold anything
  kernels().cluster_estimate({densities.data, densities.stride, densities.rows, densities.cols,
                              weights.data(), table.means, table.scales, values.cols, sum, values.data,
                              values.stride});
}

}  // namespace ev::ops
