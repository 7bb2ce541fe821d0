#include "decoder/token_trie.h"

#include <algorithm>

namespace ev::decoder {

TokenTrie::TokenTrie(std::vector<std::pair<std::string_view, int32_t>> strings) {
  std::sort(strings.begin(), strings.end());
  std::vector<uint32_t> path = {0};  // nodes from the root to the last string's end
  nodes_.push_back({0, 0, 0, 0, 0});
  const auto close_below = [&](size_t depth) {
    for (; path.size() > depth + 1; path.pop_back())
      nodes_[path.back()].next = static_cast<uint32_t>(nodes_.size());
  };
  std::string_view previous;
  for (const auto& [text, id] : strings) {
    const auto fork = std::mismatch(previous.begin(), previous.end(), text.begin(), text.end());
    close_below(static_cast<size_t>(fork.first - previous.begin()));
    const auto begin = static_cast<uint32_t>(ids_.size());
    for (size_t depth = path.size(); depth <= text.size(); ++depth) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back(
          {0, begin, begin, static_cast<uint16_t>(depth), static_cast<uint8_t>(text[depth - 1])});
    }
    ids_.push_back(id);
    nodes_[path.back()].ids_end = static_cast<uint32_t>(ids_.size());
    previous = text;
  }
  close_below(0);
  nodes_[0].next = static_cast<uint32_t>(nodes_.size());
}

}  // namespace ev::decoder
