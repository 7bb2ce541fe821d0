#include "kv/resv_selection.h"

#include <algorithm>

#include "base/stopwatch.h"

namespace ev::kv {
namespace {

constexpr uint32_t kPause = 8;

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
  away_.begin_step(cache);
  choice_.begin_step(cache);
  if (away_.any()) return;
  everything_.clear();
  cache.add_extents(0, cache.kept() + cache.pending(), everything_);
  dense_plan_.set(everything_, cache.pending(), cache.layout().shape);
}

std::vector<ops::Extent> ResvSelection::attended(size_t head) const {
  if (dense_) return everything_;
  std::vector<ops::Extent> all = heads_[head].extents;
  if (!choice_.joins_resident()) return all;
  const uint32_t sinks = cache_->window().sinks, sealed_end = sinks + cache_->sealed();
  add_extents(layer_, 0, sinks, all);
  add_extents(layer_, sealed_end, cache_->kept() + cache_->pending() - sealed_end, all);
  return all;
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
  const bool capped = choice_.capped();
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

  // With estimates this is attention's own work, joined to the rest of it later; without, it is done twice.
  if (choice_.joins_resident()) choice_.attend_resident(layer, q, threads);
  {
    const Stopwatch stopwatch(prediction_ns_);
    if (!choice_.joins_resident()) choice_.attend_resident(layer, q, threads);
    choice_.choose(layer, q, threads);
  }
  int64_t chosen = 0;
  for (const ClusterChoice::Head& head : choice_.heads()) {
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
      static_cast<uint64_t>((chosen + choice_.resident_tokens() * shape.num_kv_heads) * token_bytes);
  return chosen_plans(layer, q.rows, threads);
}

const Plans& ResvSelection::chosen_plans(uint32_t layer, int64_t rows, ThreadPool& threads) {
  dense_ = false;
  layer_ = layer;
  if (away_.any()) {
    for (const ClusterChoice::Head& head : choice_.heads()) want_chosen(layer, head.marks);
    away_.hold(layer);
  }
  heads_.resize(choice_.heads().size());
  {
    const Stopwatch stopwatch(prediction_ns_);
    threads.parallel_for(static_cast<int64_t>(heads_.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t head = begin; head < end; ++head) plan_head(layer, static_cast<size_t>(head), rows);
    });
  }
  plans_.heads.clear();
  for (const HeadPlan& head : heads_) plans_.heads.push_back(&head.plan);
  choice_.list_rest(layer, threads, plans_.rest);
  return plans_;
}

void ResvSelection::want_chosen(uint32_t layer, const std::vector<uint8_t>& marks) {
  size_t column = 0;
  for (size_t i = 0; i < cache_->away().size(); ++i) {
    const LayerClusters& clusters = cache_->segments()[i]->layers[layer];
    for (size_t c = 0; c + 1 < clusters.begin.size(); ++c)
      if (marks[column + c] != 0) away_.want(i, clusters.begin[c], clusters.begin[c + 1] - clusters.begin[c]);
    column += static_cast<size_t>(clusters.summaries.stride);
  }
}

void ResvSelection::plan_head(uint32_t layer, size_t index, int64_t rows) {
  HeadPlan& head = heads_[index];
  list_chosen(layer, choice_.heads()[index].marks, head.extents);
  if (choice_.joins_resident())
    head.plan.set_past(head.extents, rows, cache_->layout().shape);
  else
    head.plan.set(head.extents, rows, cache_->layout().shape);
}

// Neighbouring clusters are attended as one run.
void ResvSelection::list_chosen(uint32_t layer, const std::vector<uint8_t>& marks,
                                std::vector<ops::Extent>& extents) const {
  const uint32_t sinks = cache_->window().sinks;
  const uint32_t sealed_end = sinks + cache_->sealed();
  extents.clear();
  if (!choice_.joins_resident()) add_extents(layer, 0, sinks, extents);
  uint32_t first = sinks, count = 0;  // the run that is growing
  uint32_t start = sinks;
  size_t column = 0;
  for (const SegmentPtr& segment : cache_->segments()) {
    const LayerClusters& clusters = segment->layers[layer];
    for (size_t c = 0; c + 1 < clusters.begin.size(); ++c) {
      if (marks[column + c] == 0) continue;
      const uint32_t at = start + static_cast<uint32_t>(clusters.begin[c]);
      if (at != first + count) {
        add_extents(layer, first, count, extents);
        first = at;
        count = 0;
      }
      count += static_cast<uint32_t>(clusters.begin[c + 1] - clusters.begin[c]);
    }
    column += static_cast<size_t>(clusters.summaries.stride);
    start += segment->tokens;
  }
  add_extents(layer, first, count, extents);
  if (choice_.joins_resident()) return;
  add_extents(layer, sealed_end, cache_->kept() + cache_->pending() - sealed_end, extents);
}

}  // namespace ev::kv
