// Elementary functions over the vocabulary.
#pragma once

#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

// e^x within 3e-7 of the true value, relatively, for -87.3 <= x <= 88.3; 0 below, held at e^88.3 above; NaN
// stays. x = n ln 2 + r with |r| <= ln 2 / 2, e^r by its Taylor series to r^7 (the next term is below 6e-9).
inline F32 exp(F32 x) {
  const F32 lowest = splat(-87.3f);
  const F32 held = max(lowest, min(splat(88.3f), x));
  const I32 n = round_to_int(held * splat(1.44269504f));
  const F32 nf = to_float(n);
  // ln 2 in two parts: the first has 9 significant bits, so n times it is exact.
  const F32 r = fma(nf, splat(2.12194440e-4f), fma(nf, splat(-0.693359375f), held));
  F32 p = splat(1.0f / 5040.0f);
  p = fma(p, r, splat(1.0f / 720.0f));
  p = fma(p, r, splat(1.0f / 120.0f));
  p = fma(p, r, splat(1.0f / 24.0f));
  p = fma(p, r, splat(1.0f / 6.0f));
  p = fma(p, r, splat(0.5f));
  p = fma(p, r, splat(1.0f));
  p = fma(p, r, splat(1.0f));
  return zero_where_less(x, lowest, p * pow2(n));
}

inline float exp_one(float x) {
  float lanes[16];
  store(lanes, exp(splat(x)));
  return lanes[0];
}

}  // namespace
}  // namespace ev::ops
