// An application's words for points of a stream ("seen up to 12.5 s"), by the length the stream had there,
// which grows from one to the next.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <utility>

namespace ev::kv {

class Marks {
 public:
  void set(uint64_t length, uint64_t mark) {
    if (!marks_.empty() && marks_.back().first == length) marks_.pop_back();
    marks_.emplace_back(length, mark);
    if (marks_.size() > kMost) marks_.pop_front();
  }
  // Of the stream's first `length` tokens; 0: none.
  uint64_t at(uint64_t length) const {
    const auto past = std::upper_bound(marks_.begin(), marks_.end(), length,
                                       [](uint64_t at, const auto& mark) { return at < mark.first; });
    return past == marks_.begin() ? 0 : std::prev(past)->second;
  }
  void forget_after(uint64_t length) {
    while (!marks_.empty() && marks_.back().first > length) marks_.pop_back();
  }

 private:
  static constexpr size_t kMost = 65536;  // the oldest go
  std::deque<std::pair<uint64_t, uint64_t>> marks_;
};

}  // namespace ev::kv
