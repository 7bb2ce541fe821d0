#include "kv/journal.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/error.h"

namespace ev::kv {

Journal::Journal(std::shared_ptr<SessionFile> file, Recovered found)
    : file_(std::move(file)),
      sinks_(std::move(found.sinks)),
      segments_(std::move(found.segments)),
      tail_(std::move(found.tail)) {}

void Journal::write_sinks(const PageLayout& layout, uint32_t tokens, uint64_t mark,
                          const std::vector<const uint8_t*>& pages) {
  std::vector<CellPtr> written = write_plain(layout, 0, tokens, mark, pages);
  sinks_.swap(written);
  for (const CellPtr& cell : written) retire_superseded(cell);
}

CellPtr Journal::write_segment(const PageLayout& layout, const SegmentPtr& segment, uint64_t first_position,
                               uint64_t mark, const std::vector<const uint8_t*>& pages) {
  io::CellHeader header;
  header.kind = io::CellKind::kSealed;
  header.serial = file_->next_serial();
  header.tokens = segment->tokens;
  header.first_position = first_position;
  header.mark = mark;
  segments_.reserve(segments_.size() + 1);
  segments_.push_back(file_->write(layout, header, segment, pages));
  while (!tail_.empty() && tail_.front()->end() <= segments_.back()->end()) {
    retire_superseded(tail_.front());
    tail_.erase(tail_.begin());
  }
  return segments_.back();
}

void Journal::write_tail(const PageLayout& layout, uint64_t first_position, uint32_t tokens, uint64_t mark,
                         const std::vector<const uint8_t*>& pages) {
  std::vector<CellPtr> written = write_plain(layout, first_position, tokens, mark, pages);
  tail_.swap(written);
  for (const CellPtr& cell : written) retire_superseded(cell);
}

std::vector<CellPtr> Journal::write_plain(const PageLayout& layout, uint64_t first_position, uint32_t tokens,
                                          uint64_t mark, const std::vector<const uint8_t*>& pages) {
  const uint32_t most = file_->header().cell_tokens(), per_cell = file_->header().cell_pages;
  io::CellHeader header;
  header.serial = file_->next_serial();
  header.mark = mark;
  header.parts = (tokens + most - 1) / most;
  std::vector<CellPtr> written;
  try {
    for (header.part = 0; header.part < header.parts; ++header.part) {
      const uint32_t done = header.part * most;
      header.tokens = std::min(most, tokens - done);
      header.first_position = first_position + done;
      const auto first = pages.begin() + static_cast<std::ptrdiff_t>(header.part * per_cell);
      const std::vector<const uint8_t*> mine(first, first + header.pages(file_->header()));
      written.push_back(file_->write(layout, header, nullptr, mine));
    }
  } catch (...) {
    for (const CellPtr& cell : written) retire_superseded(cell);
    throw;
  }
  return written;
}

void Journal::drop_first() {
  const CellPtr first = segments_.front();
  segments_.erase(segments_.begin());
  retire_superseded(first);
}

void Journal::keep(size_t segments, uint64_t length) {
  std::exception_ptr failure;
  if (!tail_.empty() && tail_.back()->end() > length) drop_to(tail_, 0, failure);
  drop_to(segments_, segments, failure);
  if (sink_tokens() > length) drop_to(sinks_, 0, failure);
  if (failure) std::rethrow_exception(failure);
}

// Forgets the last cells whether they can be erased or not: the cache has no more use for them.
void Journal::drop_to(std::vector<CellPtr>& cells, size_t left, std::exception_ptr& failure) {
  while (cells.size() > left) {
    try {
      file_->retire(cells.back());
    } catch (...) {
      failure = std::current_exception();
    }
    cells.pop_back();
  }
}

// What recovery would pass over, or the window drop again: no harm when it cannot be erased.
void Journal::retire_superseded(const CellPtr& cell) {
  try {
    file_->retire(cell);
  } catch (const std::exception&) {
    return;
  }
}

}  // namespace ev::kv
