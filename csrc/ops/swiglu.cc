// Kernel of ops/swiglu.h, compiled per ISA.
#include "ops/kernels.h"
#include "ops/simd/math.h"

namespace ev::ops {
namespace {

F32 silu_times(F32 gate, F32 up) {
  return gate / (splat(1.0f) + exp(splat(0.0f) - gate)) * up;
}

}  // namespace

namespace EV_ISA {

void swiglu(const SwigluArgs& a, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    const float* gate = a.gate_up + row * a.gate_up_stride;
    const float* up = gate + a.cols;
    float* out = a.out + row * a.out_stride;
    int64_t i = 0;
    for (; i + 16 <= a.cols; i += 16) store(out + i, silu_times(load(gate + i), load(up + i)));
    if (const int rest = static_cast<int>(a.cols - i); rest > 0)
      store_n(out + i, silu_times(load_n(gate + i, rest), load_n(up + i, rest)), rest);
  }
}

}  // namespace EV_ISA
}  // namespace ev::ops
