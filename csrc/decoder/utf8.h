// UTF-8 in and out of the tokenizer. Input may be any bytes; output to a reader is always valid UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ev::decoder {

constexpr uint32_t kReplacement = 0xFFFD;

// Appends the code point's bytes; it must be at most U+10FFFF. Surrogates are written like any other.
void append_utf8(std::string& out, uint32_t code_point);

// One code point per character. Agrees with llama.cpp on bytes that are not UTF-8: each byte that begins no
// complete sequence becomes U+FFFD, while overlong forms and surrogates are taken for what they spell.
std::vector<uint32_t> decode_utf8_leniently(std::string_view bytes);

// Puts characters together from tokens that may end inside one. Not thread-safe.
//
//   push("\xE2\x82") -> ""     push("\xAC!") -> "€!"     finish() -> what is left over, as U+FFFD
class Utf8Stream {
 public:
  // The characters that are complete now, valid UTF-8; malformed sequences as U+FFFD.
  std::string push(std::string_view bytes);
  std::string finish();

 private:
  std::string pending_;  // the beginning of a character, at most 3 bytes
};

}  // namespace ev::decoder
