// The tokens of a model: what each is called in the file, which bytes it stands for, which ones end
// generation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/gguf.h"

namespace ev::decoder {

using TokenId = int32_t;
constexpr TokenId kNoToken = -1;

enum class TokenKind : uint8_t {  // values of tokenizer.ggml.token_type
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// How the names of normal tokens spell bytes.
enum class Spelling {
  kByteLevel,     // GPT-2: each byte is one printable character (0x20 is U+0120)
  kSentencePiece  // UTF-8 with U+2581 for a space; "<0xE2>" for a single byte
};

// Immutable once made.
class Vocabulary {
 public:
  // Throws Error(kBadModel): no tokens, a name twice, a name over 4096 bytes, arrays of different lengths.
  Vocabulary(const io::GgufFile& file, Spelling spelling);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }
  bool contains(TokenId id) const { return id >= 0 && id < size(); }
  const std::string& name(TokenId id) const { return at(id).name; }
  // What the token adds to the text; for control, unknown and user-defined tokens their name.
  const std::string& bytes(TokenId id) const { return at(id).bytes; }
  TokenKind kind(TokenId id) const { return at(id).kind; }
  float score(TokenId id) const { return at(id).score; }
  // Whether the token is text that generation may print: normal, user-defined and byte tokens that are not
  // empty.
  bool spells_text(TokenId id) const;
  TokenId find(std::string_view name) const;  // by name as in the file; kNoToken when there is none
  size_t longest_name() const { return longest_name_; }

  TokenId bos() const { return bos_; }  // kNoToken where the file names none
  TokenId eos() const { return eos_; }
  TokenId unknown() const { return unknown_; }
  // Tokens after which generation stops: end of text, of turn, of message. Ascending.
  const std::vector<TokenId>& end_tokens() const { return ends_; }
  bool is_end(TokenId id) const;

 private:
  struct Token {
    std::string name;
    std::string bytes;
    float score = 0;
    TokenKind kind = TokenKind::kNormal;
  };

  const Token& at(TokenId id) const { return tokens_[static_cast<size_t>(id)]; }
  void read_tokens(const io::GgufFile& file, Spelling spelling);
  void find_special(const io::GgufFile& file, Spelling spelling);

  std::vector<Token> tokens_;
  std::unordered_map<std::string_view, TokenId> by_name_;  // views into tokens_
  size_t longest_name_ = 0;
  TokenId bos_ = kNoToken;
  TokenId eos_ = kNoToken;
  TokenId unknown_ = kNoToken;
  std::vector<TokenId> ends_;
};

// The character that stands for a byte in GPT-2's spelling, as UTF-8.
std::string byte_level_name(uint8_t byte);

}  // namespace ev::decoder
