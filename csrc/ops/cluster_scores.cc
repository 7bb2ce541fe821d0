// Kernels of ops/cluster_scores.h, compiled per ISA.
#include "ops/kernels.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

constexpr float kMinusInfinity = -__builtin_inff();
constexpr float kMost = 127.0f;
// Between these the reciprocal of the largest magnitude is finite.
constexpr float kSmallest = 1e-30f;
constexpr int32_t kInfinityBits = 0x7f800000;

F32 load_some(const float* p, int n) {
  return n >= 16 ? load(p) : load_n(p, n);
}

float largest_magnitude(const float* x, int n) {  // NaN if any is not finite
  I32 bits = magnitude_bits(splat(0.0f));
  for (int d = 0; d < n; d += 16) bits = max(bits, magnitude_bits(load_some(x + d, n - d)));
  const int32_t most = reduce_max(bits);
  float largest;
  std::memcpy(&largest, &most, sizeof(largest));
  return most < kInfinityBits ? largest : __builtin_nanf("");
}

void round_row(const RoundArgs& a, const float* x, int64_t row) {
  const float largest = largest_magnitude(x, a.head_dim);
  const bool usable = largest > kSmallest;
  const F32 inverse = splat(usable ? kMost / largest : 0.0f), zero = splat(0.0f);
  int8_t* codes = a.codes + row * a.code_stride;
  F32 term = zero;
  int32_t sum = 0;
  for (int d = 0; d < a.head_dim; d += 16) {
    const F32 part = load_some(x + d, a.head_dim - d);
    const I32 rounded = round_to_int(usable ? part * inverse : zero);
    store_codes(codes + d, rounded);
    sum += reduce_add(rounded);
    if (a.weights != nullptr) term = fma(part * part, load_some(a.weights + d, a.head_dim - d), term);
  }
  a.sums[row] = sum;
  a.scales[row] = usable || largest != largest ? largest / kMost * a.scale : 0.0f;
  if (a.weights != nullptr) a.terms[row] = reduce_add(term);
}

// Rows [row, row + kRows) against 16 clusters. Past head_dim the codes are 0, whatever they are multiplied
// by.
template <int kRows>
void score_block(const ScoreArgs& a, int64_t row, int32_t column) {
  ByteDot dots[kRows];
  for (int r = 0; r < kRows; ++r) dots[r].start(a.sums[row + r]);
  const int8_t* codes = a.codes + row * a.code_stride;
  const int8_t* means = a.means + column;
  const int64_t last = int64_t{a.head_dim - 1} * a.stride;
  for (int d = 0; d < a.head_dim; d += 4) {
    const auto line = [&](int64_t i) { return means + (i * a.stride < last ? i * a.stride : last); };
    const Codes quads = load_quads(line(d), line(d + 1), line(d + 2), line(d + 3));
    for (int r = 0; r < kRows; ++r) dots[r].add(quads, splat_codes(codes + r * a.code_stride + d));
  }
  const F32 scales = load(a.scales + column);
  const int32_t left = a.clusters - column;
  for (int r = 0; r < kRows; ++r) {
    F32 score = to_float(dots[r].total()) * splat(a.row_scales[row + r]) * scales;
    if (a.spreads != nullptr)
      score = score + min(load(a.spreads + column) * splat(a.terms[row + r]), splat(kMostSpread));
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

void round_queries(const RoundArgs& a) {
  for (int64_t row = 0; row < a.rows; ++row)
    round_row(a, a.q + row / a.group * a.q_stride + row % a.group * a.head_dim, row);
}

// Rows are dealt evenly over as few passes as there can be.
void cluster_scores(const ScoreArgs& a) {
  const int64_t passes = (a.rows + kScoreRows - 1) / kScoreRows;
  for (int64_t pass = 0; pass < passes; ++pass) {
    const int64_t first = a.rows * pass / passes;
    score_rows<kScoreRows>(a, first, a.rows * (pass + 1) / passes - first);
  }
}

}  // namespace EV_ISA
}  // namespace ev::ops
