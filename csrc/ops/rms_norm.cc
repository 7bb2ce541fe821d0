// Kernel of ops/rms_norm.h, compiled per ISA.
#include "ops/kernels.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

// x += delta, returning the sum of squares.
float add_and_square(float* x, const float* delta, int64_t cols) {
  F32 sum = splat(0.0f);
  int64_t i = 0;
  for (; i + 16 <= cols; i += 16) {
    F32 v = load(x + i);
    if (delta != nullptr) {
      v = v + load(delta + i);
      store(x + i, v);
    }
    sum = fma(v, v, sum);
  }
  if (const int rest = static_cast<int>(cols - i); rest > 0) {
    F32 v = load_n(x + i, rest);
    if (delta != nullptr) {
      v = v + load_n(delta + i, rest);
      store_n(x + i, v, rest);
    }
    sum = fma(v, v, sum);
  }
  return reduce_add(sum);
}

void scale_row(const float* x, const float* weight, float scale, float* out, int64_t cols) {
  const F32 s = splat(scale);
  int64_t i = 0;
  for (; i + 16 <= cols; i += 16) store(out + i, load(x + i) * s * load(weight + i));
  if (const int rest = static_cast<int>(cols - i); rest > 0)
    store_n(out + i, load_n(x + i, rest) * s * load_n(weight + i, rest), rest);
}

}  // namespace

namespace EV_ISA {

void rms_norm(const RmsNormArgs& a, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    float* x = a.x + row * a.x_stride;
    const float* delta = a.delta == nullptr ? nullptr : a.delta + row * a.delta_stride;
    const float mean = add_and_square(x, delta, a.cols) / static_cast<float>(a.cols);
    scale_row(x, a.weight, 1.0f / __builtin_sqrtf(mean + a.eps), a.out + row * a.out_stride, a.cols);
  }
}

}  // namespace EV_ISA
}  // namespace ev::ops
