// Kernel of ops/cluster_estimate.h, compiled per ISA.
#include "ops/kernels.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

// Densities become the factors of the stored means; the weights are summed on the way.
void weigh_row(const EstimateArgs& a, int64_t row) {
  float* densities = a.densities + row * a.density_stride;
  F32 sum = splat(0.0f);
  for (int64_t c = 0; c < a.stride; c += 16) {
    const F32 all = load(densities + c) * load(a.counts + c);
    const F32 weight = zero_where_less(all, splat(kLeastWeight), all);
    sum = sum + weight;
    store(densities + c, weight * load(a.scales + c));
  }
  a.sum[row] += reduce_add(sum);
}

// Rows [row, row + kRows), kCols vectors of values.
template <int kRows, int kCols>
void add_means(const EstimateArgs& a, int64_t row, int64_t column) {
  F32 sums[kRows][kCols];
  float* out = a.values + row * a.value_stride + column;
  const float* factors = a.densities + row * a.density_stride;
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kCols; ++v) sums[r][v] = load(out + r * a.value_stride + 16 * v);
  for (int64_t c = 0; c < a.stride; ++c) {
    bool weighs = false;
    for (int r = 0; r < kRows; ++r) weighs |= factors[r * a.density_stride + c] != 0.0f;
    if (!weighs) continue;
    F32 mean[kCols];
    for (int v = 0; v < kCols; ++v) mean[v] = load(a.means + c * a.v_stride + column + 16 * v);
    for (int r = 0; r < kRows; ++r) {
      const F32 factor = splat(factors[r * a.density_stride + c]);
      for (int v = 0; v < kCols; ++v) sums[r][v] = fma(factor, mean[v], sums[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kCols; ++v) store(out + r * a.value_stride + 16 * v, sums[r][v]);
}

template <int kRows>
void add_rows(const EstimateArgs& a, int64_t row, int64_t rows) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return add_rows<kRows - 1>(a, row, rows);
  }
  int64_t column = 0;
  for (; column + 16 * kTileCols <= a.v_stride; column += 16 * kTileCols)
    add_means<kRows, kTileCols>(a, row, column);
  for (; column < a.v_stride; column += 16) add_means<kRows, 1>(a, row, column);
}

}  // namespace

namespace EV_ISA {

void cluster_estimate(const EstimateArgs& a) {
  for (int64_t row = 0; row < a.rows; ++row) weigh_row(a, row);
  for (int64_t row = 0; row < a.rows; row += kTileRows)
    add_rows<kTileRows>(a, row, a.rows - row < kTileRows ? a.rows - row : kTileRows);
}

}  // namespace EV_ISA
}  // namespace ev::ops
