// The vector half of ops/select_mass.h, compiled per ISA: scores to densities, and their sum over rows.
#include "ops/kernels.h"
#include "ops/simd/math.h"

namespace ev::ops {
namespace {

F32 load_some(const float* p, int64_t n) {
  return n >= 16 ? load(p) : load_n(p, static_cast<int>(n));
}

void store_some(float* p, F32 a, int64_t n) {
  if (n >= 16) return store(p, a);
  store_n(p, a, static_cast<int>(n));
}

float largest(const float* scores, int64_t n) {
  float top = -__builtin_inff();
  int64_t c = 0;
  if (n >= 16) {
    F32 tops = load(scores);
    for (c = 16; c + 16 <= n; c += 16) tops = max(tops, load(scores + c));
    top = reduce_max(tops);
  }
  for (; c < n; ++c) top = scores[c] > top ? scores[c] : top;
  return top;
}

}  // namespace

namespace EV_ISA {

RowMass mass_row(float* scores, const float* counts, int64_t n, float resident_max, float resident_sum) {
  const float highest = largest(scores, n);
  const float top = highest > resident_max ? highest : resident_max;
  F32 sum = splat(0.0f);
  for (int64_t c = 0; c < n; c += 16) {
    const int64_t left = n - c;
    F32 density = exp(load_some(scores + c, left) - splat(top));
    if (left < 16) density = merge_n(density, splat(0.0f), static_cast<int>(left));
    store_some(scores + c, density, left);
    sum = fma(density, load_some(counts + c, left), sum);
  }
  const float resident = resident_sum * exp_one(resident_max - top);
  return {top, resident, resident + reduce_add(sum)};
}

void add_scaled(float* to, const float* from, float factor, int64_t n) {
  for (int64_t c = 0; c < n; c += 16)
    store_some(to + c, load_some(to + c, n - c) + load_some(from + c, n - c) * splat(factor), n - c);
}

void doubt_row(float* to, const float* densities, const float* clusters, float row, int64_t n) {
  for (int64_t c = 0; c < n; c += 16) {
    const F32 share = min(load_some(clusters + c, n - c) * splat(row), splat(1.0f));
    store_some(to + c, load_some(densities + c, n - c) * share, n - c);
  }
}

void square_roots(float* to, const float* from, int64_t n) {
  for (int64_t c = 0; c < n; c += 16) store_some(to + c, sqrt(load_some(from + c, n - c)), n - c);
}

}  // namespace EV_ISA
}  // namespace ev::ops
