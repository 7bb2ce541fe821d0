#include "kv/cache.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"

namespace ev::kv {

KvCache::KvCache(std::shared_ptr<PagePool> pool, const WindowPolicy& window, const KeyRotation& rotation)
    : pool_(std::move(pool)), window_(window), rotation_(rotation) {
  const uint32_t page_size = layout().page_size();
  if (window_.sinks % page_size != 0)
    throw Error(ErrorCode::kInvalidArgument, "the sinks must fill whole pages");
  const uint64_t least = uint64_t{window_.sinks} + 2 * page_size;
  if (window_.tokens != 0 && window_.tokens < least)
    throw Error(ErrorCode::kInvalidArgument,
                "a window must hold its sinks and two pages more: " + std::to_string(least) + " tokens");
}

KvCache::~KvCache() {
  for (const PageId id : pages_) pool_->release(id);
  for (const PageId id : unshifted_sinks_) pool_->release(id);
}

std::unique_ptr<KvCache> KvCache::fork() const {
  auto copy = std::make_unique<KvCache>(pool_, window_, rotation_);
  const auto share = [this](const std::vector<PageId>& from, size_t count, std::vector<PageId>& to) {
    to.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      pool_->retain(from[i]);
      to.push_back(from[i]);
    }
  };
  share(pages_, pages_for(kept()), copy->pages_);
  share(unshifted_sinks_, unshifted_sinks_.size(), copy->unshifted_sinks_);
  copy->length_ = length_;
  copy->evicted_ = evicted_;
  return copy;
}

uint32_t KvCache::max_step() const {
  if (window_.tokens == 0) return std::numeric_limits<int32_t>::max();
  // Whole pages are evicted, so the window may have to give up to a page more than is due.
  return window_.tokens - window_.sinks - layout().page_size();
}

void KvCache::begin_append(uint32_t rows, ThreadPool& threads) {
  if (pending_ != 0) throw Error(ErrorCode::kInternal, "an append is already under way");
  if (rows > max_step()) throw Error(ErrorCode::kInvalidArgument, "a step is longer than the window allows");
  if (length_ + rows > std::numeric_limits<int32_t>::max())
    throw Error(ErrorCode::kUnsupported, "a sequence is longer than 2^31 tokens");
  slide(rows, threads);
  pending_ = rows;
  try {
    if (rows > 0 && kept() % layout().page_size() != 0) own_page(kept() / layout().page_size());
    const size_t needed = pages_for(uint64_t{kept()} + rows);
    pages_.reserve(needed);
    while (pages_.size() < needed) pages_.push_back(pool_->acquire());
  } catch (...) {
    rollback();
    throw;
  }
}

void KvCache::commit() {
  length_ += pending_;
  pending_ = 0;
}

void KvCache::rollback() {
  pending_ = 0;
  while (pages_.size() > pages_for(kept())) {
    pool_->release(pages_.back());
    pages_.pop_back();
  }
}

void KvCache::truncate(uint64_t length) {
  if (length > length_)
    throw Error(ErrorCode::kInvalidArgument, "cannot truncate to more tokens than there are");
  if (length != 0 && evicted_ != 0 && length < evicted_ + window_.sinks)
    throw Error(ErrorCode::kInvalidArgument, "cannot truncate to tokens the window has dropped");
  if (length == 0) {
    for (const PageId id : unshifted_sinks_) pool_->release(id);
    unshifted_sinks_.clear();
    evicted_ = 0;
  }
  length_ = length;
  rollback();
}

void KvCache::add_extents(uint32_t first, uint32_t count, std::vector<ops::Extent>& out) const {
  const uint32_t page_size = layout().page_size();
  while (count > 0) {
    const uint32_t slot = first % page_size;
    const uint32_t run = std::min(count, page_size - slot);
    out.push_back(
        {pool_->data(pages_[first / page_size]), static_cast<int32_t>(slot), static_cast<int32_t>(run)});
    first += run;
    count -= run;
  }
}

// Keeps the sinks' unshifted keys beside the shifted ones, so that each shift rounds once however often it is
// done.
void KvCache::slide(uint32_t rows, ThreadPool& threads) {
  if (window_.tokens == 0 || uint64_t{kept()} + rows <= window_.tokens) return;
  own_sinks();  // may fail; the rest does not
  while (uint64_t{kept()} + rows > window_.tokens) {
    const auto oldest = pages_.begin() + sink_pages();
    pool_->release(*oldest);
    pages_.erase(oldest);
    evicted_ += layout().page_size();
  }
  for (uint32_t i = 0; i < sink_pages(); ++i)
    shift_page(layout(), rotation_, static_cast<int32_t>(evicted_), pool_->data(unshifted_sinks_[i]),
               pool_->data(pages_[i]), threads);
}

void KvCache::own_sinks() {
  if (unshifted_sinks_.empty()) {
    unshifted_sinks_.assign(pages_.begin(), pages_.begin() + sink_pages());
    for (const PageId id : unshifted_sinks_) pool_->retain(id);
  }
  for (uint32_t i = 0; i < sink_pages(); ++i) own_page(i);
}

void KvCache::own_page(size_t index) {
  if (!pool_->shared(pages_[index])) return;
  const PageId page = pool_->acquire();
  std::memcpy(pool_->data(page), pool_->data(pages_[index]), layout().page_bytes());
  pool_->release(std::exchange(pages_[index], page));
}

uint32_t KvCache::pages_for(uint64_t tokens) const {
  const uint32_t page_size = layout().page_size();
  return static_cast<uint32_t>((tokens + page_size - 1) / page_size);
}

}  // namespace ev::kv
