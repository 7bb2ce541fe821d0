// What the owner of a session file writes to it as its cache goes on: the sinks and each sealed segment as
// soon as there are any, the newest tokens when it is asked to.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

#include "kv/session_file.h"

namespace ev::kv {

class Journal {
 public:
  Journal(std::shared_ptr<SessionFile> file, Recovered found);

  uint64_t sink_tokens() const { return sinks_.empty() ? 0 : sinks_.back()->end(); }  // written
  const std::vector<CellPtr>& segments() const { return segments_; }

  // Tokens from position 0 on in whole pages; what was written as sinks before is retired. Error(kIo), like
  // all that writes; nothing has then changed.
  void write_sinks(const PageLayout& layout, uint32_t tokens, uint64_t mark,
                   const std::vector<const uint8_t*>& pages);
  CellPtr write_segment(const PageLayout& layout, const SegmentPtr& segment, uint64_t first_position,
                        uint64_t mark, const std::vector<const uint8_t*>& pages);
  void write_tail(const PageLayout& layout, uint64_t first_position, uint32_t tokens, uint64_t mark,
                  const std::vector<const uint8_t*>& pages);
  // The window drops the oldest segment.
  void drop_first();
  // The newest tokens are taken back: `segments` remain, and what else ends by `length`. Error(kIo) when the
  // header of what goes cannot be erased.
  void keep(size_t segments, uint64_t length);
  void sync() { file_->sync(); }

 private:
  std::vector<CellPtr> write_plain(const PageLayout& layout, uint64_t first_position, uint32_t tokens,
                                   uint64_t mark, const std::vector<const uint8_t*>& pages);
  void drop_to(std::vector<CellPtr>& cells, size_t left, std::exception_ptr& failure);
  void retire_superseded(const CellPtr& cell);

  std::shared_ptr<SessionFile> file_;
  std::vector<CellPtr> sinks_, segments_, tail_;
};

}  // namespace ev::kv
