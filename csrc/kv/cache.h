// The stored keys and values of one sequence: a block table over shared pages.
//
//   block table   [ sink pages | newest pages ... | tail ]     token i of those kept lies in page i /
//   page_size
//
// With a Sealer, tokens that are no longer recent lie in sealed segments (kv/sealing.h), in another order,
// and the window drops whole segments.
//
// Attached to a session file, a cache writes each sealed segment to it, and begins with what it holds. With
// slots too, segments are "away" once they are written: their pages are given back, and a step that attends
// them reads them into slots (kv/slot_pool.h). They are the oldest ones, right after the sinks.
//
// Forks share pages and copy one only when they write to it. Not thread-safe itself; caches of one pool may
// be used from different threads at the same time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kv/journal.h"
#include "kv/marks.h"
#include "kv/page_pool.h"
#include "kv/sealing.h"
#include "kv/session_file.h"
#include "kv/slot_pool.h"
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

  // Takes over what `file` holds (kv/recovery.h) and writes to it from now on; forks do not. `slots` null:
  // segments stay in pages too. Of an empty cache that is then used or dropped: an error leaves it half
  // filled. Error(kOutOfMemory) when the pool cannot hold what it must, Error(kIo), Error(kBadModel) from the
  // file.
  void attach(std::shared_ptr<SessionFile> file, std::shared_ptr<SlotPool> slots, ThreadPool& threads);
  // Writes the tokens that are not sealed to the session file, to the disk: a resume goes on right here.
  // Error(kInvalidArgument) without one, Error(kIo).
  void checkpoint();
  // The same into another file, whole, for later; this cache stays with its own.
  void copy_to(std::shared_ptr<SessionFile> file) const;
  // The application's word for the stream so far (0: none); session files keep it.
  void set_mark(uint64_t mark) { marks_.set(length_, mark); }
  uint64_t mark() const { return marks_.at(length_); }

  // Makes room for `rows` tokens: slides the window, seals what is due (later when the pool has no pages to
  // spare), copies a shared tail page, takes new pages. The tokens count only after commit(); rollback()
  // leaves the sequence at its old length (a slide and new seals remain). Throws Error(kOutOfMemory) when the
  // pool is full, Error(kInvalidArgument) when rows > max_step(), Error(kIo) when the session file cannot be
  // written, which the next call tries again; all rolled back.
  void begin_append(uint32_t rows, ThreadPool& threads);
  void commit();
  void rollback();

  // Drops the newest tokens so that `length` remain; unseals a segment that is cut. Error(kInvalidArgument)
  // when they are no longer kept, Error(kOutOfMemory) when the pool lacks the pages to unseal, Error(kIo)
  // when they cannot be read; nothing is then dropped. Error(kIo) too when the session file keeps what was
  // dropped.
  void truncate(uint64_t length, ThreadPool& threads);

  uint64_t length() const { return length_; }    // tokens seen: the position of the next one
  uint64_t evicted() const { return evicted_; }  // tokens between sinks and newest that were dropped
  uint32_t kept() const { return static_cast<uint32_t>(length_ - evicted_); }
  uint32_t pending() const { return pending_; }  // rows between begin_append() and commit()
  uint32_t max_step() const;                     // largest begin_append() the window allows

  // Where the kept tokens [first, first + count) lie, in order; the pending ones follow the kept ones. None
  // of them may be away.
  void add_extents(uint32_t first, uint32_t count, std::vector<ops::Extent>& out) const;
  // The same in one layer, pages beginning with it (layer_view()); away_pages[i] is where page i of those
  // away is now, needed where a token lies in it.
  void add_layer_extents(uint32_t layer, uint32_t first, uint32_t count,
                         const std::vector<uint8_t*>& away_pages, std::vector<ops::Extent>& out) const;
  ops::KvLayer layer_view() const { return layout().layer(0); }

  // Sealed segments, which follow the sinks.
  const std::vector<SegmentPtr>& segments() const { return segments_; }
  uint32_t sealed() const {
    return sealer_ ? static_cast<uint32_t>(segments_.size()) * sealer_->policy().segment : 0;
  }
  const Sealer* sealer() const { return sealer_.get(); }

  // The first segments, whose pages lie in slots or in the file only.
  const std::vector<CellPtr>& away() const { return away_; }
  uint32_t away_pages() const { return sealer_ ? static_cast<uint32_t>(away_.size()) * sealer_->pages() : 0; }
  SlotPool* slots() const { return slots_.get(); }
  const Journal* journal() const { return journal_.get(); }

  const PageLayout& layout() const { return pool_->layout(); }
  const WindowPolicy& window() const { return window_; }
  const std::vector<PageId>& pages() const { return pages_; }
  const std::vector<PageId>& unshifted_sinks() const { return unshifted_sinks_; }

 private:
  void slide(uint32_t rows, ThreadPool& threads);
  void drop_oldest();
  void shift_sinks(ThreadPool& threads);
  void seal_due(ThreadPool& threads);
  bool seal_next(ThreadPool& threads);
  void unseal(size_t index, ThreadPool& threads);
  void unseal_away(size_t index, ThreadPool& threads);
  bool try_acquire(uint32_t count, std::vector<PageId>& fresh);
  std::vector<uint8_t*> data_of(const std::vector<PageId>& pages) const;
  std::vector<uint8_t*> segment_data(size_t index) const;

  // cache_session.cc
  void store_due();
  void store_segment();
  void load(const std::vector<CellPtr>& cells, const SessionFile& file);
  uint64_t segment_position(size_t index) const;
  void write_newest(Journal& journal) const;
  void write_sinks(Journal& journal) const;
  void count_index();

  uint32_t filled_pages(uint64_t tokens) const { return pages_for(tokens) - away_pages(); }  // in the pool
  void replace_segment_pages(size_t index, const std::vector<PageId>& fresh);
  template <class Fn>
  void for_pages(uint32_t first, uint32_t count, const Fn& fn) const;
  // Where the pages of a segment that is not away begin in pages_.
  size_t first_page(size_t segment) const {
    return sink_pages() + (segment - away_.size()) * sealer_->pages();
  }
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
  Marks marks_;
  std::unique_ptr<Journal> journal_;  // of the owner of a session file
  std::shared_ptr<SlotPool> slots_;   // null: nothing is away
  std::vector<CellPtr> away_;
  std::vector<PageId> pages_;            // this cache is one owner of each; none for segments that are away
  std::vector<PageId> unshifted_sinks_;  // the sinks as first written; empty until the window slides
  uint64_t length_ = 0;
  uint64_t evicted_ = 0;
  uint32_t pending_ = 0;
};

}  // namespace ev::kv
