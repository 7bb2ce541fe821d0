// The vector vocabulary ops are written in. Every ISA defines the same names with the same meaning, 16 lanes
// wide whatever its registers hold, so an op's sums have one order everywhere and ISAs differ by the rounding
// of fused multiply-adds alone. Everything lives in an unnamed namespace: code compiled for one ISA can never
// be picked by the linker to serve another.
//
//   F32    16 floats          load store load_n store_n splat + - * / fma max min sqrt reduce_add
//                             reduce_max merge_n zero_where_less
//   I32    16 int32           load_ints + round_to_int to_float pow2 magnitude_bits max reduce_add reduce_max
//   store_codes
//                             store_shorts negative_lanes
//   Codes  16 lanes x 4 int8  load_codes load_quads splat_codes low_nibbles high_nibbles
//   NibbleDot, ByteDot        running dot products of weight codes and activation codes, per lane
//   SignedDot                 running dot products of weights and any int8, per lane
//   PairSum                   running dot products of 16 lanes' pairs of int16 and one pair of int16
//
// SignedDot starts from I32 that hold the lanes' sums of weights, which lie within +-127; load_ints() and +
// are of int32. load() also takes int8. load_quads(a, b, c, d) puts the four rows' codes i into lane i.
// store_shorts() and PairSum take values within +-32767; bit i of negative_lanes(a) says that lane i is below
// 0. magnitude_bits(a) is |a|'s bits, which order like its values, infinity and NaN above all. max(a, b) and
// min(a, b) give b when either is NaN or both are equal; fma(a, b, c) is a * b + c, fused where the ISA can;
// prefetch(p) is a hint and p may lie anywhere. kTileRows x kTileCols is the block of F32 accumulators that
// fits the registers, kDotRows x kDotPanels the block of dots with their sums, kConvRows x kConvPanels that
// of a convolution's.
#pragma once

#include <cstdint>
#include <cstring>

namespace ev::ops {

struct F16 {
  uint16_t bits;
};
struct BF16 {
  uint16_t bits;
};

}  // namespace ev::ops

#if defined(EV_ISA_AVX512)
#include "ops/simd/vec_avx512.h"
#elif defined(EV_ISA_AVX2)
#include "ops/simd/vec_avx2.h"
#elif defined(EV_ISA_NEON)
#include "ops/simd/vec_neon.h"
#else
#include "ops/simd/vec_scalar.h"
#endif
