// What a step needs of the segments that are away: marked layer by layer, brought into slots, given back.
#pragma once

#include <cstdint>
#include <vector>

#include "kv/cache.h"
#include "kv/slot_pool.h"

namespace ev::kv {

class AwayPages {
 public:
  void begin_step(const KvCache& cache);
  // Whether anything is away at all.
  bool any() const { return !wanted_.empty(); }

  // Forgets what was marked and gives its slots back.
  void begin_layer();
  // Slots [first, first + count) of the segment, which is away.
  void want(size_t segment, int32_t first, int32_t count);
  void want_all();
  // Brings what is marked into slots, and tells the file what this layer's successor needed in its last step.
  // Throws what SlotPool::hold() throws.
  void hold(uint32_t layer);
  // Where each page that is away lies now; null those that were not marked.
  const std::vector<uint8_t*>& where() const { return where_; }

 private:
  const KvCache* cache_ = nullptr;
  uint32_t pages_ = 0;  // of a segment
  std::vector<bool> wanted_;
  std::vector<uint8_t*> where_;
  std::vector<SlotPool::Page> asked_;
  std::vector<std::vector<bool>> last_;  // per layer, what it wanted in the step before
  const Cell* first_ = nullptr;          // that `last_` counts from
  SlotPool::Held held_;
};

}  // namespace ev::kv
