// What a cache does with its session file.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"
#include "kv/cache.h"

namespace ev::kv {

void KvCache::attach(std::shared_ptr<SessionFile> file, std::shared_ptr<SlotPool> slots,
                     ThreadPool& threads) {
  if (length_ != 0 || journal_) throw Error(ErrorCode::kInvalidArgument, "the cache is in use already");
  Recovered found = file->recover();
  if (!found.segments.empty() && !sealer_)
    throw Error(ErrorCode::kBadModel, "session file: it holds sealed segments, made with retrieval");
  const std::vector<CellPtr>& oldest = found.segments.empty() ? found.tail : found.segments;
  load(found.sinks, *file);
  if (!oldest.empty()) {
    const uint64_t first = oldest.front()->header.first_position;
    if (first < window_.sinks || (first - window_.sinks) % (drop_pages() * layout().page_size()) != 0)
      throw Error(ErrorCode::kBadModel, "session file: its tokens are out of place");
    evicted_ = first - window_.sinks;
  }
  const auto remember = [this](const CellPtr& cell) {
    length_ = cell->end();
    set_mark(cell->header.mark);
  };
  if (!found.sinks.empty()) remember(found.sinks.back());  // the parts of a save have the mark of its end
  for (const CellPtr& cell : found.segments) remember(cell);
  if (!found.tail.empty()) remember(found.tail.back());
  for (const CellPtr& cell : found.segments) segments_.push_back(cell->index.segment);
  if (slots) {
    away_ = found.segments;
  } else {
    load(found.segments, *file);
  }
  load(found.tail, *file);
  slots_ = std::move(slots);
  if (evicted_ > 0) {
    own_sinks();
    shift_sinks(threads);
  }
  journal_ = std::make_unique<Journal>(std::move(file), std::move(found));
  slide(0, threads);  // what the window had dropped may have been found again
  count_index();
}

// Appends the cells' tokens.
void KvCache::load(const std::vector<CellPtr>& cells, const SessionFile& file) {
  for (const CellPtr& cell : cells) {
    for (uint32_t page = 0; page < cell->header.pages(file.header()); ++page) {
      const AlignedBuffer read = file.read_page(layout(), *cell, page);
      pages_.reserve(pages_.size() + 1);
      pages_.push_back(pool_->acquire());
      std::memcpy(pool_->data(pages_.back()), read.data(), read.size());
    }
  }
}

uint64_t KvCache::segment_position(size_t index) const {
  return evicted_ + window_.sinks + index * sealer_->policy().segment;
}

void KvCache::store_due() {
  if (journal_->segments().size() == segments_.size()) return;
  write_sinks(*journal_);
  while (journal_->segments().size() < segments_.size()) store_segment();
  count_index();
}

void KvCache::store_segment() {
  const size_t index = journal_->segments().size();
  away_.reserve(away_.size() + 1);
  const std::vector<uint8_t*> data = segment_data(index);
  const uint64_t position = segment_position(index), end = position + segments_[index]->tokens;
  CellPtr cell = journal_->write_segment(layout(), segments_[index], position, marks_.at(end),
                                         {data.begin(), data.end()});
  if (!slots_) return;
  const auto first = pages_.begin() + static_cast<std::ptrdiff_t>(first_page(index));
  const auto last = first + sealer_->pages();
  std::for_each(first, last, [this](PageId id) { pool_->release(id); });
  pages_.erase(first, last);
  away_.push_back(std::move(cell));
}

void KvCache::write_sinks(Journal& journal) const {
  const std::vector<PageId>& unshifted = unshifted_sinks_.empty() ? pages_ : unshifted_sinks_;
  const uint32_t tokens = std::min(window_.sinks, kept());
  if (tokens == 0 || (tokens < kept() && journal.sink_tokens() == tokens)) return;
  std::vector<uint8_t*> data = data_of({unshifted.begin(), unshifted.begin() + pages_for(tokens)});
  journal.write_sinks(layout(), tokens, marks_.at(tokens), {data.begin(), data.end()});
}

// Everything after the sinks and the sealed segments.
void KvCache::write_newest(Journal& journal) const {
  const uint32_t first = std::min(window_.sinks, kept()) + sealed();
  const auto begin =
      pages_.begin() + static_cast<std::ptrdiff_t>(first / layout().page_size() - away_pages());
  const std::vector<uint8_t*> data = data_of({begin, pages_.begin() + filled_pages(kept())});
  journal.write_tail(layout(), evicted_ + first, kept() - first, mark(), {data.begin(), data.end()});
}

void KvCache::checkpoint() {
  if (!journal_) throw Error(ErrorCode::kInvalidArgument, "this sequence has no session file");
  store_due();
  write_sinks(*journal_);
  write_newest(*journal_);
  journal_->sync();
}

void KvCache::copy_to(std::shared_ptr<SessionFile> file) const {
  Journal journal(std::move(file), {});
  write_sinks(journal);
  for (size_t i = 0; i < segments_.size(); ++i) {
    std::vector<AlignedBuffer> read;
    std::vector<uint8_t*> data;
    if (i < away_.size()) {
      for (uint32_t page = 0; page < sealer_->pages(); ++page)
        read.push_back(slots_->file().read_page(layout(), *away_[i], page));
      for (const AlignedBuffer& page : read) data.push_back(page.data());
    } else {
      data = segment_data(i);
    }
    journal.write_segment(layout(), segments_[i], segment_position(i), marks_.at(segment_position(i + 1)),
                          {data.begin(), data.end()});
  }
  write_newest(journal);
  journal.sync();
}

void KvCache::count_index() {
  if (!slots_) return;
  uint64_t bytes = 0;
  for (const SegmentPtr& segment : segments_) bytes += segment->bytes();
  for (const CellPtr& cell : away_) bytes += sizeof(Cell) + cell->index.sums.size() * sizeof(uint64_t);
  slots_->set_index_bytes(bytes);
}

}  // namespace ev::kv
