// Byte-level BPE: within each piece of the text, the neighbouring pair whose merge has the lowest rank is
// merged, again and again, leftmost first among equals. A heap of pairs over a linked list: O(n log n) for a
// piece of n bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "decoder/tokenizer.h"
#include "decoder/tokenizer_split.h"

namespace ev::decoder {

class BpeModel : public TokenModel {
 public:
  // `vocabulary` must outlive the model. `whole_words`: a piece that is a token is taken as it is, without
  // merging (llama.cpp's ignore_merges). Throws Error(kBadModel) for a malformed merge.
  BpeModel(const io::GgufFile& file, const Vocabulary& vocabulary, SplitRule rule, bool whole_words);

  void encode(std::string_view text, bool after_special, std::vector<TokenId>& out) const override;

 private:
  // A token's id, or size of the vocabulary + n for the n-th string that occurs in merges without being a
  // token.
  using Symbol = uint32_t;
  struct Merge {
    uint32_t rank;
    Symbol result;
  };
  struct PairHash {
    size_t operator()(uint64_t pair) const;
  };
  class Merger;

  Symbol intern(const std::string& name, std::unordered_map<std::string, Symbol>& extra);
  void encode_piece(std::string_view bytes, Merger& merger, std::vector<TokenId>& out) const;
  void emit(Symbol symbol, std::vector<TokenId>& out) const;
  const Merge* find_merge(Symbol left, Symbol right) const;

  const Vocabulary& vocabulary_;
  SplitRule rule_;
  bool whole_words_;
  std::array<Symbol, 256> byte_symbols_{};
  std::vector<std::vector<TokenId>> extra_spelling_;  // tokens that spell each extra symbol's bytes
  std::unordered_map<uint64_t, Merge, PairHash> merges_;
};

}  // namespace ev::decoder
