// The stored keys and values of one sequence: a block table over shared pages.
//
//   block table   [ sink pages | newest pages ... | tail ]     token i of those kept lies in page i /
//   page_size
//
// With a Sealer, tokens that are no longer recent lie in sealed segments (kv/sealing.h), in another order,
// and the window drops whole segments.
//
// Forks share pages and copy one only when they write to it. Not thread-safe itself; caches of one pool may
// be used from different threads at the same time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kv/page_pool.h"
#include "kv/sealing.h"
#include "kv/window.h"

namespace ev::kv {

class KvCache {
 public:
  // Throws Error(kInvalidArgument) when the sinks do not fill whole pages, or the window does not hold them
  // and twice what it drops at a time (a page, or a segment) more. `sealer` null: nothing is sealed.
  KvCache(std::shared_ptr<PagePool> pool, const WindowPolicy& window, const KeyRotation& rotation,
          std::shared_ptr<const Sealer> sealer = nullptr);
  ~KvCache();
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;

  // A second sequence with the same past; costs no page until one of the two writes. Given a `sealer`, the
  // copy of a cache of which nothing is sealed seals from now on; Error(kInvalidArgument) when something is.
  std::unique_ptr<KvCache> fork(std::shared_ptr<const Sealer> sealer = nullptr) const;

  // Makes room for `rows` tokens: slides the window, seals what is due (later when the pool has no pages to
  // spare), copies a shared tail page, takes new pages. The tokens count only after commit(); rollback()
  // leaves the sequence at its old length (a slide and new seals remain). Throws Error(kOutOfMemory) when the
  // pool is full, Error(kInvalidArgument) when rows > max_step(); both rolled back.
  void begin_append(uint32_t rows, ThreadPool& threads);
  void commit();
  void rollback();

  // Drops the newest tokens so that `length` remain; unseals a segment that is cut. Error(kInvalidArgument)
  // when they are no longer kept, Error(kOutOfMemory) when the pool lacks the pages to unseal; nothing is
  // then dropped.
  void truncate(uint64_t length, ThreadPool& threads);

  uint64_t length() const { return length_; }    // tokens seen: the position of the next one
  uint64_t evicted() const { return evicted_; }  // tokens between sinks and newest that were dropped
  uint32_t kept() const { return static_cast<uint32_t>(length_ - evicted_); }
  uint32_t pending() const { return pending_; }  // rows between begin_append() and commit()
  uint32_t max_step() const;                     // largest begin_append() the window allows

  // Where the kept tokens [first, first + count) lie, in order; the pending ones follow the kept ones.
  void add_extents(uint32_t first, uint32_t count, std::vector<ops::Extent>& out) const;

  // Sealed segments, which follow the sinks.
  const std::vector<SegmentPtr>& segments() const { return segments_; }
  uint32_t sealed() const {
    return sealer_ ? static_cast<uint32_t>(segments_.size()) * sealer_->policy().segment : 0;
  }
  const Sealer* sealer() const { return sealer_.get(); }

  const PageLayout& layout() const { return pool_->layout(); }
  const WindowPolicy& window() const { return window_; }
  const std::vector<PageId>& pages() const { return pages_; }
  const std::vector<PageId>& unshifted_sinks() const { return unshifted_sinks_; }

 private:
  void slide(uint32_t rows, ThreadPool& threads);
  void seal_due(ThreadPool& threads);
  void unseal(size_t index, ThreadPool& threads);
  bool try_acquire(uint32_t count, std::vector<PageId>& fresh);
  std::vector<uint8_t*> data_of(const std::vector<PageId>& pages) const;
  std::vector<uint8_t*> segment_data(size_t index) const;
  void replace_segment_pages(size_t index, const std::vector<PageId>& fresh);
  void own_sinks();
  void own_page(size_t index);
  uint32_t pages_for(uint64_t tokens) const;
  uint32_t sink_pages() const { return window_.sinks / layout().page_size(); }
  uint32_t drop_pages() const { return sealer_ ? sealer_->pages() : 1; }  // that the window drops at a time

  std::shared_ptr<PagePool> pool_;
  WindowPolicy window_;
  KeyRotation rotation_;
  std::shared_ptr<const Sealer> sealer_;
  std::vector<SegmentPtr> segments_;
  std::vector<PageId> pages_;            // this cache is one owner of each
  std::vector<PageId> unshifted_sinks_;  // the sinks as first written; empty until the window slides
  uint64_t length_ = 0;
  uint64_t evicted_ = 0;
  uint32_t pending_ = 0;
};

}  // namespace ev::kv
