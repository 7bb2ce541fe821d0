// AVX2 + FMA + F16C: two registers per vector. Names and meanings: ops/simd/vec.h.
#pragma once

#include <immintrin.h>

namespace ev::ops {
namespace {

constexpr int kTileRows = 6;
constexpr int kTileCols = 1;
constexpr int kDotRows = 4;
constexpr int kDotPanels = 1;
constexpr int kScoreRows = 4;
constexpr int kConvRows = 4;
constexpr int kConvPanels = 1;

struct F32 {
  __m256 lo, hi;
};
struct I32 {
  __m256i lo, hi;
};
struct Codes {
  __m256i lo, hi;
};

inline void prefetch(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
}
inline __m256i load256(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline __m128i load128(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

inline F32 splat(float x) {
  return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
inline F32 load(const float* p) {
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
inline F32 load(const F16* p) {
  return {_mm256_cvtph_ps(load128(p)), _mm256_cvtph_ps(load128(p + 8))};
}
inline __m256 widen_bf16(__m128i a) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16));
}
inline F32 load(const BF16* p) {
  return {widen_bf16(load128(p)), widen_bf16(load128(p + 8))};
}
inline void store(float* p, F32 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
inline void store(F16* p, F32 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT));
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
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline F32 operator-(F32 a, F32 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline F32 operator*(F32 a, F32 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline F32 operator/(F32 a, F32 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
inline F32 fma(F32 a, F32 b, F32 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline F32 sqrt(F32 a) {
  return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)};
}
inline F32 max(F32 a, F32 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
inline F32 min(F32 a, F32 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
inline F32 zero_where_less(F32 a, F32 b, F32 x) {  // a < b ? 0 : x
  return {_mm256_and_ps(_mm256_cmp_ps(a.lo, b.lo, _CMP_NLT_UQ), x.lo),
          _mm256_and_ps(_mm256_cmp_ps(a.hi, b.hi, _CMP_NLT_UQ), x.hi)};
}
inline F32 merge_n(F32 a, F32 b, int n) {  // the first n lanes of a, the others of b
  const __m256i count = _mm256_set1_epi32(n);
  const __m256i lo = _mm256_cmpgt_epi32(count, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  const __m256i hi = _mm256_cmpgt_epi32(count, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15));
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_castsi256_ps(lo)),
          _mm256_blendv_ps(b.hi, a.hi, _mm256_castsi256_ps(hi))};
}

inline I32 magnitude_bits(F32 a) {
  const __m256i mask = _mm256_set1_epi32(0x7fffffff);
  return {_mm256_and_si256(_mm256_castps_si256(a.lo), mask),
          _mm256_and_si256(_mm256_castps_si256(a.hi), mask)};
}
inline I32 max(I32 a, I32 b) {
  return {_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)};
}
inline I32 round_to_int(F32 a) {
  return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)};
}
inline F32 to_float(I32 a) {
  return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
}
inline __m256 pow2_half(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
inline F32 pow2(I32 n) {
  return {pow2_half(n.lo), pow2_half(n.hi)};
}  // 2^n, -126 <= n <= 127

// Sums and maxima pair lane i with i + 8, then i + 4, i + 2, i + 1.
inline float reduce_add(F32 a) {
  const __m256 s8 = _mm256_add_ps(a.lo, a.hi);
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
inline float reduce_max(F32 a) {
  const __m256 s8 = _mm256_max_ps(a.lo, a.hi);
  const __m128 s4 = _mm_max_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_max_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_max_ss(s2, _mm_movehdup_ps(s2)));
}
inline int32_t reduce_add(I32 a) {
  const __m256i s8 = _mm256_add_epi32(a.lo, a.hi);
  const __m128i s4 = _mm_add_epi32(_mm256_castsi256_si128(s8), _mm256_extracti128_si256(s8, 1));
  const __m128i s2 = _mm_add_epi32(s4, _mm_shuffle_epi32(s4, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(s2, _mm_shuffle_epi32(s2, 0xb1)));
}
inline int32_t reduce_max(I32 a) {
  const __m256i s8 = _mm256_max_epi32(a.lo, a.hi);
  const __m128i s4 = _mm_max_epi32(_mm256_castsi256_si128(s8), _mm256_extracti128_si256(s8, 1));
  const __m128i s2 = _mm_max_epi32(s4, _mm_shuffle_epi32(s4, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(s2, _mm_shuffle_epi32(s2, 0xb1)));
}
inline void store_codes(int8_t* p, I32 a) {
  const __m256i mixed = _mm256_packs_epi32(a.lo, a.hi);  // quarters 0 2 1 3
  const __m256i words = _mm256_permute4x64_epi64(mixed, 0xd8);
  const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

inline Codes load_codes(const uint8_t* p) {
  return {load256(p), load256(p + 32)};
}
inline __m128i load128(const int8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline Codes load_quads(const int8_t* a, const int8_t* b, const int8_t* c, const int8_t* d) {
  const __m128i ra = load128(a), rb = load128(b), rc = load128(c), rd = load128(d);
  const __m128i ab_lo = _mm_unpacklo_epi8(ra, rb), ab_hi = _mm_unpackhi_epi8(ra, rb);
  const __m128i cd_lo = _mm_unpacklo_epi8(rc, rd), cd_hi = _mm_unpackhi_epi8(rc, rd);
  return {_mm256_set_m128i(_mm_unpackhi_epi16(ab_lo, cd_lo), _mm_unpacklo_epi16(ab_lo, cd_lo)),
          _mm256_set_m128i(_mm_unpackhi_epi16(ab_hi, cd_hi), _mm_unpacklo_epi16(ab_hi, cd_hi))};
}
inline Codes splat_codes(const int8_t* p) {
  int32_t four;
  std::memcpy(&four, p, 4);
  return {_mm256_set1_epi32(four), _mm256_set1_epi32(four)};
}
inline Codes low_nibbles(Codes a) {
  const __m256i mask = _mm256_set1_epi8(15);
  return {_mm256_and_si256(a.lo, mask), _mm256_and_si256(a.hi, mask)};
}
inline Codes high_nibbles(Codes a) {
  const __m256i mask = _mm256_set1_epi8(15);
  return {_mm256_and_si256(_mm256_srli_epi16(a.lo, 4), mask),
          _mm256_and_si256(_mm256_srli_epi16(a.hi, 4), mask)};
}

// Pairs of products are summed in 16 bits: a block's 16 pairs of at most 2 * 15 * 127, two per lane and step,
// stay below 8 * 3810 < 32768.
struct NibbleDot {
  __m256i lo = _mm256_setzero_si256();
  __m256i hi = _mm256_setzero_si256();
  void add(Codes w, Codes x) {
    lo = _mm256_add_epi16(lo, _mm256_maddubs_epi16(w.lo, x.lo));
    hi = _mm256_add_epi16(hi, _mm256_maddubs_epi16(w.hi, x.hi));
  }
  I32 total() const {
    const __m256i ones = _mm256_set1_epi16(1);
    return {_mm256_madd_epi16(lo, ones), _mm256_madd_epi16(hi, ones)};
  }
};

// The sign of w moves to x, so that |w| <= 128 can be the unsigned side; 2 * 128 * 127 fits 16 bits, once.
struct ByteDot {
  __m256i lo = _mm256_setzero_si256();
  __m256i hi = _mm256_setzero_si256();
  void start(int32_t /*sum_of_x*/) {}
  static __m256i products(__m256i w, __m256i x) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)),
                             _mm256_set1_epi16(1));
  }
  void add(Codes w, Codes x) {
    lo = _mm256_add_epi32(lo, products(w.lo, x.lo));
    hi = _mm256_add_epi32(hi, products(w.hi, x.hi));
  }
  I32 total() const { return {lo, hi}; }
};

// |x| <= 128 is unsigned and the weight takes its sign, so pairs of products stay below 2 * 128 * 127 <
// 32768.
struct SignedDot : ByteDot {
  void start(I32 /*sums_of_w*/) {}
  void add(Codes w, Codes x) { ByteDot::add(x, w); }
};

inline I32 load_ints(const int32_t* p) {
  return {load256(p), load256(p + 8)};
}
inline I32 operator+(I32 a, I32 b) {
  return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}
inline __m256 widen_int8(const int8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline F32 load(const int8_t* p) {
  return {widen_int8(p), widen_int8(p + 8)};
}
inline void store_shorts(int16_t* p, I32 a) {
  const __m256i mixed = _mm256_packs_epi32(a.lo, a.hi);  // quarters 0 2 1 3
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(mixed, 0xd8));
}
inline uint32_t negative_lanes(I32 a) {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(a.lo))) |
         static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(a.hi))) << 8;
}

struct PairSum {
  I32 sum = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  void add(const int16_t* lanes, const int16_t* pair) {
    int32_t both;
    std::memcpy(&both, pair, 4);
    const __m256i x = _mm256_set1_epi32(both);
    sum.lo = _mm256_add_epi32(sum.lo, _mm256_madd_epi16(load256(lanes), x));
    sum.hi = _mm256_add_epi32(sum.hi, _mm256_madd_epi16(load256(lanes + 16), x));
  }
};

}  // namespace
}  // namespace ev::ops
