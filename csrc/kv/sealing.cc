#include "kv/sealing.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "base/error.h"
#include "kv/page_rows.h"

namespace ev::kv {
namespace {

constexpr int64_t kFirstMeanTokens = 256;  // of the first segment, that centre it

std::vector<ops::Extent> whole_pages(const std::vector<uint8_t*>& pages, int page_size) {
  std::vector<ops::Extent> extents;
  for (uint8_t* page : pages) extents.push_back({page, 0, page_size});
  return extents;
}

std::vector<float> mean_of(MatrixRef<const float> rows) {
  std::vector<float> mean(static_cast<size_t>(rows.cols));
  for (int64_t i = 0; i < rows.rows; ++i)
    for (int64_t c = 0; c < rows.cols; ++c) mean[static_cast<size_t>(c)] += rows.row(i)[c];
  for (float& m : mean) m /= static_cast<float>(rows.rows);
  return mean;
}

// `mean` becomes that of what went `before` and of itself, a `share` of all.
void average(const std::vector<float>& before, float share, std::vector<float>& mean) {
  for (size_t c = 0; c < mean.size(); ++c) mean[c] = before[c] + (mean[c] - before[c]) * share;
}

std::vector<float> in_order(MatrixRef<const float> rows, const std::vector<int32_t>& order) {
  std::vector<float> sorted;
  sorted.reserve(order.size() * static_cast<size_t>(rows.cols));
  for (const int32_t token : order) sorted.insert(sorted.end(), rows.row(token), rows.row(token) + rows.cols);
  return sorted;
}

}  // namespace

size_t Segment::bytes() const {
  size_t total = 0;
  for (const LayerClusters& l : layers)
    total += l.summaries.bytes() + l.moments.bytes() + l.begin.size() * sizeof(int32_t) +
             l.order.size() * sizeof(uint16_t) + l.mean.size() * sizeof(float);
  return total;
}

Sealer::Sealer(const SealPolicy& policy, const PageLayout& layout, const KeyRotation& rotation)
    : policy_(policy), layout_(layout), rotation_(rotation) {
  if (policy.segment == 0 || policy.segment % layout.page_size() != 0 ||
      policy.segment > std::numeric_limits<uint16_t>::max() + 1u)
    throw Error(ErrorCode::kInvalidArgument, "a segment must fill whole pages and hold at most 65536 tokens");
  if (policy.mean_clusters % kClusterSteps != 0)
    throw Error(ErrorCode::kInvalidArgument,
                "mean_clusters must be a multiple of " + std::to_string(kClusterSteps));
  const int64_t dims = int64_t{layout.shape.num_kv_heads} * layout.shape.head_dim;
  for (uint32_t layer = 0; layer < layout.n_layers; ++layer) planes_.emplace_back(policy.seed, layer, dims);
}

SegmentPtr Sealer::seal(const std::vector<uint8_t*>& from, const std::vector<uint8_t*>& to,
                        uint64_t first_position, const std::vector<SegmentPtr>& before,
                        ThreadPool& threads) const {
  const Segment* previous = before.empty() ? nullptr : before.back().get();
  const int64_t capacity = most_clusters(before);
  auto segment = std::make_shared<Segment>();
  segment->tokens = policy_.segment;
  segment->summed = (previous != nullptr ? previous->summed : 0) + policy_.segment;
  segment->layers.resize(layout_.n_layers);
  ops::RopeTable undo(rotation_.inv_freq);
  std::vector<int32_t> positions(policy_.segment);
  for (uint32_t i = 0; i < policy_.segment; ++i) positions[i] = -static_cast<int32_t>(first_position + i);
  undo.set_positions(positions.data(), policy_.segment);
  const std::vector<ops::Extent> source = whole_pages(from, layout_.shape.page_size);
  const std::vector<ops::Extent> target = whole_pages(to, layout_.shape.page_size);
  threads.parallel_for(layout_.n_layers, 1, [&](int64_t begin, int64_t end) {
    for (auto layer = static_cast<uint32_t>(begin); layer < end; ++layer) {
      segment->layers[layer] = cluster_layer(layer, from, undo, previous, capacity, threads);
      const std::vector<uint16_t>& order = segment->layers[layer].order;
      ops::kv_seal(layout_.layer(layer), source, {order.begin(), order.end()}, target);
    }
  });
  return segment;
}

LayerClusters Sealer::cluster_layer(uint32_t layer, const std::vector<uint8_t*>& pages,
                                    const ops::RopeTable& undo, const Segment* previous, int64_t capacity,
                                    ThreadPool& threads) const {
  const ops::KvShape& s = layout_.shape;
  const int64_t n = policy_.segment, cols = int64_t{s.num_kv_heads} * s.head_dim;
  std::vector<float> stored(static_cast<size_t>(n * cols));
  const MatrixRef<float> keys(stored.data(), n, cols);
  for (size_t i = 0; i < pages.size(); ++i)
    read_keys(layout_.layer(layer), pages[i], keys.slice(static_cast<int64_t>(i) * s.page_size, s.page_size));
  std::vector<float> hashed = stored;
  const MatrixRef<float> rows(hashed.data(), n, cols);
  if (!policy_.rotated) ops::rope(rows, s.num_kv_heads, s.head_dim, undo, rotation_.layout, threads);

  LayerClusters out;
  out.mean = mean_of(rows);
  std::vector<float> centre(out.mean.size());
  if (policy_.centred) {
    centre = previous != nullptr ? previous->layers[layer].mean
                                 : mean_of(rows.slice(0, std::min(n, kFirstMeanTokens)));
  }
  const float share =
      previous == nullptr ? 1.0f : static_cast<float>(n) / static_cast<float>(previous->summed + n);
  if (previous != nullptr) average(previous->layers[layer].mean, share, out.mean);
  std::vector<uint32_t> codes(policy_.segment), leaders;
  std::vector<int32_t> ids(policy_.segment), order;
  ops::hash_codes(rows, centre.data(), planes_[layer], codes.data(), threads);
  ops::cluster_assign(codes.data(), n, {policy_.rule.threshold, capacity}, leaders, ids.data());
  ops::seal_order(ids, static_cast<int32_t>(leaders.size()), order, out.begin);
  out.order.assign(order.begin(), order.end());
  const std::vector<float> sorted = in_order(keys, order);
  const MatrixRef<const float> sorted_keys(sorted.data(), n, cols);
  out.summaries = ops::cluster_summaries(sorted_keys, out.begin, s.num_kv_heads);
  if (!policy_.moments) return out;
  for (size_t i = 0; i < pages.size(); ++i)
    read_values(layout_.layer(layer), pages[i],
                rows.slice(static_cast<int64_t>(i) * s.page_size, s.page_size));
  const std::vector<float> values = in_order(rows, order);
  out.moments = ops::cluster_moments(sorted_keys, {values.data(), n, cols}, out.begin, s.num_kv_heads);
  if (previous != nullptr) average(previous->layers[layer].moments.variance, share, out.moments.variance);
  return out;
}

// Follows from the kept segments alone, so that a stream that is resumed goes on alike. A stream begins with
// all that can be saved; what was left over by segments that are gone is not known and taken for nothing.
int64_t Sealer::most_clusters(const std::vector<SegmentPtr>& before) const {
  if (policy_.mean_clusters == 0) return policy_.rule.capacity;
  const int64_t layers = layout_.n_layers, share = layers * policy_.mean_clusters;
  const bool from_start = before.empty() || before.front()->summed == before.front()->tokens;
  int64_t saved = from_start ? kMostSaved * share : 0;
  for (const SegmentPtr& segment : before) {
    saved += share;
    for (const LayerClusters& layer : segment->layers) saved -= layer.summaries.stride;
    saved = std::clamp<int64_t>(saved, 0, kMostSaved * share);
  }
  return std::min(policy_.rule.capacity, (share + saved) / layers / kClusterSteps * kClusterSteps);
}

void Sealer::unseal(const Segment& segment, const std::vector<uint8_t*>& from,
                    const std::vector<uint8_t*>& to, ThreadPool& threads) const {
  const std::vector<ops::Extent> source = whole_pages(from, layout_.shape.page_size);
  const std::vector<ops::Extent> target = whole_pages(to, layout_.shape.page_size);
  threads.parallel_for(layout_.n_layers, 1, [&](int64_t begin, int64_t end) {
    for (auto layer = static_cast<uint32_t>(begin); layer < end; ++layer) {
      const std::vector<uint16_t>& order = segment.layers[layer].order;
      std::vector<int32_t> back(order.size());
      for (size_t slot = 0; slot < order.size(); ++slot) back[order[slot]] = static_cast<int32_t>(slot);
      ops::kv_seal(layout_.layer(layer), source, back, target);
    }
  });
}

}  // namespace ev::kv
