// Kernel of LinearInput (ops/linear.h), compiled per ISA: f32 activations -> int8 codes in blocks of 32.
#include "ops/kernels.h"
#include "ops/simd/row_tiles.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

// Between these the reciprocal of the largest magnitude is finite; a block below counts as zero, one above
// holds an infinity or a NaN.
constexpr int32_t kSmallestBits = 0x0da24260;  // 1e-30
constexpr int32_t kInfinityBits = 0x7f800000;

struct Block {
  int8_t* codes;
  float* scale;
  float* scaled_sum;
  int32_t* sums;
};

void quantize_block(F32 lo, F32 hi, Block out) {
  const int32_t largest_bits = reduce_max(max(magnitude_bits(lo), magnitude_bits(hi)));
  float largest;
  std::memcpy(&largest, &largest_bits, sizeof(largest));
  const bool usable = largest_bits > kSmallestBits && largest_bits < kInfinityBits;
  const F32 inverse = splat(usable ? 127.0f / largest : 0.0f);
  const F32 zero = splat(0.0f);
  const I32 code_lo = round_to_int(usable ? lo * inverse : zero);
  const I32 code_hi = round_to_int(usable ? hi * inverse : zero);
  store_codes(out.codes, code_lo);
  store_codes(out.codes + 16, code_hi);
  out.sums[0] = reduce_add(code_lo);
  out.sums[1] = reduce_add(code_hi);
  *out.scale = largest_bits < kInfinityBits ? largest / 127.0f : __builtin_nanf("");
  *out.scaled_sum = *out.scale * static_cast<float>(out.sums[0] + out.sums[1]);
}

}  // namespace

namespace EV_ISA {

void quantize(const QuantizeArgs& a, int64_t row_begin, int64_t row_end) {
  const int64_t blocks = a.k / kBlockWidth;
  for (int64_t row = row_begin; row < row_end; ++row) {
    const RowTile tile = row_tile_of(a.m, row);
    const float* x = a.x + row * a.x_stride;
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t at = tile.first * blocks + b * tile.rows + row - tile.first;
      const Block out{a.codes + at * kBlockWidth, a.scales + at, a.scaled_sums + at, a.sums + at * 2};
      quantize_block(load(x + b * kBlockWidth), load(x + b * kBlockWidth + 16), out);
    }
  }
}

}  // namespace EV_ISA
}  // namespace ev::ops
