// Cuts text into the pieces that byte-level BPE merges within. Each model family was trained with a pattern;
// the patterns are hand-written scanners here, linear in the text, with no regular-expression engine.
//
//   kGpt2     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//   kSmolLm   each \p{N} alone, kGpt2 between them
//   kLlama3   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
//             |\s*[\r\n]+|\s+(?!\S)|\s+
//   kQwen2    kLlama3 with \p{N} instead of \p{N}{1,3}
//   kDefault  runs of [\p{P}$+<=>^~|] alone, kGpt2 between them, then \p{N}+ alone, then [0-9]{3} alone
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ev::decoder {

enum class SplitRule { kGpt2, kSmolLm, kLlama3, kQwen2, kDefault };

// The end of each piece, as an index into `text` (code points); ascending, the last is text.size().
std::vector<uint32_t> split_text(SplitRule rule, const std::vector<uint32_t>& text);

}  // namespace ev::decoder
