// A trie of byte strings, each with ids, laid out depth-first so that a walk over all of it is one pass over
// an array: the node after a node is its first child, `next` skips the node's whole subtree.
//
//   "a" "ab" "b":   [root][a][b][b]
//                     next: 4  3  3  4
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace ev::decoder {

// Immutable once made.
class TokenTrie {
 public:
  struct Node {
    uint32_t next;       // index after this node's subtree
    uint32_t ids_begin;  // of the strings that end here: ids()[ids_begin .. ids_end)
    uint32_t ids_end;
    uint16_t depth;  // length of the string so far; the root has 0
    uint8_t byte;    // the last byte of it
  };

  // Strings of at most 65535 bytes, in any order; equal strings share a node. Empty ones belong to the root.
  explicit TokenTrie(std::vector<std::pair<std::string_view, int32_t>> strings);

  const std::vector<Node>& nodes() const { return nodes_; }  // nodes()[0] is the root
  const std::vector<int32_t>& ids() const { return ids_; }

 private:
  std::vector<Node> nodes_;
  std::vector<int32_t> ids_;
};

}  // namespace ev::decoder
