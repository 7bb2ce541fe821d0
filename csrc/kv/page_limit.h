// A bound on the pages that a step attends of sealed segments: what it needs slots for when they are away
// (kv/slot_pool.h). Chosen clusters lie scattered, so a bound on their tokens says little about pages.
#pragma once

#include <cstdint>
#include <vector>

#include "kv/sealing.h"

namespace ev::kv {

// What was chosen for one KV head. The columns are the clusters of all segments, each segment padded to its
// stride.
struct HeadChoice {
  uint8_t* marks = nullptr;          // [columns], 1: chosen
  const float* densities = nullptr;  // [columns], attention mass of a token
};

// Of the marked clusters keeps those of the highest densities whose tokens, of all heads, lie in at most
// `max_pages` pages of `page_size` tokens. The clusters of the last `kept` segments stay and do not count.
// Returns whether a mark was taken back.
bool limit_pages(const std::vector<SegmentPtr>& segments, uint32_t layer, uint32_t page_size,
                 uint32_t max_pages, size_t kept, const std::vector<HeadChoice>& heads);

}  // namespace ev::kv
