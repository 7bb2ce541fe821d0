// An application's words for points of a stream ("seen up to 12.5 s"), by the length the stream had there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

namespace ev::kv {

class Marks {
 public:
  void set(uint64_t length, uint64_t mark) {
    marks_.emplace_back(length, mark);
    if (marks_.size() > kMost) marks_.pop_front();
  }
  // Of the stream's first `length` tokens; 0: none.
  uint64_t at(uint64_t length) const {
    uint64_t found = 0;
    for (const auto& [where, mark] : marks_)
      if (where <= length) found = mark;
    return found;
  }
  void forget_after(uint64_t length) {
    while (!marks_.empty() && marks_.back().first > length) marks_.pop_back();
  }
  // Those that at() no longer needs for lengths from this one on.
  void forget_before(uint64_t length) {
    while (marks_.size() > 1 && marks_[1].first <= length) marks_.pop_front();
  }

 private:
  static constexpr size_t kMost = 65536;  // more than a segment holds
  std::deque<std::pair<uint64_t, uint64_t>> marks_;
};

}  // namespace ev::kv
