// Kernel of ops/cluster_scores.h, compiled per ISA.
#include "ops/kernels.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

constexpr float kMinusInfinity = -__builtin_inff();

const float* query(const ScoreArgs& a, int64_t row) {
  return a.q + row / a.group * a.q_stride + row % a.group * a.head_dim;
}

// Rows [row, row + kRows) against 16 clusters.
template <int kRows>
void score_block(const ScoreArgs& a, int64_t row, int32_t column) {
  const float* q[kRows];
  F32 sums[kRows];
  for (int r = 0; r < kRows; ++r) {
    q[r] = query(a, row + r);
    sums[r] = splat(0.0f);
  }
  const int8_t* means = a.means + column;
  for (int d = 0; d < a.head_dim; ++d, means += a.stride) {
    const F32 mean = load(means);
    for (int r = 0; r < kRows; ++r) sums[r] = fma(splat(q[r][d]), mean, sums[r]);
  }
  const F32 scales = load(a.scales + column) * splat(a.scale);
  const int32_t left = a.clusters - column;
  for (int r = 0; r < kRows; ++r) {
    F32 score = sums[r] * scales;
    if (left < 16) score = merge_n(score, splat(kMinusInfinity), left < 0 ? 0 : left);
    store(a.out + (row + r) * a.out_stride + column, score);
  }
}

template <int kRows>
void score_rows(const ScoreArgs& a, int64_t row, int64_t rows) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return score_rows<kRows - 1>(a, row, rows);
  }
  for (int32_t column = 0; column < a.stride; column += 16) score_block<kRows>(a, row, column);
}

}  // namespace

namespace EV_ISA {

void cluster_scores(const ScoreArgs& a) {
  for (int64_t row = 0; row < a.rows; row += kTileRows)
    score_rows<kTileRows>(a, row, a.rows - row < kTileRows ? a.rows - row : kTileRows);
}

}  // namespace EV_ISA
}  // namespace ev::ops
