#include "kv/cluster_choice.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "kv/page_limit.h"
#include "ops/cluster_estimate.h"

namespace ev::kv {
namespace {

constexpr int64_t kEstimateRows = 18;     // that share one pass over the mean values
constexpr size_t kEstimateSegments = 16;  // whose estimates are summed by themselves

float score_scale(const ops::KvShape& s) {
  return 1.0f / std::sqrt(static_cast<float>(s.head_dim));
}

// Asks for memory that is read next. Tables lie apart, segment by segment, and each is read once a step, so
// the hardware does not see them coming.
template <class T>
void prefetch(const std::vector<T>& table, int64_t first, int64_t count) {
  const auto* bytes = reinterpret_cast<const char*>(table.data() + first);
  for (int64_t i = 0; i < count * static_cast<int64_t>(sizeof(T)); i += 64) __builtin_prefetch(bytes + i);
}

// fn(0) ... fn(n - 1), dealt over the threads.
template <class Fn>
void for_each(int64_t n, ThreadPool& threads, const Fn& fn) {
  threads.parallel_for(n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) fn(i);
  });
}

}  // namespace

void ClusterChoice::begin_step(const KvCache& cache) {
  cache_ = &cache;
  const uint32_t kept = cache.kept(), rows = cache.pending();
  const uint32_t sinks = std::min(cache.window().sinks, kept), sealed_end = sinks + cache.sealed();
  std::vector<ops::Extent> resident;
  cache.add_extents(0, sinks, resident);
  cache.add_extents(sealed_end, kept + rows - sealed_end, resident);
  resident_plan_.set(resident, rows, cache.layout().shape);
}

void ClusterChoice::list_rest(uint32_t layer, ThreadPool& threads, std::vector<ops::AttentionRest>& rest) {
  rest.clear();
  if (!joins_resident()) return;
  const int64_t group_rows = heads_.front().queries.rows();
  const int64_t blocks = (group_rows + kEstimateRows - 1) / kEstimateRows;
  const auto parts = static_cast<int64_t>(estimate_parts());
  for_each(static_cast<int64_t>(heads_.size()) * blocks * parts, threads, [&](int64_t unit) {
    const int64_t first = unit % blocks * kEstimateRows;
    estimate_part(layer, static_cast<size_t>(unit / (blocks * parts)), first,
                  std::min(kEstimateRows, group_rows - first), static_cast<size_t>(unit / blocks % parts));
  });
  for (size_t head = 0; head < heads_.size(); ++head) join_parts(head);
  for (const Head& head : heads_) rest.push_back({head.tops.data(), head.weights.data(), head.values.data()});
}

bool ClusterChoice::capped() const {
  if (policy_.everything) return false;
  const int64_t sealed = cache_->sealed();
  return (policy_.rule.max_tokens > 0 && sealed > policy_.rule.max_tokens) ||
         (policy_.max_pages > 0 && sealed > int64_t{policy_.max_pages} * cache_->layout().page_size());
}

size_t ClusterChoice::estimate_parts() const {
  return (cache_->segments().size() + kEstimateSegments - 1) / kEstimateSegments;
}

// Of a part of the segments and some rows. Reads the densities that select_mass() left in place of the
// scores.
void ClusterChoice::estimate_part(uint32_t layer, size_t index, int64_t first, int64_t count, size_t part) {
  Head& head = heads_[index];
  const int64_t v_stride = cache_->layout().shape.v_stride(), rows = head.queries.rows();
  const int64_t columns = static_cast<int64_t>(counts_.size());
  float* weights = head.weights.data() + static_cast<int64_t>(part + 1) * rows + first;
  float* sums = head.values.data() + (static_cast<int64_t>(part + 1) * rows + first) * v_stride;
  std::fill_n(weights, count, 0.0f);
  std::fill_n(sums, count * v_stride, 0.0f);
  if (!head.estimates) return;
  const MatrixRef<float> densities(head.scores.data() + first * columns, count, columns);
  const std::vector<SegmentPtr>& segments = cache_->segments();
  const size_t end = std::min(segments.size(), (part + 1) * kEstimateSegments);
  for (size_t i = part * kEstimateSegments; i < end; ++i) {
    const LayerClusters& clusters = segments[i]->layers[layer];
    const int64_t stride = clusters.summaries.stride, at = static_cast<int64_t>(index) * stride;
    if (i + 1 < end) {
      const LayerClusters& next = segments[i + 1]->layers[layer];
      const int64_t size = next.summaries.stride;
      prefetch(next.moments.value_means, static_cast<int64_t>(index) * size * v_stride, size * v_stride);
      prefetch(next.moments.value_scales, static_cast<int64_t>(index) * size, size);
    }
    const ops::ValueTable table{clusters.moments.value_means.data() + at * v_stride,
                                clusters.moments.value_scales.data() + at};
    ops::cluster_estimate(densities.columns(columns_[i], stride), head.left.data() + columns_[i], table,
                          weights, {sums, count, v_stride});
  }
}

// Resident tokens first, then the parts in order.
void ClusterChoice::join_parts(size_t index) {
  Head& head = heads_[index];
  const auto rows = static_cast<size_t>(head.queries.rows());
  const auto v_stride = static_cast<size_t>(cache_->layout().shape.v_stride());
  for (size_t row = 0; row < rows; ++row) {
    const size_t at = index * rows + row;
    const float factor = std::exp(resident_max_[at] - head.tops[row]);
    head.weights[row] = factor * resident_sum_[at];
    float* to = head.values.data() + row * v_stride;
    const float* from = resident_values_.data() + at * v_stride;
    std::transform(from, from + v_stride, to, [&](float value) { return factor * value; });
    for (size_t part = 1; part <= estimate_parts(); ++part) {
      head.weights[row] += head.weights[part * rows + row];
      const float* more = head.values.data() + (part * rows + row) * v_stride;
      std::transform(to, to + v_stride, more, to, std::plus<float>());
    }
  }
}

void ClusterChoice::attend_resident(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads) {
  const ops::KvShape& shape = cache_->layout().shape;
  const auto rows = static_cast<size_t>(q.rows * (q.cols / shape.head_dim));
  resident_max_.resize(rows);
  resident_sum_.resize(rows);
  resident_values_.resize(joins_resident() ? rows * static_cast<size_t>(shape.v_stride()) : 0);
  ops::attention_mass(q, static_cast<int>(q.cols / shape.head_dim), cache_->layout().layer(layer),
                      resident_plan_, score_scale(shape), resident_max_.data(), resident_sum_.data(),
                      joins_resident() ? resident_values_.data() : nullptr, threads);
}

void ClusterChoice::choose(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads) {
  const ops::KvShape& shape = cache_->layout().shape;
  list_columns(layer);
  heads_.resize(static_cast<size_t>(shape.num_kv_heads));
  for_each(shape.num_kv_heads, threads,
           [&](int64_t head) { begin_head(layer, static_cast<size_t>(head), q); });
  // A segment's tables of all heads lie one after the other.
  const auto segments = static_cast<int64_t>(cache_->segments().size());
  for_each(segments * shape.num_kv_heads, threads, [&](int64_t unit) {
    const int64_t head = unit % shape.num_kv_heads, segment = unit / shape.num_kv_heads;
    if (segment + 1 < segments) {
      const LayerClusters& next = cache_->segments()[static_cast<size_t>(segment) + 1]->layers[layer];
      const int64_t stride = next.summaries.stride;
      prefetch(next.summaries.means, head * stride * shape.head_dim, stride * shape.head_dim);
      prefetch(next.summaries.scales, head * stride, stride);
      if (estimates()) prefetch(next.moments.spreads, head * stride, stride);
    }
    if (head == 0) count_segment(layer, static_cast<size_t>(segment));
    score_segment(layer, static_cast<size_t>(head), static_cast<size_t>(segment));
  });
  for_each(shape.num_kv_heads, threads,
           [&](int64_t head) { choose_head(layer, static_cast<size_t>(head), q); });
  if (policy_.max_pages > 0 && capped()) keep_within_pages(layer);
}

void ClusterChoice::keep_within_pages(uint32_t layer) {
  std::vector<HeadChoice> choices;
  for (Head& head : heads_) choices.push_back({head.marks.data(), head.pooled.data()});
  const size_t kept = lacks_recent() ? 1 : 0;
  if (limit_pages(cache_->segments(), layer, cache_->layout().page_size(), policy_.max_pages, kept, choices))
    for (Head& head : heads_) count_chosen(head);
}

void ClusterChoice::list_columns(uint32_t layer) {
  columns_.clear();
  int64_t columns = 0;
  for (const SegmentPtr& segment : cache_->segments()) {
    columns_.push_back(columns);
    columns += segment->layers[layer].summaries.stride;
  }
  counts_.resize(static_cast<size_t>(columns));
}

void ClusterChoice::count_segment(uint32_t layer, size_t segment) {
  const LayerClusters& clusters = cache_->segments()[segment]->layers[layer];
  int32_t* counts = counts_.data() + columns_[segment];
  std::adjacent_difference(clusters.begin.begin() + 1, clusters.begin.end(), counts);
  std::fill(counts + clusters.summaries.clusters, counts + clusters.summaries.stride, 0);
}

void ClusterChoice::begin_head(uint32_t layer, size_t index, MatrixRef<const float> q) {
  Head& head = heads_[index];
  const int head_dim = cache_->layout().shape.head_dim;
  const int group = static_cast<int>(q.cols / head_dim) / cache_->layout().shape.num_kv_heads;
  const auto kv_head = static_cast<int64_t>(index);
  const float* variance = nullptr;
  if (estimates())
    variance = cache_->segments().back()->layers[layer].moments.variance.data() + kv_head * head_dim;
  head.queries.set(q, kv_head * group * head_dim, group, head_dim, score_scale(cache_->layout().shape),
                   variance);
  const std::vector<float>& terms = head.queries.terms();
  head.row_doubts.resize(terms.size());
  std::transform(terms.begin(), terms.end(), head.row_doubts.begin(),
                 [](float term) { return std::sqrt(2.0f * term); });
  head.scores.resize(static_cast<size_t>(head.queries.rows()) * counts_.size());
  head.marks.resize(counts_.size());
  if (policy_.max_pages > 0) head.pooled.resize(counts_.size());
  if (estimates()) head.doubts.resize(counts_.size());
  if (!joins_resident()) return;
  head.left.resize(counts_.size());
  head.weights.resize(static_cast<size_t>(head.queries.rows()) * (1 + estimate_parts()));
  head.values.resize(head.weights.size() * static_cast<size_t>(cache_->layout().shape.v_stride()));
}

void ClusterChoice::score_segment(uint32_t layer, size_t index, size_t segment) {
  Head& head = heads_[index];
  const LayerClusters& clusters = cache_->segments()[segment]->layers[layer];
  const ops::ClusterSummaries& s = clusters.summaries;
  const int64_t at = static_cast<int64_t>(index) * s.stride, column = columns_[segment];
  ops::ClusterTable table{s.means.data() + at * head.queries.head_dim(), s.scales.data() + at, s.clusters,
                          s.stride};
  if (estimates()) {
    table.spreads = clusters.moments.spreads.data() + at;
    ops::square_roots(table.spreads, s.stride, head.doubts.data() + column);
  }
  const MatrixRef<float> scores(head.scores.data(), head.queries.rows(),
                                static_cast<int64_t>(counts_.size()));
  ops::cluster_scores(head.queries, table, scores.columns(column, s.stride));
}

void ClusterChoice::choose_head(uint32_t layer, size_t index, MatrixRef<const float> q) {
  Head& head = heads_[index];
  const int64_t rows = head.queries.rows(), at = static_cast<int64_t>(index) * rows;
  const MatrixRef<float> scores(head.scores.data(), rows, static_cast<int64_t>(counts_.size()));
  ops::MassRule rule = policy_.rule;
  if (policy_.everything) rule.threshold = 1.0f;
  const float* resident_max = resident_max_.data() + at;
  head.tops.assign(resident_max, resident_max + rows);
  const std::vector<float> kept(policy_.certify ? head.scores : std::vector<float>());
  const ops::Doubt doubt =
      estimates() ? ops::Doubt{head.row_doubts.data(), head.doubts.data()} : ops::Doubt();
  head.estimates = ops::select_mass(scores, counts_.data(), resident_max, resident_sum_.data() + at, rule,
                                    head.marks.data(), head.tops.data(), doubt,
                                    policy_.max_pages > 0 ? head.pooled.data() : nullptr);
  if (!head.estimates) head.tops.assign(resident_max, resident_max + rows);
  if (policy_.certify) certify_head(layer, index, q, {kept.data(), rows, scores.cols});
  if (lacks_recent()) {
    const int32_t newest = cache_->segments().back()->layers[layer].summaries.stride;
    for (size_t c = counts_.size() - static_cast<size_t>(newest); c < counts_.size(); ++c)
      head.marks[c] = counts_[c] > 0;
  }
  count_chosen(head);
}

void ClusterChoice::count_chosen(Head& head) const {
  head.chosen = 0;
  for (size_t c = 0; c < counts_.size(); ++c) head.chosen += head.marks[c] * counts_[c];
  if (!joins_resident()) return;
  for (size_t c = 0; c < counts_.size(); ++c)
    head.left[c] = static_cast<float>((1 - head.marks[c]) * counts_[c]);
}

// After a resume the stream may go on right behind a sealed segment, which then stands in for recent tokens.
bool ClusterChoice::lacks_recent() const {
  const uint32_t unsealed =
      cache_->kept() - std::min(cache_->window().sinks, cache_->kept()) - cache_->sealed();
  return unsealed < cache_->sealer()->policy().recent;
}

void ClusterChoice::certify_head(uint32_t layer, size_t index, MatrixRef<const float> q,
                                 MatrixRef<const float> scores) {
  const ops::KvShape& shape = cache_->layout().shape;
  const int64_t group = scores.rows / q.rows;
  std::vector<float> radii, norms;
  for (const SegmentPtr& segment : cache_->segments()) {
    const ops::ClusterSummaries& s = segment->layers[layer].summaries;
    const float* first = s.radii.data() + static_cast<int64_t>(index) * s.stride;
    radii.insert(radii.end(), first, first + s.stride);
  }
  for (int64_t row = 0; row < scores.rows; ++row) {
    const float* query =
        q.row(row / group) + (static_cast<int64_t>(index) * group + row % group) * shape.head_dim;
    double squares = 0;
    for (int d = 0; d < shape.head_dim; ++d) squares += double{query[d]} * query[d];
    norms.push_back(static_cast<float>(std::sqrt(squares)) * score_scale(shape));
  }
  const int64_t at = static_cast<int64_t>(index) * scores.rows;
  heads_[index].bound =
      unattended_bound(scores, counts_.data(), radii.data(), norms.data(), resident_max_.data() + at,
                       resident_sum_.data() + at, heads_[index].marks.data());
}

double unattended_bound(MatrixRef<const float> scores, const int32_t* counts, const float* radii,
                        const float* norms, const float* resident_max, const float* resident_sum,
                        const uint8_t* marks) {
  double largest = 0;
  for (int64_t row = 0; row < scores.rows; ++row) {
    double top = double{resident_max[row]};
    for (int64_t c = 0; c < scores.cols; ++c)
      if (counts[c] > 0) top = std::max(top, double{scores.row(row)[c]} + double{norms[row]} * radii[c]);
    double outside = 0, attended = resident_sum[row] * std::exp(resident_max[row] - top);
    for (int64_t c = 0; c < scores.cols; ++c) {
      if (counts[c] == 0) continue;
      const double spread = double{norms[row]} * radii[c] * (marks[c] != 0 ? -1.0 : 1.0);
      (marks[c] != 0 ? attended : outside) += counts[c] * std::exp(double{scores.row(row)[c]} + spread - top);
    }
    const double share = outside > 0 ? outside / (outside + attended) : 0.0;
    largest = share <= largest ? largest : share;  // NaN stays
  }
  return largest;
}

}  // namespace ev::kv
