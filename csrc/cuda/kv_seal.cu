// kv_seal: tokens moved bit for bit, a block per token and KV head; a summary per cluster, a block per
// cluster and KV head with a thread per dim.
#include "cuda/mean_codes.h"

namespace ev::cuda {
namespace {

constexpr int kThreads = 64;
constexpr float kSlack = 1.0f + 0x1p-16f;  // covers the rounding of a distance in f32

template <class Bits>
__global__ void copy_token(EvCudaPages p, const int32_t* from, const int32_t* to) {
  const int head = static_cast<int>(blockIdx.y);
  const int source = from[blockIdx.x], target = to[blockIdx.x];
  const int64_t from_page = source / p.page_size, to_page = target / p.page_size;
  const int from_slot = source % p.page_size, to_slot = target % p.page_size;
  Bits* keys = static_cast<Bits*>(p.keys) + int64_t{head} * p.head_dim * p.page_size;
  Bits* values = static_cast<Bits*>(p.values) + int64_t{head} * p.page_size * p.v_stride;
  for (int d = static_cast<int>(threadIdx.x); d < p.v_stride; d += kThreads) {
    values[to_page * p.v_page_stride + int64_t{to_slot} * p.v_stride + d] =
        values[from_page * p.v_page_stride + int64_t{from_slot} * p.v_stride + d];
    if (d >= p.head_dim) continue;
    const int64_t line = int64_t{d} * p.page_size;
    keys[to_page * p.k_page_stride + line + to_slot] = keys[from_page * p.k_page_stride + line + from_slot];
  }
  if (p.type != EV_CUDA_I8) return;
  for (int line = static_cast<int>(threadIdx.x); line < p.key_scale_lines; line += kThreads) {
    const int d = line * EV_CUDA_SCALE_DIMS;
    *key_scale(p, head, target, d) = *key_scale(p, head, source, d);
  }
  if (threadIdx.x == 0) *value_scale(p, head, target) = *value_scale(p, head, source);
}

__global__ void summarise(const float* keys, const int32_t* begin, int stride, int num_kv_heads, int head_dim,
                          int8_t* means, float* scales, float* radii) {
  __shared__ float stored[EV_CUDA_MAX_HEAD_DIM];
  const int cluster = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const int d = static_cast<int>(threadIdx.x);
  const int first = begin[cluster], last = begin[cluster + 1];
  const int64_t width = int64_t{num_kv_heads} * head_dim;
  const float* mine = keys + int64_t{head} * head_dim;

  const auto [code, scale] = mean_code({mine, width, first, last}, head_dim);
  if (d < head_dim) {
    stored[d] = static_cast<float>(code) * scale;
    means[(int64_t{head} * head_dim + d) * stride + cluster] = static_cast<int8_t>(code);
  }
  __syncthreads();

  float farthest = 0.0f;
  for (int t = first + d / kWarp; t < last; t += EV_CUDA_MAX_HEAD_DIM / kWarp) {
    float square = 0.0f;
    for (int i = d % kWarp; i < head_dim; i += kWarp) {
      const float apart = mine[t * width + i] - stored[i];
      square += apart * apart;
    }
    square = reduce_warp(square, Sum());
    farthest = square > farthest ? square : farthest;
  }
  farthest = reduce_block(farthest, Max());
  if (d == 0) {
    scales[int64_t{head} * stride + cluster] = scale;
    radii[int64_t{head} * stride + cluster] = __fsqrt_rn(farthest) * kSlack;
  }
}

}  // namespace
}  // namespace ev::cuda

int ev_cuda_kv_seal(const EvCudaPages* pages, const int32_t* from, const int32_t* to, int32_t tokens,
                    void* stream) {
  using namespace ev::cuda;
  const dim3 grid(static_cast<unsigned>(tokens), static_cast<unsigned>(pages->num_kv_heads));
  const auto kernel = pages->type == EV_CUDA_I8    ? copy_token<uint8_t>
                      : pages->type == EV_CUDA_F32 ? copy_token<uint32_t>
                                                   : copy_token<uint16_t>;
  return launch(kernel, grid, kThreads, stream, *pages, from, to);
}

int ev_cuda_cluster_summaries(const float* keys, const int32_t* begin, int32_t clusters, int32_t stride,
                              int32_t num_kv_heads, int32_t head_dim, int8_t* means, float* scales,
                              float* radii, void* stream) {
  using namespace ev::cuda;
  if (head_dim > EV_CUDA_MAX_HEAD_DIM) return kInvalidValue;
  const dim3 grid(static_cast<unsigned>(clusters), static_cast<unsigned>(num_kv_heads));
  return launch(summarise, grid, EV_CUDA_MAX_HEAD_DIM, stream, keys, begin, stride, num_kv_heads, head_dim,
                means, scales, radii);
}
