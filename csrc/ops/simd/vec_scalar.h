// Plain C++, any CPU: the meaning of the vocabulary (ops/simd/vec.h) and the yardstick of the other ISAs.
// Multiply- adds are not fused.
#pragma once

#include <cmath>

#include "ops/simd/half.h"

namespace ev::ops {
namespace {

constexpr int kTileRows = 2;
constexpr int kTileCols = 1;
constexpr int kDotRows = 2;
constexpr int kDotPanels = 1;
constexpr int kScoreRows = 2;
constexpr int kConvRows = 2;
constexpr int kConvPanels = 1;

struct F32 {
  float v[16];
};
struct I32 {
  int32_t v[16];
};
struct Codes {
  int8_t v[64];
};

inline void prefetch(const void* p) {
  __builtin_prefetch(p);
}

template <class V, class Fn>
inline V each(const Fn& fn) {
  V r;
  for (int i = 0; i < 16; ++i) r.v[i] = fn(i);
  return r;
}

inline F32 splat(float x) {
  return each<F32>([&](int) { return x; });
}
inline F32 load(const float* p) {
  return each<F32>([&](int i) { return p[i]; });
}
inline F32 load(const F16* p) {
  return each<F32>([&](int i) { return half_to_float(p[i].bits); });
}
inline F32 load(const BF16* p) {
  return each<F32>([&](int i) { return bfloat_to_float(p[i].bits); });
}
inline F32 load_n(const float* p, int n) {
  return each<F32>([&](int i) { return i < n ? p[i] : 0.0f; });
}
inline void store(float* p, F32 a) {
  std::memcpy(p, a.v, sizeof(a.v));
}
inline void store(F16* p, F32 a) {
  for (int i = 0; i < 16; ++i) p[i].bits = float_to_half(a.v[i]);
}
inline void store_n(float* p, F32 a, int n) {
  std::memcpy(p, a.v, sizeof(float) * static_cast<size_t>(n));
}

inline F32 operator+(F32 a, F32 b) {
  return each<F32>([&](int i) { return a.v[i] + b.v[i]; });
}
inline F32 operator-(F32 a, F32 b) {
  return each<F32>([&](int i) { return a.v[i] - b.v[i]; });
}
inline F32 operator*(F32 a, F32 b) {
  return each<F32>([&](int i) { return a.v[i] * b.v[i]; });
}
inline F32 operator/(F32 a, F32 b) {
  return each<F32>([&](int i) { return a.v[i] / b.v[i]; });
}
inline F32 fma(F32 a, F32 b, F32 c) {
  return a * b + c;
}
inline F32 sqrt(F32 a) {
  return each<F32>([&](int i) { return std::sqrt(a.v[i]); });
}
inline F32 max(F32 a, F32 b) {
  return each<F32>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline F32 min(F32 a, F32 b) {
  return each<F32>([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline F32 zero_where_less(F32 a, F32 b, F32 x) {  // a < b ? 0 : x
  return each<F32>([&](int i) { return a.v[i] < b.v[i] ? 0.0f : x.v[i]; });
}
inline F32 merge_n(F32 a, F32 b, int n) {  // the first n lanes of a, the others of b
  return each<F32>([&](int i) { return i < n ? a.v[i] : b.v[i]; });
}

inline I32 magnitude_bits(F32 a) {
  return each<I32>([&](int i) { return static_cast<int32_t>(bits_of(a.v[i]) & 0x7fffffffu); });
}
inline I32 max(I32 a, I32 b) {
  return each<I32>([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
// Half to even, by the float format itself: beyond 2^23 there are no fractions to keep. |a| < 2^22.
inline I32 round_to_int(F32 a) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23
  return each<I32>([&](int i) { return static_cast<int32_t>((a.v[i] + kShift) - kShift); });
}
inline F32 to_float(I32 a) {
  return each<F32>([&](int i) { return static_cast<float>(a.v[i]); });
}
inline F32 pow2(I32 n) {  // 2^n, -126 <= n <= 127
  return each<F32>([&](int i) { return float_from_bits(static_cast<uint32_t>(n.v[i] + 127) << 23); });
}

// Sums and maxima pair lane i with i + 8, then i + 4, i + 2, i + 1.
inline float reduce_add(F32 a) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) a.v[i] += a.v[i + half];
  return a.v[0];
}
inline float reduce_max(F32 a) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) a.v[i] = a.v[i] > a.v[i + half] ? a.v[i] : a.v[i + half];
  return a.v[0];
}
inline int32_t reduce_add(I32 a) {
  int32_t sum = 0;
  for (int i = 0; i < 16; ++i) sum += a.v[i];
  return sum;
}
inline int32_t reduce_max(I32 a) {
  int32_t largest = a.v[0];
  for (int i = 1; i < 16; ++i) largest = a.v[i] > largest ? a.v[i] : largest;
  return largest;
}
inline void store_codes(int8_t* p, I32 a) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<int8_t>(a.v[i]);
}

inline Codes load_codes(const uint8_t* p) {
  Codes r;
  std::memcpy(r.v, p, sizeof(r.v));
  return r;
}
inline Codes load_quads(const int8_t* a, const int8_t* b, const int8_t* c, const int8_t* d) {
  const int8_t* rows[4] = {a, b, c, d};
  Codes r;
  for (int i = 0; i < 64; ++i) r.v[i] = rows[i % 4][i / 4];
  return r;
}
inline Codes splat_codes(const int8_t* p) {
  Codes r;
  for (int i = 0; i < 64; ++i) r.v[i] = p[i % 4];
  return r;
}
inline Codes low_nibbles(Codes a) {
  for (int8_t& c : a.v) c = static_cast<int8_t>(c & 15);
  return a;
}
inline Codes high_nibbles(Codes a) {
  for (int8_t& c : a.v) c = static_cast<int8_t>(static_cast<uint8_t>(c) >> 4);
  return a;
}

struct NibbleDot {
  I32 sum = {};
  void add(const Codes& w, const Codes& x) {
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 4; ++j) sum.v[i] += w.v[4 * i + j] * x.v[4 * i + j];
  }
  I32 total() const { return sum; }
};

struct ByteDot : NibbleDot {
  void start(int32_t /*sum_of_x*/) {}
};

struct SignedDot : NibbleDot {
  void start(I32 /*sums_of_w*/) {}
};

inline I32 load_ints(const int32_t* p) {
  return each<I32>([&](int i) { return p[i]; });
}
inline I32 operator+(I32 a, I32 b) {
  return each<I32>([&](int i) { return a.v[i] + b.v[i]; });
}
inline F32 load(const int8_t* p) {
  return each<F32>([&](int i) { return static_cast<float>(p[i]); });
}
inline void store_shorts(int16_t* p, I32 a) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<int16_t>(a.v[i]);
}
inline uint32_t negative_lanes(I32 a) {
  uint32_t bits = 0;
  for (int i = 0; i < 16; ++i) bits |= static_cast<uint32_t>(a.v[i] < 0) << i;
  return bits;
}

struct PairSum {
  I32 sum = {};
  void add(const int16_t* lanes, const int16_t* pair) {
    for (int i = 0; i < 16; ++i) sum.v[i] += lanes[2 * i] * pair[0] + lanes[2 * i + 1] * pair[1];
  }
};

}  // namespace
}  // namespace ev::ops
