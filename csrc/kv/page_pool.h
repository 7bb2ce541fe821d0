// Fixed-size, reference-counted pages under a cap. A page holds page_size tokens of every layer:
//
//   page   layer 0 [ K plane | V plane ]  layer 1 [ K plane | V plane ] ...        (planes: ops/kv_pages.h)
//
// Memory is taken when a page is first needed and kept for reuse until the pool goes. Thread-safe: sequences
// on different threads share one pool; a page with more than one owner is read-only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/aligned_buffer.h"
#include "ops/kv_pages.h"

namespace ev::kv {

using PageId = uint32_t;

// What a page looks like.
struct PageLayout {
  ops::KvShape shape;
  uint32_t n_layers = 0;

  uint32_t page_size() const { return static_cast<uint32_t>(shape.page_size); }
  size_t page_bytes() const { return layer_bytes() * n_layers; }
  size_t layer_bytes() const { return static_cast<size_t>(shape.k_plane_bytes() + shape.v_plane_bytes()); }
  ops::KvLayer layer(uint32_t index) const {
    const auto start = static_cast<int64_t>(layer_bytes() * index);
    return {shape, start, start + shape.k_plane_bytes()};
  }
};

struct PoolStats {
  size_t total = 0;  // the cap, in pages
  size_t used = 0;   // pages with at least one owner
  size_t free = 0;   // total - used; not all of them have memory yet
};

class PagePool {
 public:
  // Throws Error(kInvalidArgument) for an impossible layout or a cap of no pages.
  PagePool(const PageLayout& layout, size_t max_pages);

  // A page with one owner and undefined contents. Throws Error(kOutOfMemory) at the cap, naming it.
  PageId acquire();
  void retain(PageId id);
  void release(PageId id);
  bool shared(PageId id) const;  // more than one owner

  const PageLayout& layout() const { return layout_; }
  uint8_t* data(PageId id) const { return pages_[id].data(); }  // stays where it is
  PoolStats stats() const;
  std::vector<uint32_t> owner_counts() const;  // of each page with memory; for the validator

 private:
  const PageLayout layout_;
  mutable std::mutex mutex_;
  std::vector<AlignedBuffer> pages_;  // sized to the cap once, so data() needs no lock
  std::vector<uint32_t> owners_;      // one per page with memory
  std::vector<PageId> free_;          // of those, the ones without owner
};

}  // namespace ev::kv
