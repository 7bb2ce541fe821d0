// What a cache keeps when a stream outgrows the model's trained context: the first tokens ("sinks", which
// attention leans on; Xiao et al. 2023, arXiv 2309.17453) and the newest ones.
//
// Positions. Every key is stored rotated to the token's true position, which grows for ever; nothing changes
// and nothing is paid while the stream is inside the window. A rotation only shows in the DISTANCE of query
// and key, so once `evicted` tokens between the sinks and the newest have been dropped, the sinks' keys alone
// are rotated forward by `evicted`: every distance is then what it would be had the kept tokens been given
// consecutive positions, and never exceeds the window.
//
//   true positions    s s s s . . . . . . . n n n n n q      (. = evicted)
//   after the shift                 s s s s n n n n n q
#pragma once

#include <cstdint>
#include <vector>

#include "base/thread_pool.h"
#include "kv/page_pool.h"
#include "ops/rope.h"

namespace ev::kv {

struct WindowPolicy {
  uint32_t tokens = 0;  // most tokens a sequence keeps; 0: no limit
  uint32_t sinks = 0;   // tokens at the start that are never dropped; a multiple of the page size
};

// The rotation that a model gives its keys.
struct KeyRotation {
  std::vector<float> inv_freq;  // [head_dim / 2]
  ops::RopeLayout layout = ops::RopeLayout::kInterleaved;
};

// Copies a whole page with its keys rotated forward by `positions`; each result is rounded once.
void shift_page(const PageLayout& layout, const KeyRotation& rotation, int32_t positions, const uint8_t* from,
                uint8_t* to, ThreadPool& pool);

}  // namespace ev::kv
