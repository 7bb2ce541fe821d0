// ARMv8.2-A NEON with dot products: four registers per vector. Names and meanings: ops/simd/vec.h.
#pragma once

#include <arm_neon.h>

namespace ev::ops {
namespace {

constexpr int kTileRows = 6;
constexpr int kTileCols = 1;
constexpr int kDotRows = 3;
constexpr int kDotPanels = 1;
constexpr int kScoreRows = 5;
constexpr int kConvRows = 4;
constexpr int kConvPanels = 1;

struct F32 {
  float32x4_t q[4];
};
struct I32 {
  int32x4_t q[4];
};
struct Codes {
  int8x16_t q[4];
};

inline void prefetch(const void* p) {
  __builtin_prefetch(p);
}

template <class V, class Fn>
inline V each(const Fn& fn) {
  return {{fn(0), fn(1), fn(2), fn(3)}};
}

inline F32 splat(float x) {
  return each<F32>([&](int) { return vdupq_n_f32(x); });
}
inline F32 load(const float* p) {
  return each<F32>([&](int i) { return vld1q_f32(p + 4 * i); });
}
inline F32 load(const F16* p) {
  return each<F32>([&](int i) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const uint16_t*>(p + 4 * i))));
  });
}
inline F32 load(const BF16* p) {
  return each<F32>([&](int i) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(reinterpret_cast<const uint16_t*>(p + 4 * i)), 16));
  });
}
inline void store(float* p, F32 a) {
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.q[i]);
}
inline void store(F16* p, F32 a) {
  for (int i = 0; i < 4; ++i)
    vst1_u16(reinterpret_cast<uint16_t*>(p + 4 * i), vreinterpret_u16_f16(vcvt_f16_f32(a.q[i])));
}
inline F32 load_n(const float* p, int n) {
  float lanes[16] = {};
  std::memcpy(lanes, p, sizeof(float) * static_cast<size_t>(n));
  return load(lanes);
}
inline void store_n(float* p, F32 a, int n) {
  float lanes[16];
  store(lanes, a);
  std::memcpy(p, lanes, sizeof(float) * static_cast<size_t>(n));
}

inline F32 operator+(F32 a, F32 b) {
  return each<F32>([&](int i) { return vaddq_f32(a.q[i], b.q[i]); });
}
inline F32 operator-(F32 a, F32 b) {
  return each<F32>([&](int i) { return vsubq_f32(a.q[i], b.q[i]); });
}
inline F32 operator*(F32 a, F32 b) {
  return each<F32>([&](int i) { return vmulq_f32(a.q[i], b.q[i]); });
}
inline F32 operator/(F32 a, F32 b) {
  return each<F32>([&](int i) { return vdivq_f32(a.q[i], b.q[i]); });
}
inline F32 fma(F32 a, F32 b, F32 c) {
  return each<F32>([&](int i) { return vfmaq_f32(c.q[i], a.q[i], b.q[i]); });
}
inline F32 sqrt(F32 a) {
  return each<F32>([&](int i) { return vsqrtq_f32(a.q[i]); });
}
inline F32 max(F32 a, F32 b) {
  return each<F32>([&](int i) { return vbslq_f32(vcgtq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]); });
}
inline F32 min(F32 a, F32 b) {
  return each<F32>([&](int i) { return vbslq_f32(vcltq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]); });
}
inline F32 zero_where_less(F32 a, F32 b, F32 x) {  // a < b ? 0 : x
  return each<F32>([&](int i) { return vbslq_f32(vcltq_f32(a.q[i], b.q[i]), vdupq_n_f32(0.0f), x.q[i]); });
}
inline F32 merge_n(F32 a, F32 b, int n) {  // the first n lanes of a, the others of b
  const int32_t steps[4] = {0, 1, 2, 3};
  const int32x4_t lane = vld1q_s32(steps);
  return each<F32>([&](int i) { return vbslq_f32(vcltq_s32(lane, vdupq_n_s32(n - 4 * i)), a.q[i], b.q[i]); });
}

inline I32 magnitude_bits(F32 a) {
  return each<I32>([&](int i) { return vreinterpretq_s32_f32(vabsq_f32(a.q[i])); });
}
inline I32 max(I32 a, I32 b) {
  return each<I32>([&](int i) { return vmaxq_s32(a.q[i], b.q[i]); });
}
inline I32 round_to_int(F32 a) {
  return each<I32>([&](int i) { return vcvtnq_s32_f32(a.q[i]); });
}
inline F32 to_float(I32 a) {
  return each<F32>([&](int i) { return vcvtq_f32_s32(a.q[i]); });
}
inline F32 pow2(I32 n) {  // 2^n, -126 <= n <= 127
  return each<F32>(
      [&](int i) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n.q[i], vdupq_n_s32(127)), 23)); });
}

// Sums and maxima pair lane i with i + 8, then i + 4, i + 2, i + 1.
inline float reduce_add(F32 a) {
  const float32x4_t s4 = vaddq_f32(vaddq_f32(a.q[0], a.q[2]), vaddq_f32(a.q[1], a.q[3]));
  const float32x2_t s2 = vadd_f32(vget_low_f32(s4), vget_high_f32(s4));
  return vget_lane_f32(s2, 0) + vget_lane_f32(s2, 1);
}
inline float reduce_max(F32 a) {
  float lanes[16];
  store(lanes, a);
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
  return lanes[0];
}
inline int32_t reduce_add(I32 a) {
  return vaddvq_s32(vaddq_s32(vaddq_s32(a.q[0], a.q[2]), vaddq_s32(a.q[1], a.q[3])));
}
inline int32_t reduce_max(I32 a) {
  return vmaxvq_s32(vmaxq_s32(vmaxq_s32(a.q[0], a.q[2]), vmaxq_s32(a.q[1], a.q[3])));
}
inline void store_codes(int8_t* p, I32 a) {
  const int16x8_t lo = vcombine_s16(vqmovn_s32(a.q[0]), vqmovn_s32(a.q[1]));
  const int16x8_t hi = vcombine_s16(vqmovn_s32(a.q[2]), vqmovn_s32(a.q[3]));
  vst1q_s8(p, vcombine_s8(vqmovn_s16(lo), vqmovn_s16(hi)));
}

inline Codes load_codes(const uint8_t* p) {
  return each<Codes>([&](int i) { return vreinterpretq_s8_u8(vld1q_u8(p + 16 * i)); });
}
inline Codes load_quads(const int8_t* a, const int8_t* b, const int8_t* c, const int8_t* d) {
  const int8x16x2_t ab = vzipq_s8(vld1q_s8(a), vld1q_s8(b)), cd = vzipq_s8(vld1q_s8(c), vld1q_s8(d));
  const auto words = [](int8x16_t v) { return vreinterpretq_s16_s8(v); };
  const int16x8x2_t lo = vzipq_s16(words(ab.val[0]), words(cd.val[0]));
  const int16x8x2_t hi = vzipq_s16(words(ab.val[1]), words(cd.val[1]));
  return {{vreinterpretq_s8_s16(lo.val[0]), vreinterpretq_s8_s16(lo.val[1]), vreinterpretq_s8_s16(hi.val[0]),
           vreinterpretq_s8_s16(hi.val[1])}};
}
inline Codes splat_codes(const int8_t* p) {
  int32_t four;
  std::memcpy(&four, p, 4);
  return each<Codes>([&](int) { return vreinterpretq_s8_s32(vdupq_n_s32(four)); });
}
inline Codes low_nibbles(Codes a) {
  return each<Codes>([&](int i) { return vandq_s8(a.q[i], vdupq_n_s8(15)); });
}
inline Codes high_nibbles(Codes a) {
  return each<Codes>([&](int i) { return vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(a.q[i]), 4)); });
}

struct NibbleDot {
  I32 sum = each<I32>([](int) { return vdupq_n_s32(0); });
  void add(Codes w, Codes x) {
    for (int i = 0; i < 4; ++i) sum.q[i] = vdotq_s32(sum.q[i], w.q[i], x.q[i]);
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
  return each<I32>([&](int i) { return vld1q_s32(p + 4 * i); });
}
inline I32 operator+(I32 a, I32 b) {
  return each<I32>([&](int i) { return vaddq_s32(a.q[i], b.q[i]); });
}
inline F32 load(const int8_t* p) {
  const int8x16_t bytes = vld1q_s8(p);
  const int16x8_t lo = vmovl_s8(vget_low_s8(bytes)), hi = vmovl_s8(vget_high_s8(bytes));
  return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(lo))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(lo))),
           vcvtq_f32_s32(vmovl_s16(vget_low_s16(hi))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(hi)))}};
}
inline void store_shorts(int16_t* p, I32 a) {
  for (int i = 0; i < 4; ++i) vst1_s16(p + 4 * i, vqmovn_s32(a.q[i]));
}
inline uint32_t negative_lanes(I32 a) {
  const int32_t place[4] = {1, 2, 4, 8};
  uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) {
    const int32x4_t mine = vandq_s32(vshrq_n_s32(a.q[i], 31), vld1q_s32(place));
    bits |= static_cast<uint32_t>(vaddvq_s32(mine)) << 4 * i;
  }
  return bits;
}

struct PairSum {
  I32 sum = each<I32>([](int) { return vdupq_n_s32(0); });
  void add(const int16_t* lanes, const int16_t* pair) {
    const int16x4x2_t both = {{vdup_n_s16(pair[0]), vdup_n_s16(pair[1])}};
    for (int i = 0; i < 4; ++i) {
      const int16x4x2_t two = vld2_s16(lanes + 8 * i);
      sum.q[i] = vmlal_s16(vmlal_s16(sum.q[i], two.val[0], both.val[0]), two.val[1], both.val[1]);
    }
  }
};

}  // namespace
}  // namespace ev::ops
