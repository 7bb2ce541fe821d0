// Element and block types of tensors. Values equal GGUF's (ggml_type), so a file's number is the enum's
// value.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ev {

enum class DType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ6_K = 14,
  kBF16 = 30,
};

// Elements per block and bytes per block; {0, 0} for a type this library does not read.
//
//   Q4_0  32 x 4 bit:  f16 d | 16 B nibbles            w = d * (q - 8)
//   Q4_1  32 x 4 bit:  f16 d | f16 m | 16 B nibbles    w = d * q + m
//   Q8_0  32 x 8 bit:  f16 d | 32 B                    w = d * q
//   Q4_K  256 x 4 bit: f16 d | f16 dmin | 12 B scales (8 x 6-bit scale, 6-bit min) | 128 B nibbles
//   Q6_K  256 x 6 bit: 128 B low nibbles | 64 B high pairs | 16 x int8 scale | f16 d
struct BlockLayout {
  uint32_t elements;
  uint32_t bytes;
};

constexpr BlockLayout block_layout(DType t) {
  switch (t) {
    case DType::kF32: return {1, 4};
    case DType::kF16: return {1, 2};
    case DType::kBF16: return {1, 2};
    case DType::kQ4_0: return {32, 18};
    case DType::kQ4_1: return {32, 20};
    case DType::kQ8_0: return {32, 34};
    case DType::kQ4_K: return {256, 144};
    case DType::kQ6_K: return {256, 210};
  }
  return {0, 0};
}

const char* dtype_name(DType t);

}  // namespace ev
