// What kind of character a code point is, as the patterns of tokenizers see it: \p{L}, \p{N}, \s, \p{P}.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ev::decoder {

enum class CharClass : uint8_t { kOther = 0, kLetter = 1, kNumber = 2, kSpace = 3, kPunctuation = 4 };

// Unicode 15.1, as in llama.cpp's own tables; kOther for anything above U+10FFFF.
CharClass char_class(uint32_t code_point);

// The table: first code point of each range << 3 | its class, ascending (unicode_data.cc, made by
// unicode_gen.py).
extern const size_t kUnicodeRangeCount;
extern const uint32_t kUnicodeRanges[];

}  // namespace ev::decoder
