// AVX-512 (F, BW, DQ, VL, VNNI): one register per vector. Names and meanings: ops/simd/vec.h.
#pragma once

#include <immintrin.h>

namespace ev::ops {
namespace {

constexpr int kTileRows = 6;
constexpr int kTileCols = 4;
constexpr int kDotRows = 8;
constexpr int kDotPanels = 2;
constexpr int kScoreRows = 16;
constexpr int kConvRows = 4;
constexpr int kConvPanels = 3;

struct F32 {
  __m512 v;
};
struct I32 {
  __m512i v;
};
struct Codes {
  __m512i v;
};

inline void prefetch(const void* p) {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
}
inline __mmask16 first_lanes(int n) {
  return static_cast<__mmask16>((1u << n) - 1u);
}

inline F32 splat(float x) {
  return {_mm512_set1_ps(x)};
}
inline F32 load(const float* p) {
  return {_mm512_loadu_ps(p)};
}
inline F32 load(const F16* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline F32 load(const BF16* p) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
inline F32 load_n(const float* p, int n) {
  return {_mm512_maskz_loadu_ps(first_lanes(n), p)};
}
inline void store(float* p, F32 a) {
  _mm512_storeu_ps(p, a.v);
}
inline void store(F16* p, F32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
inline void store_n(float* p, F32 a, int n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), a.v);
}

inline F32 operator+(F32 a, F32 b) {
  return {_mm512_add_ps(a.v, b.v)};
}
inline F32 operator-(F32 a, F32 b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
inline F32 operator*(F32 a, F32 b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
inline F32 operator/(F32 a, F32 b) {
  return {_mm512_div_ps(a.v, b.v)};
}
inline F32 fma(F32 a, F32 b, F32 c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
inline F32 max(F32 a, F32 b) {
  return {_mm512_max_ps(a.v, b.v)};
}
inline F32 min(F32 a, F32 b) {
  return {_mm512_min_ps(a.v, b.v)};
}
inline F32 sqrt(F32 a) {
  return {_mm512_sqrt_ps(a.v)};
}
inline F32 zero_where_less(F32 a, F32 b, F32 x) {  // a < b ? 0 : x
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_NLT_UQ), x.v)};
}
inline F32 merge_n(F32 a, F32 b, int n) {  // the first n lanes of a, the others of b
  return {_mm512_mask_mov_ps(b.v, first_lanes(n), a.v)};
}

inline I32 magnitude_bits(F32 a) {
  return {_mm512_castps_si512(_mm512_abs_ps(a.v))};
}
inline I32 max(I32 a, I32 b) {
  return {_mm512_max_epi32(a.v, b.v)};
}
inline I32 round_to_int(F32 a) {
  return {_mm512_cvtps_epi32(a.v)};
}
inline F32 to_float(I32 a) {
  return {_mm512_cvtepi32_ps(a.v)};
}
inline F32 pow2(I32 n) {  // 2^n, -126 <= n <= 127
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n.v, _mm512_set1_epi32(127)), 23))};
}

// Sums and maxima pair lane i with i + 8, then i + 4, i + 2, i + 1.
inline __m256 low_half(__m512 v) {
  return _mm512_castps512_ps256(v);
}
inline __m256 high_half(__m512 v) {
  return _mm512_extractf32x8_ps(v, 1);
}
inline float reduce_add(F32 a) {
  const __m256 s8 = _mm256_add_ps(low_half(a.v), high_half(a.v));
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
inline float reduce_max(F32 a) {
  const __m256 s8 = _mm256_max_ps(low_half(a.v), high_half(a.v));
  const __m128 s4 = _mm_max_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_max_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_max_ss(s2, _mm_movehdup_ps(s2)));
}
inline int32_t reduce_add(I32 a) {
  return _mm512_reduce_add_epi32(a.v);
}
inline int32_t reduce_max(I32 a) {
  return _mm512_reduce_max_epi32(a.v);
}
inline void store_codes(int8_t* p, I32 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(a.v));
}

inline Codes load_codes(const uint8_t* p) {
  return {_mm512_loadu_si512(p)};
}
inline __m128i load128(const int8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline Codes load_quads(const int8_t* a, const int8_t* b, const int8_t* c, const int8_t* d) {
  const __m128i ra = load128(a), rb = load128(b), rc = load128(c), rd = load128(d);
  const __m128i ab_lo = _mm_unpacklo_epi8(ra, rb), ab_hi = _mm_unpackhi_epi8(ra, rb);
  const __m128i cd_lo = _mm_unpacklo_epi8(rc, rd), cd_hi = _mm_unpackhi_epi8(rc, rd);
  const __m256i lo = _mm256_set_m128i(_mm_unpackhi_epi16(ab_lo, cd_lo), _mm_unpacklo_epi16(ab_lo, cd_lo));
  const __m256i hi = _mm256_set_m128i(_mm_unpackhi_epi16(ab_hi, cd_hi), _mm_unpacklo_epi16(ab_hi, cd_hi));
  return {_mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1)};
}
inline Codes splat_codes(const int8_t* p) {
  int32_t four;
  std::memcpy(&four, p, 4);
  return {_mm512_set1_epi32(four)};
}
inline Codes low_nibbles(Codes a) {
  return {_mm512_and_si512(a.v, _mm512_set1_epi8(15))};
}
inline Codes high_nibbles(Codes a) {
  return {_mm512_and_si512(_mm512_srli_epi16(a.v, 4), _mm512_set1_epi8(15))};
}

struct NibbleDot {
  __m512i sum = _mm512_setzero_si512();
  void add(Codes w, Codes x) { sum = _mm512_dpbusd_epi32(sum, w.v, x.v); }
  I32 total() const { return {sum}; }
};

// VNNI multiplies unsigned by signed, so weights enter as w + 128 and the sum starts at -128 times that of x.
struct ByteDot {
  __m512i sum;
  void start(int32_t sum_of_x) { sum = _mm512_set1_epi32(-128 * sum_of_x); }
  void add(Codes w, Codes x) {
    sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(w.v, _mm512_set1_epi8(-128)), x.v);
  }
  I32 total() const { return {sum}; }
};

// As ByteDot, with x as the unsigned side: what is too much depends on the weights alone.
struct SignedDot {
  __m512i sum;
  void start(I32 sums_of_w) {
    sum = _mm512_slli_epi32(_mm512_sub_epi32(_mm512_setzero_si512(), sums_of_w.v), 7);
  }
  void add(Codes w, Codes x) {
    sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(x.v, _mm512_set1_epi8(-128)), w.v);
  }
  I32 total() const { return {sum}; }
};

inline I32 load_ints(const int32_t* p) {
  return {_mm512_loadu_si512(p)};
}
inline I32 operator+(I32 a, I32 b) {
  return {_mm512_add_epi32(a.v, b.v)};
}
inline F32 load(const int8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
inline void store_shorts(int16_t* p, I32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtsepi32_epi16(a.v));
}
inline uint32_t negative_lanes(I32 a) {
  return _mm512_movepi32_mask(a.v);
}

struct PairSum {
  I32 sum = {_mm512_setzero_si512()};
  void add(const int16_t* lanes, const int16_t* pair) {
    int32_t both;
    std::memcpy(&both, pair, 4);
    sum.v = _mm512_add_epi32(sum.v, _mm512_madd_epi16(_mm512_loadu_si512(lanes), _mm512_set1_epi32(both)));
  }
};

}  // namespace
}  // namespace ev::ops
