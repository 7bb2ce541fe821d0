#include "ops/block_codes.h"

#include <cstring>

#include "ops/simd/half.h"

namespace ev::ops {
namespace {

void set_scale(BlockCodes& b, float scale) {
  b.scale[0] = b.scale[1] = scale;
}

// Byte i holds code i in its low half and code i + 16 in its high half.
void split_nibbles(const uint8_t* bytes, int8_t* codes) {
  for (int i = 0; i < 16; ++i) {
    codes[i] = static_cast<int8_t>(bytes[i] & 15);
    codes[i + 16] = static_cast<int8_t>(bytes[i] >> 4);
  }
}

BlockCodes read_q4_0(const uint8_t* p) {
  BlockCodes b;
  set_scale(b, read_half(p));
  b.min = -8.0f * b.scale[0];
  split_nibbles(p + 2, b.codes);
  return b;
}

BlockCodes read_q4_1(const uint8_t* p) {
  BlockCodes b;
  set_scale(b, read_half(p));
  b.min = read_half(p + 2);
  split_nibbles(p + 4, b.codes);
  return b;
}

BlockCodes read_q8_0(const uint8_t* p) {
  BlockCodes b;
  set_scale(b, read_half(p));
  b.min = 0.0f;
  std::memcpy(b.codes, p + 2, sizeof(b.codes));
  return b;
}

// Eight groups; the scales and mins of groups 0-3 are the low 6 bits of bytes 0-3 and 4-7, those of groups
// 4-7 have their low 4 bits in bytes 8-11 and their high 2 bits above the others'. Groups 2i and 2i + 1 are
// the low and high nibbles of the same 32 bytes.
BlockCodes read_q4_k(const uint8_t* p, int group) {
  const uint8_t* packed = p + 4;
  int scale;
  int min;
  if (group < 4) {
    scale = packed[group] & 63;
    min = packed[group + 4] & 63;
  } else {
    scale = (packed[group + 4] & 15) | (packed[group - 4] >> 6) << 4;
    min = (packed[group + 4] >> 4) | (packed[group] >> 6) << 4;
  }
  BlockCodes b;
  set_scale(b, read_half(p) * static_cast<float>(scale));
  b.min = -(read_half(p + 2) * static_cast<float>(min));
  const uint8_t* bytes = p + 16 + 32 * (group / 2);
  for (int i = 0; i < 32; ++i)
    b.codes[i] = static_cast<int8_t>(group % 2 == 0 ? bytes[i] & 15 : bytes[i] >> 4);
  return b;
}

// Two halves of 128; within one, group g takes its low 4 bits from the low (g < 2) or high nibbles of 32
// bytes and its high 2 bits from bits 2g, 2g + 1 of 32 more.
BlockCodes read_q6_k(const uint8_t* p, int group) {
  const int half = group / 4;
  const int g = group % 4;
  const uint8_t* low = p + 64 * half + 32 * (g % 2);
  const uint8_t* high = p + 128 + 32 * half;
  BlockCodes b;
  for (int i = 0; i < 32; ++i) {
    const int nibble = g < 2 ? low[i] & 15 : low[i] >> 4;
    b.codes[i] = static_cast<int8_t>((nibble | ((high[i] >> (2 * g)) & 3) << 4) - 32);
  }
  const float d = read_half(p + 208);
  for (int i = 0; i < 2; ++i) {
    int8_t scale;
    std::memcpy(&scale, p + 192 + 2 * group + i, 1);
    b.scale[i] = d * static_cast<float>(scale);
  }
  b.min = 0.0f;
  return b;
}

}  // namespace

float read_half(const uint8_t* p) {
  return half_to_float(static_cast<uint16_t>(p[0] | p[1] << 8));
}

BlockCodes read_block(DType type, const uint8_t* row, int64_t index) {
  const BlockLayout layout = block_layout(type);
  const int64_t per_block = layout.elements / 32;
  const uint8_t* block = row + index / per_block * layout.bytes;
  const int group = static_cast<int>(index % per_block);
  switch (type) {
    case DType::kQ4_0: return read_q4_0(block);
    case DType::kQ4_1: return read_q4_1(block);
    case DType::kQ8_0: return read_q8_0(block);
    case DType::kQ4_K: return read_q4_k(block, group);
    case DType::kQ6_K: return read_q6_k(block, group);
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16: break;
  }
  return {};
}

}  // namespace ev::ops
