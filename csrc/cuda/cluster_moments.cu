// cluster_moments: a block per cluster and KV head with a thread per dim, then the variance of all keys, a
// block per KV head.
#include "cuda/mean_codes.h"

namespace ev::cuda {
namespace {

__global__ void measure(EvCudaMoments m) {
  const int cluster = static_cast<int>(blockIdx.x), d = static_cast<int>(threadIdx.x);
  const int64_t head = blockIdx.y, at = head * m.stride + cluster;
  const int64_t width = int64_t{m.num_kv_heads} * m.head_dim;
  const int first = m.begin[cluster], last = m.begin[cluster + 1];
  const auto value = mean_code({m.values + head * m.head_dim, width, first, last}, m.head_dim);
  const Run keys{m.keys + head * m.head_dim, width, first, last};
  const auto key = mean_code(keys, m.head_dim);
  if (d < m.v_stride) m.value_means[at * m.v_stride + d] = static_cast<int8_t>(value.code);

  const float mean = static_cast<float>(key.code) * key.scale;
  float squares = 0.0f;
  for (int t = first; d < m.head_dim && t < last; ++t) {
    const float apart = keys.rows[t * width + d] - mean;
    squares += apart * apart;
  }
  if (d < m.head_dim) m.squares[(head * m.clusters + cluster) * m.head_dim + d] = squares;
  const float total = reduce_block(squares, Sum());
  if (d != 0) return;
  m.value_scales[at] = value.scale;
  m.spreads[at] = total / (static_cast<float>(last - first) * static_cast<float>(m.head_dim));
}

__global__ void average(EvCudaMoments m) {
  const int d = static_cast<int>(threadIdx.x);
  const int64_t head = blockIdx.x;
  if (d >= m.head_dim) return;
  float total = 0.0f;
  for (int c = 0; c < m.clusters; ++c) total += m.squares[(head * m.clusters + c) * m.head_dim + d];
  const int tokens = m.begin[m.clusters];
  m.variance[head * m.head_dim + d] = total / static_cast<float>(tokens > 0 ? tokens : 1);
}

}  // namespace
}  // namespace ev::cuda

int ev_cuda_cluster_moments(const EvCudaMoments* m, void* stream) {
  using namespace ev::cuda;
  if (m->v_stride > EV_CUDA_MAX_HEAD_DIM) return kInvalidValue;
  const auto heads = static_cast<unsigned>(m->num_kv_heads);
  const dim3 grid(static_cast<unsigned>(m->clusters), heads);
  if (const int failed = launch(measure, grid, EV_CUDA_MAX_HEAD_DIM, stream, *m)) return failed;
  return launch(average, dim3(heads), EV_CUDA_MAX_HEAD_DIM, stream, *m);
}
