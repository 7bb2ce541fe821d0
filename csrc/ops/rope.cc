// Kernel of ops/rope.h, compiled per ISA: plain loops that the compiler vectorises well enough, as rotation
// is under 1 % of a step.
#include "ops/kernels.h"

namespace ev::ops {
namespace {

void rotate_interleaved(float* x, const float* cos, const float* sin, int pairs) {
  for (int i = 0; i < pairs; ++i) {
    const float a = x[2 * i];
    const float b = x[2 * i + 1];
    x[2 * i] = a * cos[i] - b * sin[i];
    x[2 * i + 1] = a * sin[i] + b * cos[i];
  }
}

void rotate_halves(float* x, const float* cos, const float* sin, int pairs) {
  for (int i = 0; i < pairs; ++i) {
    const float a = x[i];
    const float b = x[i + pairs];
    x[i] = a * cos[i] - b * sin[i];
    x[i + pairs] = a * sin[i] + b * cos[i];
  }
}

}  // namespace

namespace EV_ISA {

void rope(const RopeArgs& a, int64_t row_begin, int64_t row_end) {
  const int pairs = a.rotary_dim / 2;
  const auto rotate = a.interleaved ? rotate_interleaved : rotate_halves;
  for (int64_t row = row_begin; row < row_end; ++row)
    for (int head = 0; head < a.heads; ++head)
      rotate(a.x + row * a.x_stride + head * a.head_dim, a.cos + row * pairs, a.sin + row * pairs, pairs);
}

}  // namespace EV_ISA
}  // namespace ev::ops
