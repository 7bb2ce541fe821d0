#include "kv/cache.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"

namespace ev::kv {

KvCache::KvCache(std::shared_ptr<PagePool> pool, const WindowPolicy& window, const KeyRotation& rotation,
                 std::shared_ptr<const Sealer> sealer)
    : pool_(std::move(pool)), window_(window), rotation_(rotation), sealer_(std::move(sealer)) {
  const uint32_t page_size = layout().page_size();
  if (window_.sinks % page_size != 0)
    throw Error(ErrorCode::kInvalidArgument, "the sinks must fill whole pages");
  const uint64_t least = uint64_t{window_.sinks} + 2 * uint64_t{drop_pages()} * page_size;
  if (window_.tokens != 0 && window_.tokens < least)
    throw Error(ErrorCode::kInvalidArgument,
                "a window must hold its sinks and twice what it drops at a time: " + std::to_string(least) +
                    " tokens");
}

KvCache::~KvCache() {
  for (const PageId id : pages_) pool_->release(id);
  for (const PageId id : unshifted_sinks_) pool_->release(id);
}

std::unique_ptr<KvCache> KvCache::fork(std::shared_ptr<const Sealer> sealer) const {
  if (sealer && !segments_.empty())
    throw Error(ErrorCode::kInvalidArgument, "what is sealed already cannot be sealed another way");
  auto copy = std::make_unique<KvCache>(pool_, window_, rotation_, sealer ? std::move(sealer) : sealer_);
  const auto share = [this](const std::vector<PageId>& from, size_t count, std::vector<PageId>& to) {
    to.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      pool_->retain(from[i]);
      to.push_back(from[i]);
    }
  };
  share(pages_, filled_pages(kept()), copy->pages_);
  share(unshifted_sinks_, unshifted_sinks_.size(), copy->unshifted_sinks_);
  copy->segments_ = segments_;
  copy->away_ = away_;
  copy->slots_ = slots_;
  copy->marks_ = marks_;
  copy->length_ = length_;
  copy->evicted_ = evicted_;
  return copy;
}

uint32_t KvCache::max_step() const {
  if (window_.tokens == 0) return std::numeric_limits<int32_t>::max();
  // Whole pages or segments are evicted, so the window may have to give almost one more than is due.
  return window_.tokens - window_.sinks - drop_pages() * layout().page_size();
}

void KvCache::begin_append(uint32_t rows, ThreadPool& threads) {
  if (pending_ != 0) throw Error(ErrorCode::kInternal, "an append is already under way");
  if (rows > max_step()) throw Error(ErrorCode::kInvalidArgument, "a step is longer than the window allows");
  if (length_ + rows > std::numeric_limits<int32_t>::max())
    throw Error(ErrorCode::kUnsupported, "a sequence is longer than 2^31 tokens");
  slide(rows, threads);
  if (sealer_) seal_due(threads);
  pending_ = rows;
  try {
    if (rows > 0 && kept() % layout().page_size() != 0) own_page(filled_pages(kept()) - 1);
    const size_t needed = filled_pages(uint64_t{kept()} + rows);
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
  while (pages_.size() > filled_pages(kept())) {
    pool_->release(pages_.back());
    pages_.pop_back();
  }
}

void KvCache::truncate(uint64_t length, ThreadPool& threads) {
  if (length > length_)
    throw Error(ErrorCode::kInvalidArgument, "cannot truncate to more tokens than there are");
  if (length != 0 && evicted_ != 0 && length < evicted_ + window_.sinks)
    throw Error(ErrorCode::kInvalidArgument, "cannot truncate to tokens the window has dropped");
  if (length == 0) {
    for (const PageId id : unshifted_sinks_) pool_->release(id);
    unshifted_sinks_.clear();
    evicted_ = 0;
  }
  const uint64_t remaining = length - evicted_;
  const auto start = [this](size_t segment) { return window_.sinks + segment * sealer_->policy().segment; };
  size_t left = segments_.size();
  while (left > 0 && start(left - 1) >= remaining) --left;
  if (left > 0 && start(left) > remaining) {
    --left;
    left < away_.size() ? unseal_away(left, threads) : unseal(left, threads);
  }
  segments_.resize(left);
  away_.resize(std::min(left, away_.size()));
  length_ = length;
  rollback();
  marks_.forget_after(length);
  if (!journal_) return;
  count_index();
  journal_->keep(left, length);
}

void KvCache::add_extents(uint32_t first, uint32_t count, std::vector<ops::Extent>& out) const {
  const uint32_t away_begin = sink_pages(), away_end = away_begin + away_pages();
  for_pages(first, count, [&](uint32_t page, int32_t slot, int32_t run) {
    if (page >= away_begin && page < away_end)
      throw Error(ErrorCode::kInvalidArgument, "these tokens are in the session file, not in memory");
    out.push_back({pool_->data(pages_[page < away_begin ? page : page - away_pages()]), slot, run});
  });
}

void KvCache::add_layer_extents(uint32_t layer, uint32_t first, uint32_t count,
                                const std::vector<uint8_t*>& away_pages_at,
                                std::vector<ops::Extent>& out) const {
  const uint32_t away_begin = sink_pages(), away_end = away_begin + away_pages();
  const size_t offset = layer * layout().layer_bytes();
  for_pages(first, count, [&](uint32_t page, int32_t slot, int32_t run) {
    const bool is_away = page >= away_begin && page < away_end;
    uint8_t* const at = is_away
                            ? away_pages_at[page - away_begin]
                            : pool_->data(pages_[page < away_begin ? page : page - away_pages()]) + offset;
    out.push_back({at, slot, run});
  });
}

template <class Fn>
void KvCache::for_pages(uint32_t first, uint32_t count, const Fn& fn) const {
  const uint32_t page_size = layout().page_size();
  while (count > 0) {
    const uint32_t slot = first % page_size;
    const uint32_t run = std::min(count, page_size - slot);
    fn(first / page_size, static_cast<int32_t>(slot), static_cast<int32_t>(run));
    first += run;
    count -= run;
  }
}

// Keeps the sinks' unshifted keys beside the shifted ones, so that each shift rounds once however often it is
// done.
void KvCache::slide(uint32_t rows, ThreadPool& threads) {
  if (window_.tokens == 0 || uint64_t{kept()} + rows <= window_.tokens) return;
  own_sinks();  // may fail; the rest does not
  while (uint64_t{kept()} + rows > window_.tokens) drop_oldest();
  if (journal_) count_index();
  shift_sinks(threads);
}

void KvCache::shift_sinks(ThreadPool& threads) {
  for (uint32_t i = 0; i < sink_pages(); ++i)
    shift_page(layout(), rotation_, static_cast<int32_t>(evicted_), pool_->data(unshifted_sinks_[i]),
               pool_->data(pages_[i]), threads);
}

void KvCache::drop_oldest() {
  if (!away_.empty()) {
    away_.erase(away_.begin());
  } else {
    const auto oldest = pages_.begin() + sink_pages();
    std::for_each(oldest, oldest + drop_pages(), [this](PageId id) { pool_->release(id); });
    pages_.erase(oldest, oldest + drop_pages());
  }
  if (!segments_.empty()) segments_.erase(segments_.begin());
  if (journal_ && !journal_->segments().empty()) journal_->drop_first();
  evicted_ += drop_pages() * layout().page_size();
}

void KvCache::seal_due(ThreadPool& threads) {
  if (journal_) store_due();
  while (seal_next(threads))
    if (journal_) store_due();
}

// False when nothing is due or there are no pages for it.
bool KvCache::seal_next(ThreadPool& threads) {
  const SealPolicy& policy = sealer_->policy();
  if (kept() < uint64_t{window_.sinks} + sealed() + policy.segment + policy.recent) return false;
  const size_t index = segments_.size();
  std::vector<PageId> fresh;
  if (!try_acquire(sealer_->pages(), fresh)) return false;
  try {
    segments_.reserve(index + 1);
    segments_.push_back(
        sealer_->seal(segment_data(index), data_of(fresh), segment_position(index), segments_, threads));
  } catch (...) {
    for (const PageId id : fresh) pool_->release(id);
    throw;
  }
  replace_segment_pages(index, fresh);
  return true;
}

// Leaves the segment listed; the caller drops it.
void KvCache::unseal(size_t index, ThreadPool& threads) {
  std::vector<PageId> fresh;
  if (!try_acquire(sealer_->pages(), fresh))
    throw Error(ErrorCode::kOutOfMemory, "the KV cache has no room to reopen a sealed segment");
  try {
    sealer_->unseal(*segments_[index], segment_data(index), data_of(fresh), threads);
  } catch (...) {
    for (const PageId id : fresh) pool_->release(id);
    throw;
  }
  replace_segment_pages(index, fresh);
}

// The same of a segment that is away; those after it must be dropped too.
void KvCache::unseal_away(size_t index, ThreadPool& threads) {
  std::vector<PageId> fresh;
  if (!try_acquire(sealer_->pages(), fresh))
    throw Error(ErrorCode::kOutOfMemory, "the KV cache has no room to reopen a sealed segment");
  try {
    std::vector<AlignedBuffer> sealed;
    for (uint32_t page = 0; page < sealer_->pages(); ++page)
      sealed.push_back(slots_->file().read_page(layout(), *away_[index], page));
    std::vector<uint8_t*> from;
    for (const AlignedBuffer& page : sealed) from.push_back(page.data());
    sealer_->unseal(*segments_[index], from, data_of(fresh), threads);
    pages_.reserve(pages_.size() + fresh.size());
  } catch (...) {
    for (const PageId id : fresh) pool_->release(id);
    throw;
  }
  for (size_t i = sink_pages(); i < pages_.size(); ++i) pool_->release(pages_[i]);
  pages_.resize(sink_pages());
  pages_.insert(pages_.end(), fresh.begin(), fresh.end());
  away_.resize(index);
}

bool KvCache::try_acquire(uint32_t count, std::vector<PageId>& fresh) {
  fresh.reserve(count);
  try {
    while (fresh.size() < count) fresh.push_back(pool_->acquire());
    return true;
  } catch (const Error& e) {
    for (const PageId id : fresh) pool_->release(id);
    if (e.code() != ErrorCode::kOutOfMemory) throw;
    return false;
  }
}

std::vector<uint8_t*> KvCache::data_of(const std::vector<PageId>& pages) const {
  std::vector<uint8_t*> data;
  for (const PageId id : pages) data.push_back(pool_->data(id));
  return data;
}

// Of the segment that is `index`th of all; it is not away.
std::vector<uint8_t*> KvCache::segment_data(size_t index) const {
  const auto first = pages_.begin() + static_cast<std::ptrdiff_t>(first_page(index));
  return data_of({first, first + sealer_->pages()});
}

void KvCache::replace_segment_pages(size_t index, const std::vector<PageId>& fresh) {
  for (size_t i = 0; i < fresh.size(); ++i)
    pool_->release(std::exchange(pages_[first_page(index) + i], fresh[i]));
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
