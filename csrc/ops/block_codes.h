// The codes of quantised GGUF blocks, 32 at a time: what dequantisation and packing share. Layouts:
// base/dtype.h.
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace ev::ops {

// 32 consecutive weights: w[i] = scale[i / 16] * codes[i] + min. All but Q6_K have both scales equal, and all
// but Q4_0, Q4_1 and Q4_K have min = 0.
struct BlockCodes {
  int8_t codes[32];
  float scale[2];
  float min;
};

constexpr bool is_quantized(DType t) {
  return block_layout(t).elements > 1;
}

// The `index`-th group of 32 of a row of a quantised type.
BlockCodes read_block(DType type, const uint8_t* row, int64_t index);

float read_half(const uint8_t* p);  // a little-endian f16

}  // namespace ev::ops
