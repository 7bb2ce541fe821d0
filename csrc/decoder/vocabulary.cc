#include "decoder/vocabulary.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "decoder/utf8.h"
#include "io/quote.h"

namespace ev::decoder {
namespace {

constexpr size_t kMaxNameBytes = 4096;
constexpr uint64_t kMaxNamesBytes = 16u << 20;  // all names together

// Names of tokens that end generation whatever the file's metadata says, as llama.cpp has them; the
// file-separator and repository tokens of code models are among them.
constexpr const char* kEndNames[] = {
    "<|eot_id|>",    "<|im_end|>",        "<|end|>",    "<|return|>",   "<|call|>",
    "<end_of_turn>", "<|endoftext|>",     "</s>",       "<|eom_id|>",   "<EOT>",
    "_<EOT>",        "<|end_of_text|>",   "<eos>",      "<fim_pad>",    "<|fim_pad|>",
    "<|fim_repo|>",  "<|repo_name|>",     "<reponame>", "<|file_sep|>", "<fim-pad>",
    "<fim-repo>",    "<end_of_utterance>"};

[[noreturn]] void fail(const std::string& message) {
  throw Error(ErrorCode::kBadModel, message);
}

// GPT-2's table: printable Latin-1 characters stand for themselves, the other 68 bytes for U+0100 and up.
std::array<uint32_t, 256> make_byte_code_points() {
  std::array<uint32_t, 256> table{};
  uint32_t next = 0x100;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
    table[b] = printable ? b : next++;
  }
  return table;
}

const std::array<uint32_t, 256>& byte_code_points() {
  static const std::array<uint32_t, 256> table = make_byte_code_points();
  return table;
}

// A character outside the table keeps its own bytes: some files have such names.
std::string bytes_of_byte_level(const std::string& name) {
  static const std::array<int16_t, 0x144> byte_of = [] {
    std::array<int16_t, 0x144> inverse;
    inverse.fill(-1);
    for (size_t b = 0; b < 256; ++b) inverse[byte_code_points()[b]] = static_cast<int16_t>(b);
    return inverse;
  }();
  std::string bytes;
  for (const uint32_t c : decode_utf8_leniently(name)) {
    if (c < byte_of.size() && byte_of[c] >= 0) {
      bytes += static_cast<char>(byte_of[c]);
    } else {
      append_utf8(bytes, c);
    }
  }
  return bytes;
}

std::string bytes_of_sentence_piece(const std::string& name) {
  static const std::string kSpace = "\xE2\x96\x81";
  std::string bytes;
  for (size_t i = 0; i < name.size();) {
    if (name.compare(i, kSpace.size(), kSpace) == 0) {
      bytes += ' ';
      i += kSpace.size();
    } else {
      bytes += name[i++];
    }
  }
  return bytes;
}

// "<0xE2>" or one raw byte.
std::string byte_of_byte_token(const std::string& name) {
  const auto is_hex = [&](size_t i) { return std::isxdigit(static_cast<unsigned char>(name[i])) != 0; };
  if (name.size() == 6 && name.compare(0, 3, "<0x") == 0 && is_hex(3) && is_hex(4) && name[5] == '>')
    return std::string(1, static_cast<char>(std::stoi(name.substr(3, 2), nullptr, 16)));
  if (name.size() == 1) return name;
  fail("the byte token " + io::quoted(name) + " is not of the form <0xE2>");
}

std::string spelled_bytes(const std::string& name, TokenKind kind, Spelling spelling) {
  switch (kind) {
    case TokenKind::kNormal:
      return spelling == Spelling::kByteLevel ? bytes_of_byte_level(name) : bytes_of_sentence_piece(name);
    case TokenKind::kByte: return byte_of_byte_token(name);
    case TokenKind::kUnused:
    case TokenKind::kUndefined: return {};
    default: return name;
  }
}

// The array under `key` when it is there, as T; it must have one entry for each of `n` tokens.
template <typename T>
const std::vector<T>* find_array(const io::GgufFile& file, const char* key, size_t n) {
  const io::GgufValue* value = file.find(key);
  if (value == nullptr) return nullptr;
  const auto* array = std::get_if<std::vector<T>>(value);
  if (array == nullptr) fail(std::string(key) + " is not an array of the expected type");
  if (array->size() != n)
    fail(std::string(key) + " has " + std::to_string(array->size()) + " entries for " + std::to_string(n) +
         " tokens");
  return array;
}

TokenKind checked_kind(int64_t kind) {
  if (kind < 0 || kind > static_cast<int64_t>(TokenKind::kByte))
    fail("the token type " + std::to_string(kind) + " is unknown");
  return static_cast<TokenKind>(kind);
}

float checked_score(double score) {
  if (!std::isfinite(score)) fail("a token's score is not a finite number");
  return static_cast<float>(score);
}

}  // namespace

std::string byte_level_name(uint8_t byte) {
  std::string name;
  append_utf8(name, byte_code_points()[byte]);
  return name;
}

Vocabulary::Vocabulary(const io::GgufFile& file, Spelling spelling) {
  read_tokens(file, spelling);
  find_special(file, spelling);
}

void Vocabulary::read_tokens(const io::GgufFile& file, Spelling spelling) {
  const auto& names = file.get_strings("tokenizer.ggml.tokens");
  if (names.empty()) fail("tokenizer.ggml.tokens is empty");
  const auto* kinds = find_array<int64_t>(file, "tokenizer.ggml.token_type", names.size());
  const auto* scores = find_array<double>(file, "tokenizer.ggml.scores", names.size());
  tokens_.resize(names.size());
  by_name_.reserve(names.size());
  uint64_t total = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    Token& token = tokens_[i];
    token.name = names[i];
    total += token.name.size();
    if (token.name.size() > kMaxNameBytes || total > kMaxNamesBytes)
      fail("the names of the tokens are too long at token " + std::to_string(i));
    if (kinds != nullptr) token.kind = checked_kind((*kinds)[i]);
    if (scores != nullptr) token.score = checked_score((*scores)[i]);
    token.bytes = spelled_bytes(token.name, token.kind, spelling);
    longest_name_ = std::max(longest_name_, token.name.size());
    if (!token.name.empty() && !by_name_.emplace(token.name, static_cast<TokenId>(i)).second)
      fail("the token " + io::quoted(token.name) + " appears twice");
  }
}

void Vocabulary::find_special(const io::GgufFile& file, Spelling spelling) {
  const auto read_id = [&](const char* key, TokenId fallback) -> TokenId {
    const uint64_t id = file.get_uint(key, static_cast<uint64_t>(fallback));
    return id < tokens_.size() ? static_cast<TokenId>(id) : kNoToken;
  };
  const bool sentence_piece = spelling == Spelling::kSentencePiece;
  bos_ = read_id("tokenizer.ggml.bos_token_id", sentence_piece ? 1 : kNoToken);
  eos_ = read_id("tokenizer.ggml.eos_token_id", sentence_piece ? 2 : kNoToken);
  unknown_ = read_id("tokenizer.ggml.unknown_token_id", sentence_piece ? 0 : kNoToken);

  std::vector<TokenId> ends = {eos_, read_id("tokenizer.ggml.eot_token_id", kNoToken),
                               read_id("tokenizer.ggml.eom_token_id", kNoToken)};
  for (const char* name : kEndNames) ends.push_back(find(name));
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  for (const TokenId id : ends) {
    if (id == kNoToken) continue;
    ends_.push_back(id);
    // Some files call these normal tokens; as such they could be printed and would match in users' text.
    Token& token = tokens_[static_cast<size_t>(id)];
    token.kind = TokenKind::kControl;
    token.bytes = token.name;
  }
}

TokenId Vocabulary::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? kNoToken : it->second;
}

bool Vocabulary::spells_text(TokenId id) const {
  const TokenKind k = kind(id);
  const bool text = k == TokenKind::kNormal || k == TokenKind::kUserDefined || k == TokenKind::kByte;
  return text && !bytes(id).empty();
}

bool Vocabulary::is_end(TokenId id) const {
  return std::binary_search(ends_.begin(), ends_.end(), id);
}

}  // namespace ev::decoder
