#include "kv/page_pool.h"

#include <string>

#include "base/error.h"

namespace ev::kv {

PagePool::PagePool(const PageLayout& layout, size_t max_pages) : layout_(layout), pages_(max_pages) {
  layout.shape.validate();
  if (layout.n_layers == 0 || max_pages == 0)
    throw Error(ErrorCode::kInvalidArgument, "a page pool needs at least one layer and one page");
  owners_.reserve(max_pages);
  free_.reserve(max_pages);
}

PageId PagePool::acquire() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!free_.empty()) {
    const PageId id = free_.back();
    free_.pop_back();
    owners_[id] = 1;
    return id;
  }
  if (owners_.size() == pages_.size())
    throw Error(ErrorCode::kOutOfMemory, "the KV cache is full: all " + std::to_string(pages_.size()) +
                                             " pages of " + std::to_string(layout_.page_size()) +
                                             " tokens are in use");
  const auto id = static_cast<PageId>(owners_.size());
  pages_[id] = AlignedBuffer(layout_.page_bytes());
  owners_.push_back(1);
  return id;
}

void PagePool::retain(PageId id) {
  std::lock_guard<std::mutex> lock(mutex_);
  ++owners_[id];
}

void PagePool::release(PageId id) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (--owners_[id] == 0) free_.push_back(id);
}

bool PagePool::shared(PageId id) const {
  std::lock_guard<std::mutex> lock(mutex_);
  return owners_[id] > 1;
}

PoolStats PagePool::stats() const {
  std::lock_guard<std::mutex> lock(mutex_);
  PoolStats s;
  s.total = pages_.size();
  s.used = owners_.size() - free_.size();
  s.free = s.total - s.used;
  return s;
}

std::vector<uint32_t> PagePool::owner_counts() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return owners_;
}

}  // namespace ev::kv
