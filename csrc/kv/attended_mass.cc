#include "kv/attended_mass.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kv/page_rows.h"
#include "ops/cluster_scores.h"

namespace ev::kv {
namespace {

// The scores of one row, clusters first; what each counts for, and who gets its share.
struct Scores {
  std::vector<float> clusters;  // [rows, columns]
  std::vector<int32_t> counts;  // [columns]
  std::vector<float> tokens;    // [unsealed tokens]
};

// Summed in lanes, so that it can be done in vectors.
float dot(const float* a, const float* b, int64_t n) {
  constexpr int64_t kLanes = 16;
  float sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  return sums[0];
}

}  // namespace

void AttendedMass::begin_step(const KvCache& cache) {
  inner_->begin_step(cache);
  cache_ = &cache;
  counts_.resize(static_cast<size_t>(cache.layout().shape.num_kv_heads));
  const auto gone = static_cast<std::ptrdiff_t>(cache.evicted() - evicted_);
  const auto sinks = static_cast<std::ptrdiff_t>(cache.window().sinks);
  for (Counts& counts : counts_)
    for (std::vector<double>* of_tokens : {&counts.sums, &counts.peaks}) {
      const auto end = static_cast<std::ptrdiff_t>(of_tokens->size());
      if (gone > 0 && end > 0)  // the window has slid: the oldest behind the sinks are gone
        of_tokens->erase(of_tokens->begin() + sinks, of_tokens->begin() + std::min(sinks + gone, end));
      of_tokens->resize(cache.kept() + cache.pending());
    }
  evicted_ = cache.evicted();
}

const Plans& AttendedMass::plans(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads) {
  read_unsealed(layer);
  threads.parallel_for(static_cast<int64_t>(counts_.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t head = begin; head < end; ++head) add_head(layer, head, q);
  });
  rows_ += static_cast<uint64_t>(q.rows * (q.cols / cache_->layout().shape.head_dim));
  return inner_->plans(layer, q, threads);
}

std::vector<float> AttendedMass::shares() const {
  std::vector<float> out(counts_.empty() ? 0 : counts_.front().sums.size());
  for (const Counts& counts : counts_)
    for (size_t i = 0; i < out.size(); ++i)
      out[i] += static_cast<float>(counts.sums[i] / static_cast<double>(std::max(rows_, uint64_t{1})));
  return out;
}

std::vector<float> AttendedMass::peaks() const {
  std::vector<float> out(counts_.empty() ? 0 : counts_.front().peaks.size());
  for (const Counts& counts : counts_)
    for (size_t i = 0; i < out.size(); ++i) out[i] = std::max(out[i], static_cast<float>(counts.peaks[i]));
  return out;
}

void AttendedMass::read_unsealed(uint32_t layer) {
  const int64_t page_size = cache_->layout().page_size();
  const int64_t width = int64_t{cache_->layout().shape.num_kv_heads} * cache_->layout().shape.head_dim;
  const uint32_t kept = cache_->kept() + cache_->pending();
  const uint32_t sinks = std::min(cache_->window().sinks, kept), sealed_end = sinks + cache_->sealed();
  unsealed_.tokens.resize(kept - cache_->sealed());
  std::iota(unsealed_.tokens.begin(), unsealed_.tokens.begin() + sinks, 0u);
  std::iota(unsealed_.tokens.begin() + sinks, unsealed_.tokens.end(), sealed_end);
  unsealed_.keys.resize(unsealed_.tokens.size() * static_cast<size_t>(width));
  std::vector<ops::Extent> extents;
  cache_->add_extents(0, sinks, extents);
  cache_->add_extents(sealed_end, kept - sealed_end, extents);
  std::vector<float> memory(static_cast<size_t>(page_size * width));
  const MatrixRef<float> page(memory.data(), page_size, width);
  float* to = unsealed_.keys.data();
  for (const ops::Extent& e : extents) {
    read_keys(cache_->layout().layer(layer), static_cast<const uint8_t*>(e.page), page);
    to = std::copy_n(page.row(e.first), e.count * width, to);
  }
}

void AttendedMass::add_head(uint32_t layer, int64_t head, MatrixRef<const float> q) {
  const ops::KvShape& shape = cache_->layout().shape;
  const int64_t dim = shape.head_dim, width = dim * shape.num_kv_heads;
  const int group = static_cast<int>(q.cols / dim) / shape.num_kv_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  const std::vector<SegmentPtr>& segments = cache_->segments();
  const bool spreads = !segments.empty() && cache_->sealer()->policy().moments;
  ops::ScoreQueries queries;
  queries.set(q, head * group * dim, group, shape.head_dim, scale,
              spreads ? segments.back()->layers[layer].moments.variance.data() + head * dim : nullptr);
  Scores scores;
  for (const SegmentPtr& segment : segments) {
    const LayerClusters& clusters = segment->layers[layer];
    const size_t first = scores.counts.size();
    scores.counts.resize(first + static_cast<size_t>(clusters.summaries.stride));
    for (size_t c = 0; c + 1 < clusters.begin.size(); ++c)
      scores.counts[first + c] = clusters.begin[c + 1] - clusters.begin[c];
  }
  const auto columns = static_cast<int64_t>(scores.counts.size());
  scores.clusters.resize(static_cast<size_t>(queries.rows() * columns));
  scores.tokens.resize(unsealed_.tokens.size());
  const MatrixRef<float> by_cluster(scores.clusters.data(), queries.rows(), columns);
  int64_t column = 0;
  for (const SegmentPtr& segment : segments) {
    const LayerClusters& clusters = segment->layers[layer];
    const int64_t stride = clusters.summaries.stride, at = head * stride;
    const ops::ClusterTable table{clusters.summaries.means.data() + at * dim,
                                  clusters.summaries.scales.data() + at, clusters.summaries.clusters,
                                  clusters.summaries.stride,
                                  spreads ? clusters.moments.spreads.data() + at : nullptr};
    ops::cluster_scores(queries, table, by_cluster.columns(column, stride));
    column += stride;
  }

  Counts clusters_get{std::vector<double>(scores.counts.size()), std::vector<double>(scores.counts.size())};
  Counts tokens_get{std::vector<double>(scores.tokens.size()), std::vector<double>(scores.tokens.size())};
  const auto give = [](Counts& to, size_t i, double share) {
    to.sums[i] += share;
    to.peaks[i] = std::max(to.peaks[i], share);
  };
  for (int64_t row = 0; row < queries.rows(); ++row) {
    const float* query = q.row(row / group) + (head * group + row % group) * dim;
    // A row sees its own token and the step's earlier ones, which come last.
    const size_t seen = scores.tokens.size() - static_cast<size_t>(q.rows - 1 - row / group);
    float top = -std::numeric_limits<float>::infinity();
    for (int64_t c = 0; c < columns; ++c) top = std::max(top, by_cluster.row(row)[c]);
    for (size_t i = 0; i < seen; ++i) {
      scores.tokens[i] =
          scale * dot(query, unsealed_.keys.data() + static_cast<int64_t>(i) * width + head * dim, dim);
      top = std::max(top, scores.tokens[i]);
    }
    double total = 0;
    for (int64_t c = 0; c < columns; ++c) {
      float& score = by_cluster.row(row)[c];
      score = std::exp(score - top);
      total += double{score} * scores.counts[static_cast<size_t>(c)];
    }
    for (size_t i = 0; i < seen; ++i) total += double{scores.tokens[i] = std::exp(scores.tokens[i] - top)};
    const double unit = 1.0 / total;
    for (int64_t c = 0; c < columns; ++c)
      give(clusters_get, static_cast<size_t>(c), unit * double{by_cluster.row(row)[c]});
    for (size_t i = 0; i < seen; ++i) give(tokens_get, i, unit * double{scores.tokens[i]});
  }
  Counts& kept = counts_[static_cast<size_t>(head)];
  const auto add = [&kept](size_t token, double sum, double peak) {
    kept.sums[token] += sum;
    kept.peaks[token] = std::max(kept.peaks[token], peak);
  };
  for (size_t i = 0; i < scores.tokens.size(); ++i)
    add(unsealed_.tokens[i], tokens_get.sums[i], tokens_get.peaks[i]);
  size_t first = cache_->window().sinks, column_of = 0;
  for (const SegmentPtr& segment : segments) {
    const LayerClusters& clusters = segment->layers[layer];
    for (size_t c = 0; c + 1 < clusters.begin.size(); ++c)
      for (int32_t slot = clusters.begin[c]; slot < clusters.begin[c + 1]; ++slot) {
        const size_t token = first + clusters.order[static_cast<size_t>(slot)];
        add(token, clusters_get.sums[column_of + c],
            clusters_get.peaks[column_of + c] * scores.counts[column_of + c]);
      }
    column_of += static_cast<size_t>(clusters.summaries.stride);
    first += segment->tokens;
  }
}

}  // namespace ev::kv
