// f16 and bf16 <-> f32 in integer arithmetic, for code compiled without the hardware's conversions.
#pragma once

#include <cstdint>
#include <cstring>

namespace ev::ops {
namespace {

inline float float_from_bits(uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

inline uint32_t bits_of(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}

inline float bfloat_to_float(uint16_t h) {
  return float_from_bits(static_cast<uint32_t>(h) << 16);
}

inline float half_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t rest = static_cast<uint32_t>(h & 0x7fffu) << 13;
  if (rest >= 0x0f800000u) return float_from_bits(sign | 0x70000000u | rest);  // infinity, NaN
  // As a f32 the bits mean the value times 2^-112; multiplying back also normalises subnormals.
  return float_from_bits(sign | bits_of(float_from_bits(rest) * 5.192296858534828e33f));
}

// Rounds half to even; overflow gives infinity, NaN stays a quiet NaN.
inline uint16_t float_to_half(float f) {
  const uint32_t bits = bits_of(f);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // >= 65520
  if (magnitude < 0x38800000u) {  // subnormal: let the adder round at 2^-24
    const uint32_t shifted = bits_of(float_from_bits(magnitude) + 0.5f);
    return static_cast<uint16_t>(sign | (shifted - 0x3f000000u));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

}  // namespace
}  // namespace ev::ops
