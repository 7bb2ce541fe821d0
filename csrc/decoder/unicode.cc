#include "decoder/unicode.h"

#include <algorithm>

namespace ev::decoder {

CharClass char_class(uint32_t code_point) {
  if (code_point > 0x10FFFF) return CharClass::kOther;
  // The last range that begins at or before the code point; class bits all set sort it after an equal start.
  const uint32_t* end = kUnicodeRanges + kUnicodeRangeCount;
  const uint32_t* after = std::upper_bound(kUnicodeRanges, end, code_point << 3 | 7);
  return static_cast<CharClass>(after[-1] & 7);
}

}  // namespace ev::decoder
