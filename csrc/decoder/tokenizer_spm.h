// SentencePiece models of the BPE kind: starting from characters, the neighbours whose joined text is the
// token with the highest score are joined, again and again, leftmost first among equals; what is no token in
// the end becomes byte tokens. A heap over a linked list: O(n log n).
#pragma once

#include <array>
#include <vector>

#include "decoder/tokenizer.h"

namespace ev::decoder {

class SpmModel : public TokenModel {
 public:
  // `vocabulary` must outlive the model.
  SpmModel(const io::GgufFile& file, const Vocabulary& vocabulary);

  void encode(std::string_view text, bool after_special, std::vector<TokenId>& out) const override;

 private:
  class Joiner;
  void emit(std::string_view symbol, std::vector<TokenId>& out) const;

  const Vocabulary& vocabulary_;
  bool add_space_prefix_;
  std::array<TokenId, 256> byte_tokens_{};  // kNoToken where the vocabulary has none
};

}  // namespace ev::decoder
