// Text <-> token ids, from the vocabulary inside a GGUF file. Two kinds of model are read:
//
//   tokenizer.ggml.model = "gpt2"    byte-level BPE: the text is cut by the model's pattern
//   (tokenizer.ggml.pre), then
//                                    the bytes of each piece are merged by rank
//   tokenizer.ggml.model = "llama"   SentencePiece: characters are merged by score; what no token spells
//   becomes bytes
//
// Ids equal llama.cpp's (tests/decoder/test_tokenizer_parity.py). Text may be any bytes. Immutable once made:
// any number of threads may use one tokenizer.
//
//   text --special names--> fragments --TokenModel--> ids           ids --Vocabulary::bytes--> text
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "decoder/vocabulary.h"
#include "io/gguf.h"

namespace ev::decoder {

class TokenTrie;

struct EncodeOptions {
  bool add_special = true;    // begin-of-text (and end-of-text) where the model's file asks for them
  bool parse_special = true;  // "<|im_end|>" in the text becomes that token; off for text that users wrote
};

// Turns text without special tokens into ids. Immutable.
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  // `after_special`: the text begins the input or follows a special token.
  virtual void encode(std::string_view text, bool after_special, std::vector<TokenId>& out) const = 0;
};

class Tokenizer {
 public:
  // Throws Error(kBadModel) for a malformed vocabulary, or naming a tokenizer model or pre-tokenizer that is
  // not supported. Copies what it needs: the file may be closed afterwards.
  static std::shared_ptr<const Tokenizer> from_gguf(const io::GgufFile& file);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // Bytes that the vocabulary cannot spell at all are left out, as llama.cpp leaves them out. Throws
  // Error(kInvalidArgument) for text over 1 GiB.
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const;

  // The tokens' bytes, one after another. Control tokens such as <|im_end|> are left out unless `special`.
  // The result may end inside a character: Utf8Stream puts those together. Throws Error(kInvalidArgument) for
  // an unknown id.
  std::string decode(const std::vector<TokenId>& ids, bool special = false) const;
  // What one generated token adds to the text, as decode() has it; the view lives as long as the tokenizer.
  std::string_view piece(TokenId id, bool special = false) const;

  const Vocabulary& vocabulary() const { return *vocabulary_; }
  int32_t size() const { return vocabulary_->size(); }
  bool is_end(TokenId id) const { return vocabulary_->is_end(id); }
  // The bytes of all tokens that spell text, for constraints.
  const TokenTrie& trie() const { return *trie_; }

 private:
  Tokenizer() = default;
  void find_special_names();
  struct Fragment;
  std::vector<Fragment> split_special(std::string_view text, bool parse_special) const;

  std::unique_ptr<Vocabulary> vocabulary_;
  std::unique_ptr<TokenModel> model_;
  std::unique_ptr<TokenTrie> trie_;
  std::vector<TokenId> special_;  // tokens found in text by their name, longest name first
  bool add_bos_ = false;
  bool add_eos_ = false;
};

}  // namespace ev::decoder
