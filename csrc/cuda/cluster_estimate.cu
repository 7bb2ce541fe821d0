// cluster_estimate: a block for four rows of a KV head, which share what is read of the table. Threads are
// clusters while a tile of weights is made, then dims of the mean values.
#include "cuda/device.h"

namespace ev::cuda {
namespace {

constexpr int kRows = 4;
constexpr int kThreads = EV_CUDA_MAX_HEAD_DIM;  // a tile's clusters, a thread each
constexpr float kLeastWeight = 0x1p-22f;        // less counts as 0

// What cluster c stands for in a row; of one that is attended no density is read.
__device__ float weight_of(const EvCudaEstimate& e, int64_t head, int row, int c) {
  if (row >= e.rows || c >= e.stride) return 0.0f;
  const int count = e.counts[head * e.stride + c];
  if (e.marks[head * e.stride + c] || count <= 0) return 0.0f;
  const float weight = e.densities[(head * e.rows + row) * e.stride + c] * static_cast<float>(count);
  return weight < kLeastWeight ? 0.0f : weight;
}

__global__ void estimate_rows(EvCudaEstimate e) {
  __shared__ float weights[kRows][kThreads];
  const int64_t head = blockIdx.y;
  const int first = static_cast<int>(blockIdx.x) * kRows, thread = static_cast<int>(threadIdx.x);
  float sums[kRows] = {}, values[kRows] = {};
  for (int start = 0; start < e.stride; start += kThreads) {
    const int c = start + thread;
    const float scale = c < e.stride ? e.scales[head * e.stride + c] : 0.0f;
    EV_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const float weight = weight_of(e, head, first + r, c);
      sums[r] += weight;
      weights[r][thread] = weight == 0.0f ? 0.0f : weight * scale;
    }
    __syncthreads();
    const int count = e.stride - start < kThreads ? e.stride - start : kThreads;
    for (int i = 0; thread < e.v_stride && i < count; ++i) {
      const auto mean = static_cast<float>(e.means[(head * e.stride + start + i) * e.v_stride + thread]);
      EV_UNROLL
      for (int r = 0; r < kRows; ++r) values[r] += weights[r][i] * mean;
    }
    __syncthreads();
  }
  EV_UNROLL
  for (int r = 0; r < kRows; ++r) {
    const float sum = reduce_block(sums[r], Sum());
    if (first + r >= e.rows) continue;
    const int64_t row = head * e.rows + first + r;
    if (thread == 0) e.sum[row] = sum;
    if (thread < e.v_stride) e.values[row * e.v_stride + thread] = values[r];
  }
}

}  // namespace
}  // namespace ev::cuda

int ev_cuda_cluster_estimate(const EvCudaEstimate* e, void* stream) {
  using namespace ev::cuda;
  if (e->v_stride > EV_CUDA_MAX_HEAD_DIM) return kInvalidValue;
  const dim3 grid(static_cast<unsigned>(ceil_div(e->rows, kRows)), static_cast<unsigned>(e->num_kv_heads));
  return launch(estimate_rows, grid, kThreads, stream, *e);
}
