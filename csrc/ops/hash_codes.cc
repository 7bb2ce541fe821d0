// Kernel of ops/hash_codes.h, compiled per ISA.
#include "ops/kernels.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

constexpr int kLanes = 16;
constexpr float kScale = 256.0f;
constexpr float kLimit = 32767.0f;

F32 load_some(const float* p, int64_t n) {
  return n >= kLanes ? load(p) : load_n(p, static_cast<int>(n));
}

uint32_t code_of(const HashArgs& a, const float* key) {
  PairSum low, high;  // planes 0..15 and 16..31
  const int16_t* pairs = a.pairs;
  for (int64_t d = 0; d < a.dims; d += kLanes) {
    const F32 centred =
        (load_some(key + d, a.dims - d) - load_some(a.centre + d, a.dims - d)) * splat(kScale);
    int16_t x[kLanes];
    store_shorts(x, round_to_int(min(max(centred, splat(-kLimit)), splat(kLimit))));
    for (int j = 0; j < kLanes; j += 2, pairs += 4 * kLanes) {
      low.add(pairs, x + j);
      high.add(pairs + 2 * kLanes, x + j);
    }
  }
  return ~(negative_lanes(low.sum) | negative_lanes(high.sum) << kLanes);
}

}  // namespace

namespace EV_ISA {

void hash_codes(const HashArgs& a, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) a.codes[row] = code_of(a, a.keys + row * a.key_stride);
}

}  // namespace EV_ISA
}  // namespace ev::ops
