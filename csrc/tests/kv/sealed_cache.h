// A small cache with sealing, filled with keys around a few themes and values that say which token they
// belong to.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "kv/cache.h"
#include "kv/page_rows.h"
#include "ops/kv_pages.h"
#include "ops/rope.h"

namespace ev::testing {

class SealedCaches {
 public:
  static constexpr int kPageSize = 16, kKvHeads = 2, kGroup = 3, kHeadDim = 8, kLayers = 2;
  static constexpr int64_t kCols = kKvHeads * kHeadDim;
  static constexpr uint32_t kSegment = 32, kRecent = 20, kSinks = 16;

  explicit SealedCaches(size_t pages = 64, ops::KvType type = ops::KvType::kF16) {
    kv::PageLayout layout;
    layout.shape = {kPageSize, kKvHeads, kHeadDim, type};
    layout.n_layers = kLayers;
    pool = std::make_shared<kv::PagePool>(layout, pages);
    kv::SealPolicy policy;
    policy.segment = kSegment;
    policy.recent = kRecent;
    policy.rule = {9, 12};
    sealer = std::make_shared<kv::Sealer>(policy, layout, rotation());
  }

  static kv::KeyRotation rotation() {
    return {ops::rope_inv_freq(kHeadDim, 100.0, nullptr), ops::RopeLayout::kInterleaved};
  }

  std::unique_ptr<kv::KvCache> make(uint32_t window = 0) const {
    return std::make_unique<kv::KvCache>(pool, kv::WindowPolicy{window, kSinks}, rotation(), sealer);
  }

  // What token `position` of a stream is, whatever step brings it.
  static float key(uint64_t position, uint32_t layer, int64_t column) {
    const uint64_t place = static_cast<uint64_t>(column) * kLayers + layer;
    return 2.0f * unit(position / 3 % 5 * 1000 + place) + 0.2f * unit(position * 1000 + place + 100000);
  }

  // Which token it is: the first head tells it in two digits under 127, where even int8 is exact.
  static float value(uint64_t position, int64_t column) {
    if (column >= kHeadDim) return static_cast<float>(position % 2048);
    return static_cast<float>(column == 0 ? position % 128 : column == 1 ? position / 128 % 16 : 127);
  }

  // In [-1, 1).
  static float unit(uint64_t x) {
    x = (x + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 31)) * 0xbf58476d1ce4e5b9u;
    return static_cast<float>(x >> 40) * 0x1p-23f - 1.0f;
  }

  // Leaves the rows pending.
  void begin(kv::KvCache& cache, uint32_t rows) {
    cache.begin_append(rows, threads);
    std::vector<ops::Extent> slots;
    cache.add_extents(cache.kept(), rows, slots);
    std::vector<float> k(rows * kCols), v(rows * kCols);
    for (uint32_t layer = 0; layer < kLayers; ++layer) {
      for (uint32_t i = 0; i < rows; ++i)
        for (int64_t c = 0; c < kCols; ++c) {
          k[i * kCols + static_cast<size_t>(c)] = key(cache.length() + i, layer, c);
          v[i * kCols + static_cast<size_t>(c)] = value(cache.length() + i, c);
        }
      ops::kv_append(cache.layout().layer(layer), {k.data(), rows, kCols}, {v.data(), rows, kCols}, slots,
                     threads);
    }
  }

  void append(kv::KvCache& cache, uint32_t rows) {
    begin(cache, rows);
    cache.commit();
  }

  // Which token (its position modulo 2048) lies in each slot that is kept.
  static std::vector<uint64_t> tokens(const kv::KvCache& cache, uint32_t layer) {
    std::vector<kv::SlotPool::Page> wanted;
    for (const kv::CellPtr& cell : cache.away())
      for (uint32_t page = 0; page < kSegment / kPageSize; ++page) wanted.push_back({cell.get(), page});
    kv::SlotPool::Held held;
    if (!wanted.empty()) held = cache.slots()->hold(layer, wanted);
    std::vector<uint8_t*> away;
    for (size_t i = 0; i < held.size(); ++i) away.push_back(held.data(i));
    std::vector<ops::Extent> extents;
    cache.add_layer_extents(layer, 0, cache.kept(), away, extents);
    std::vector<float> memory(kPageSize * kCols);
    const MatrixRef<float> rows(memory.data(), kPageSize, kCols);
    std::vector<uint64_t> out;
    for (const ops::Extent& e : extents) {
      kv::read_values(cache.layer_view(), static_cast<const uint8_t*>(e.page), rows);
      for (const float* row = rows.row(e.first); row < rows.row(e.first + e.count); row += kCols)
        out.push_back(static_cast<uint64_t>(row[0] + 128.0f * row[1]));
    }
    return out;
  }

  // Whether every slot holds the token that the segments' orders name.
  static bool in_place(const kv::KvCache& cache) {
    for (uint32_t layer = 0; layer < kLayers; ++layer) {
      const std::vector<uint64_t> found = tokens(cache, layer);
      std::vector<uint64_t> want(found.size());
      std::iota(want.begin(), want.end(), uint64_t{0});
      size_t first = std::min<size_t>(kSinks, want.size());
      for (const kv::SegmentPtr& segment : cache.segments()) {
        for (size_t slot = 0; slot < segment->tokens; ++slot)
          want[first + slot] = first + segment->layers[layer].order[slot];
        first += segment->tokens;
      }
      for (size_t i = kSinks; i < want.size(); ++i) want[i] = (want[i] + cache.evicted()) % 2048;
      if (found != want) return false;
    }
    return true;
  }

  ThreadPool threads{1};
  std::shared_ptr<kv::PagePool> pool;
  std::shared_ptr<const kv::Sealer> sealer;
};

}  // namespace ev::testing
