// cluster_scores: a thread per cluster, for four rows at a time, so that the table is read a quarter as
// often. A warp per row rounds it to 8 bits first and weighs the spread of keys in its direction.
#include <cfloat>
#include <cmath>

#include "cuda/device.h"

namespace ev::cuda {
namespace {

constexpr int kRows = 4;
constexpr int kThreads = kRows * kWarp;
constexpr float kMostSpread = 1.0f;  // added to a score
constexpr float kSmallest = 1e-30f;  // a row whose largest magnitude is not above this counts as zero

// Codes of a row, by one warp; returns their scale, NaN when the row is not finite.
__device__ float round_row(const float* q, int head_dim, int8_t* codes) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  float largest = 0.0f;
  int whole = 1;
  for (int d = lane; d < head_dim; d += kWarp) {
    largest = fmaxf(largest, fabsf(q[d]));
    if (!(fabsf(q[d]) <= FLT_MAX)) whole = 0;
  }
  largest = reduce_warp(largest, Max());
  whole = -reduce_warp(-whole, Max());
  const bool usable = whole != 0 && largest > kSmallest;
  const float inverse = usable ? __fdiv_rn(127.0f, largest) : 0.0f;
  for (int d = lane; d < head_dim; d += kWarp)
    codes[d] = static_cast<int8_t>(usable ? __float2int_rn(q[d] * inverse) : 0);
  if (!whole) return NAN;
  return usable ? __fdiv_rn(largest, 127.0f) : 0.0f;
}

// sum_d (scale q[d])^2 w[d] / 2, by one warp; w is the variance divided by its mean.
__device__ float spread_term(const float* q, const float* variance, int head_dim, float scale) {
  float total = 0.0f, weighted = 0.0f;
  for (int d = static_cast<int>(threadIdx.x) % kWarp; d < head_dim; d += kWarp) {
    const float scaled = scale * q[d];
    total += variance[d];
    weighted += scaled * scaled * variance[d];
  }
  total = reduce_warp(total, Sum());
  weighted = reduce_warp(weighted, Sum());
  return total > 0.0f ? weighted * static_cast<float>(head_dim) / total * 0.5f : 0.0f;
}

__global__ void score_rows(EvCudaScores s) {
  __shared__ int8_t codes[kRows][EV_CUDA_MAX_HEAD_DIM];
  __shared__ float row_scales[kRows], terms[kRows];
  const int64_t head = blockIdx.z;
  const int first = static_cast<int>(blockIdx.y) * kRows;
  const int c = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  if (first + warp < s.rows) {
    const float* q = s.q + (head * s.rows + first + warp) * s.head_dim;
    const float row_scale = round_row(q, s.head_dim, codes[warp]) * s.scale;
    const float term = s.spreads ? spread_term(q, s.variance + head * s.head_dim, s.head_dim, s.scale) : 0.0f;
    if (threadIdx.x % kWarp == 0) {
      row_scales[warp] = row_scale;
      terms[warp] = term;
    }
  }
  __syncthreads();
  if (c >= s.stride) return;
  const int rows = s.rows - first < kRows ? s.rows - first : kRows;
  int sums[kRows] = {};
  for (int d = 0; d < s.head_dim; ++d) {
    const int mean = s.means[(head * s.head_dim + d) * s.stride + c];
    EV_UNROLL
    for (int r = 0; r < kRows; ++r) sums[r] += codes[r][d] * mean;
  }
  const float factor = s.scales[head * s.stride + c];
  const float spread = s.spreads ? s.spreads[head * s.stride + c] : 0.0f;
  EV_UNROLL
  for (int r = 0; r < kRows; ++r) {
    if (r >= rows) break;
    const float score = static_cast<float>(sums[r]) * factor * row_scales[r];
    s.out[(head * s.rows + first + r) * s.stride + c] =
        c < s.clusters ? score + fminf(terms[r] * spread, kMostSpread) : -INFINITY;
  }
}

}  // namespace
}  // namespace ev::cuda

int ev_cuda_cluster_scores(const EvCudaScores* s, void* stream) {
  using namespace ev::cuda;
  if (s->head_dim > EV_CUDA_MAX_HEAD_DIM) return kInvalidValue;
  const dim3 grid(static_cast<unsigned>(ceil_div(s->stride, kThreads)),
                  static_cast<unsigned>(ceil_div(s->rows, kRows)), static_cast<unsigned>(s->num_kv_heads));
  return launch(score_rows, grid, kThreads, stream, *s);
}
