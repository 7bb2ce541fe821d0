// cluster_scores: a thread per cluster, for four rows at a time, so that the table is read a quarter as
// often.
#include <cmath>

#include "cuda/device.h"

namespace ev::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRows = 4;

__global__ void score_rows(const float* q, const int8_t* means, const float* scales, float* out, int rows,
                           int head_dim, int clusters, int stride, float scale) {
  __shared__ float query[kRows][EV_CUDA_MAX_HEAD_DIM];
  const int64_t head = blockIdx.z;
  const int first = static_cast<int>(blockIdx.y) * kRows;
  const int c = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  for (int i = static_cast<int>(threadIdx.x); i < kRows * head_dim; i += kThreads) {
    const int row = first + i / head_dim;
    query[i / head_dim][i % head_dim] = row < rows ? q[(head * rows + row) * head_dim + i % head_dim] : 0.0f;
  }
  __syncthreads();
  if (c >= stride) return;
  float sums[kRows] = {};
  for (int d = 0; d < head_dim; ++d) {
    const auto mean = static_cast<float>(means[(head * head_dim + d) * stride + c]);
    for (int r = 0; r < kRows; ++r) sums[r] += query[r][d] * mean;
  }
  const float factor = scale * scales[head * stride + c];
  for (int r = 0; r < kRows && first + r < rows; ++r)
    out[(head * rows + first + r) * stride + c] = c < clusters ? sums[r] * factor : -INFINITY;
}

}  // namespace
}  // namespace ev::cuda

int ev_cuda_cluster_scores(const float* q, const int8_t* means, const float* scales, float* out,
                           int32_t num_kv_heads, int32_t rows, int32_t head_dim, int32_t clusters,
                           int32_t stride, float scale, void* stream) {
  using namespace ev::cuda;
  if (head_dim > EV_CUDA_MAX_HEAD_DIM) return kInvalidValue;
  const dim3 grid(static_cast<unsigned>(ceil_div(stride, kThreads)),
                  static_cast<unsigned>(ceil_div(rows, kRows)), static_cast<unsigned>(num_kv_heads));
  return launch(score_rows, grid, kThreads, stream, q, means, scales, out, rows, head_dim, clusters, stride,
                scale);
}
