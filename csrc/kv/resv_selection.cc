#include "kv/resv_selection.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "ops/cluster_estimate.h"
#include "ops/cluster_scores.h"

namespace ev::kv {
namespace {

constexpr uint32_t kPause = 8;

float score_scale(const ops::KvShape& s) {
  return 1.0f / std::sqrt(static_cast<float>(s.head_dim));
}

// Adds the nanoseconds of its life.
class Stopwatch {
 public:
  explicit Stopwatch(uint64_t& total) : total_(total) {}
  ~Stopwatch() {
    total_ +=
        static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now() - began_).count());
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  uint64_t& total_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace

std::string ResvSelection::name() const {
  if (policy_.everything) return "resv, everything";
  std::string share = std::to_string(policy_.rule.threshold);
  return "resv, " + share.substr(0, 4) + " of the mass" + (policy_.rule.pooled ? "" : " of every row");
}

std::unique_ptr<Selection> ResvSelection::clone() const {
  // A fork asks something of its own: it does not rest because the stream does.
  return std::make_unique<ResvSelection>(policy_, static_cast<uint32_t>(stats_.size()));
}

void ResvSelection::begin_step(const KvCache& cache) {
  cache_ = &cache;
  const uint32_t kept = cache.kept(), rows = cache.pending();
  const uint32_t sealed_end = std::min(cache.window().sinks, kept) + cache.sealed();
  away_.begin_step(cache);
  if (!away_.any()) {
    everything_.clear();
    cache.add_extents(0, kept + rows, everything_);
    dense_plan_.set(everything_, rows, cache.layout().shape);
  }
  std::vector<ops::Extent> resident;
  cache.add_extents(0, std::min(cache.window().sinks, kept), resident);
  cache.add_extents(sealed_end, kept + rows - sealed_end, resident);
  resident_plan_.set(resident, rows, cache.layout().shape);
}

const std::vector<ops::Extent>& ResvSelection::attended(size_t head) const {
  return dense_ ? everything_ : heads_[head].extents;
}

const Plans& ResvSelection::all(uint32_t layer) {
  dense_ = true;
  if (away_.any()) {
    away_.want_all();
    away_.hold(layer);
    everything_.clear();
    add_extents(layer, 0, cache_->kept() + cache_->pending(), everything_);
    dense_plan_.set(everything_, cache_->pending(), cache_->layout().shape);
  }
  plans_.heads = {&dense_plan_};
  plans_.rest.clear();
  return plans_;
}

void ResvSelection::add_extents(uint32_t layer, uint32_t first, uint32_t count,
                                std::vector<ops::Extent>& out) const {
  away_.any() ? cache_->add_layer_extents(layer, first, count, away_.where(), out)
              : cache_->add_extents(first, count, out);
}

const Plans& ResvSelection::plans(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads) {
  LayerStats& stats = stats_[layer];
  const ops::KvShape& shape = cache_->layout().shape;
  const int64_t token_bytes = shape.key_bytes() + shape.value_bytes();
  const int64_t sealed = cache_->sealed();
  const bool capped = policy_.rule.max_tokens > 0 && sealed > policy_.rule.max_tokens;
  away_.begin_layer();
  plans_.layer = away_.any() ? cache_->layer_view() : cache_->layout().layer(layer);
  if (sealed > 0) ++stats.steps;
  const auto attend_all = [&]() -> const Plans& {
    if (sealed > 0) {
      ++stats.dense;
      stats.retrieved += 1.0;
    }
    const int64_t tokens = int64_t{cache_->kept()} + cache_->pending();
    stats.kv_bytes += static_cast<uint64_t>(tokens * shape.num_kv_heads * token_bytes);
    return all(layer);
  };
  if (sealed == 0 || (sealed < policy_.min_sealed && !capped)) return attend_all();
  if (pause_[layer] > 0) {
    --pause_[layer];
    return attend_all();
  }

  choose(layer, q, threads);
  int64_t chosen = 0;
  for (const Head& head : heads_) {
    chosen += head.chosen;
    stats.bound = std::max(stats.bound, head.bound);
  }
  for (const SegmentPtr& segment : cache_->segments()) {
    const LayerClusters& clusters = segment->layers[layer];
    stats.table_bytes += clusters.summaries.bytes() + (policy_.estimate ? clusters.moments.bytes() : 0);
  }
  const double share = static_cast<double>(chosen) / static_cast<double>(sealed * shape.num_kv_heads);
  if (share > policy_.dense_share && !policy_.everything && !capped) {
    pause_[layer] = kPause;
    return attend_all();
  }
  stats.retrieved += share;
  stats.kv_bytes +=
      static_cast<uint64_t>((chosen + resident_plan_.num_tokens() * shape.num_kv_heads) * token_bytes);
  return chosen_plans(layer, q.rows, threads);
}

const Plans& ResvSelection::chosen_plans(uint32_t layer, int64_t rows, ThreadPool& threads) {
  dense_ = false;
  if (away_.any()) {
    for (const Head& head : heads_) want_chosen(layer, head);
    away_.hold(layer);
  }
  const auto for_heads = [&](const auto& fn) {
    threads.parallel_for(static_cast<int64_t>(heads_.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) fn(static_cast<size_t>(i));
    });
  };
  {
    const Stopwatch stopwatch(prediction_ns_);
    for_heads([&](size_t i) {
      list_chosen(layer, heads_[i]);
      heads_[i].plan.set(heads_[i].extents, rows, cache_->layout().shape);
    });
  }
  plans_.heads.clear();
  plans_.rest.clear();
  for (const Head& head : heads_) plans_.heads.push_back(&head.plan);
  if (!estimates()) return plans_;
  for_heads([&](size_t i) { estimate_head(layer, i); });
  for (const Head& head : heads_)
    plans_.rest.push_back({head.tops.data(), head.weights.data(), head.values.data()});
  return plans_;
}

// Reads the densities that select_mass() left in place of the scores.
void ResvSelection::estimate_head(uint32_t layer, size_t index) {
  Head& head = heads_[index];
  const auto rows = static_cast<int64_t>(head.tops.size()), columns = static_cast<int64_t>(counts_.size());
  const int64_t v_stride = cache_->layout().shape.v_stride();
  const MatrixRef<float> densities(head.scores.data(), rows, columns);
  head.weights.assign(head.tops.size(), 0.0f);
  head.values.assign(static_cast<size_t>(rows * v_stride), 0.0f);
  const MatrixRef<float> values(head.values.data(), rows, v_stride);
  int64_t column = 0;
  for (const SegmentPtr& segment : cache_->segments()) {
    const LayerClusters& clusters = segment->layers[layer];
    const int64_t stride = clusters.summaries.stride, at = static_cast<int64_t>(index) * stride;
    const ops::ValueTable table{clusters.moments.value_means.data() + at * v_stride,
                                clusters.moments.value_scales.data() + at};
    ops::cluster_estimate(densities.columns(column, stride), counts_.data() + column,
                          head.marks.data() + column, table, head.weights.data(), values);
    column += stride;
  }
}

void ResvSelection::choose(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads) {
  const Stopwatch stopwatch(prediction_ns_);
  const ops::KvShape& shape = cache_->layout().shape;
  const auto kv_heads = static_cast<size_t>(shape.num_kv_heads);
  const int num_q_heads = static_cast<int>(q.cols / shape.head_dim);
  counts_.clear();
  for (const SegmentPtr& segment : cache_->segments()) {
    const LayerClusters& clusters = segment->layers[layer];
    const size_t end = counts_.size() + static_cast<size_t>(clusters.summaries.stride);
    for (size_t c = 1; c < clusters.begin.size(); ++c)
      counts_.push_back(clusters.begin[c] - clusters.begin[c - 1]);
    counts_.resize(end);
  }
  resident_max_.resize(static_cast<size_t>(q.rows * num_q_heads));
  resident_sum_.resize(resident_max_.size());
  ops::attention_mass(q, num_q_heads, cache_->layout().layer(layer), resident_plan_, score_scale(shape),
                      resident_max_.data(), resident_sum_.data(), threads);
  heads_.resize(kv_heads);
  threads.parallel_for(shape.num_kv_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t head = begin; head < end; ++head) choose_head(layer, static_cast<size_t>(head), q);
  });
}

void ResvSelection::choose_head(uint32_t layer, size_t index, MatrixRef<const float> q) {
  Head& head = heads_[index];
  const ops::KvShape& shape = cache_->layout().shape;
  const auto columns = static_cast<int64_t>(counts_.size());
  const int group = static_cast<int>(q.cols / shape.head_dim) / shape.num_kv_heads;
  const int64_t rows = q.rows * group;
  head.scores.resize(static_cast<size_t>(rows * columns));
  const MatrixRef<float> scores(head.scores.data(), rows, columns);
  int64_t column = 0;
  for (const SegmentPtr& segment : cache_->segments()) {
    const ops::ClusterSummaries& s = segment->layers[layer].summaries;
    const auto at = static_cast<int64_t>(index) * s.stride;
    const ops::ClusterTable table{s.means.data() + at * shape.head_dim, s.scales.data() + at, s.clusters,
                                  s.stride};
    ops::cluster_scores(q, static_cast<int64_t>(index) * group * shape.head_dim, group, shape.head_dim, table,
                        score_scale(shape), scores.columns(column, s.stride));
    column += s.stride;
  }
  head.marks.resize(counts_.size());
  const float* resident_max = resident_max_.data() + static_cast<int64_t>(index) * rows;
  const float* resident_sum = resident_sum_.data() + static_cast<int64_t>(index) * rows;
  ops::MassRule rule = policy_.rule;
  if (policy_.everything) rule.threshold = 1.0f;
  head.tops.assign(static_cast<size_t>(rows), 0.0f);
  const std::vector<float> kept(policy_.certify ? head.scores : std::vector<float>());
  const ops::Doubt doubt = estimates() ? widen_head(layer, index, q, scores) : ops::Doubt();
  ops::select_mass(scores, counts_.data(), resident_max, resident_sum, rule, head.marks.data(),
                   head.tops.data(), doubt);
  if (policy_.certify) certify_head(layer, index, q, {kept.data(), rows, columns});
  if (lacks_recent()) {
    const int32_t newest = cache_->segments().back()->layers[layer].summaries.stride;
    for (size_t c = counts_.size() - static_cast<size_t>(newest); c < counts_.size(); ++c)
      head.marks[c] = counts_[c] > 0;
  }
  head.chosen = 0;
  for (size_t c = 0; c < counts_.size(); ++c) head.chosen += head.marks[c] != 0 ? counts_[c] : 0;
}

// Adds the spread of the clusters' keys to the scores; returns what it makes of their masses.
ops::Doubt ResvSelection::widen_head(uint32_t layer, size_t index, MatrixRef<const float> q,
                                     MatrixRef<float> scores) {
  Head& head = heads_[index];
  head.terms.resize(static_cast<size_t>(scores.rows));
  head.row_doubts.resize(head.terms.size());
  head.doubts.resize(counts_.size());
  const auto head_dim = cache_->layout().shape.head_dim;
  const auto group = static_cast<int>(scores.rows / q.rows);
  const auto kv_head = static_cast<int64_t>(index);
  const std::vector<float>& variance = cache_->segments().back()->layers[layer].moments.variance;
  ops::spread_terms(q, kv_head * group * head_dim, group, head_dim, variance.data() + kv_head * head_dim,
                    score_scale(cache_->layout().shape), head.terms.data());
  std::transform(head.terms.begin(), head.terms.end(), head.row_doubts.begin(),
                 [](float term) { return std::sqrt(2.0f * term); });
  int64_t column = 0;
  for (const SegmentPtr& segment : cache_->segments()) {
    const LayerClusters& clusters = segment->layers[layer];
    const int64_t stride = clusters.summaries.stride;
    const float* spreads = clusters.moments.spreads.data() + kv_head * stride;
    ops::add_spread(head.terms.data(), spreads, scores.columns(column, stride));
    std::transform(spreads, spreads + stride, head.doubts.begin() + column,
                   [](float spread) { return std::sqrt(spread); });
    column += stride;
  }
  return {head.row_doubts.data(), head.doubts.data()};
}

// After a resume the stream may go on right behind a sealed segment, which then stands in for recent tokens.
bool ResvSelection::lacks_recent() const {
  const uint32_t unsealed =
      cache_->kept() - std::min(cache_->window().sinks, cache_->kept()) - cache_->sealed();
  return unsealed < cache_->sealer()->policy().recent;
}

void ResvSelection::certify_head(uint32_t layer, size_t index, MatrixRef<const float> q,
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

void ResvSelection::want_chosen(uint32_t layer, const Head& head) {
  size_t column = 0;
  for (size_t i = 0; i < cache_->away().size(); ++i) {
    const LayerClusters& clusters = cache_->segments()[i]->layers[layer];
    for (size_t c = 0; c + 1 < clusters.begin.size(); ++c)
      if (head.marks[column + c] != 0)
        away_.want(i, clusters.begin[c], clusters.begin[c + 1] - clusters.begin[c]);
    column += static_cast<size_t>(clusters.summaries.stride);
  }
}

// Neighbouring clusters are attended as one run.
void ResvSelection::list_chosen(uint32_t layer, Head& head) const {
  const uint32_t sinks = cache_->window().sinks;
  const uint32_t sealed_end = sinks + cache_->sealed();
  head.extents.clear();
  add_extents(layer, 0, sinks, head.extents);
  uint32_t first = sinks, count = 0;  // the run that is growing
  uint32_t start = sinks;
  size_t column = 0;
  for (const SegmentPtr& segment : cache_->segments()) {
    const LayerClusters& clusters = segment->layers[layer];
    for (size_t c = 0; c + 1 < clusters.begin.size(); ++c) {
      if (head.marks[column + c] == 0) continue;
      const uint32_t at = start + static_cast<uint32_t>(clusters.begin[c]);
      if (at != first + count) {
        add_extents(layer, first, count, head.extents);
        first = at;
        count = 0;
      }
      count += static_cast<uint32_t>(clusters.begin[c + 1] - clusters.begin[c]);
    }
    column += static_cast<size_t>(clusters.summaries.stride);
    start += segment->tokens;
  }
  add_extents(layer, first, count, head.extents);
  add_extents(layer, sealed_end, cache_->kept() + cache_->pending() - sealed_end, head.extents);
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
