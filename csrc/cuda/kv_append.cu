// kv_append: a block per token and KV head; keys are dealt out over head_dim lines.
#include "cuda/device.h"

namespace ev::cuda {
namespace {

constexpr int kThreads = 64;

template <class T>
__global__ void append_row(EvCudaPages p, const float* k, const float* v, const int32_t* slots) {
  const int64_t token = blockIdx.x;
  const int head = static_cast<int>(blockIdx.y);
  const int page = slots[token] / p.page_size, inside = slots[token] % p.page_size;
  const int64_t row = (token * p.num_kv_heads + head) * p.head_dim;
  T* keys = static_cast<T*>(p.keys) + page * p.k_page_stride + int64_t{head} * p.head_dim * p.page_size;
  T* values = static_cast<T*>(p.values) + page * p.v_page_stride +
              (int64_t{head} * p.page_size + inside) * p.v_stride;
  for (int d = static_cast<int>(threadIdx.x); d < p.v_stride; d += kThreads) {
    const bool padding = d >= p.head_dim;
    put(values + d, padding ? 0.0f : v[row + d]);
    if (!padding) put(keys + int64_t{d} * p.page_size + inside, k[row + d]);
  }
}

}  // namespace
}  // namespace ev::cuda

int ev_cuda_kv_append(const EvCudaPages* pages, const float* k, const float* v, const int32_t* slots,
                      int32_t tokens, void* stream) {
  using namespace ev::cuda;
  const dim3 grid(static_cast<unsigned>(tokens), static_cast<unsigned>(pages->num_kv_heads));
  const auto kernel = pages->f32 ? append_row<float> : append_row<__half>;
  return launch(kernel, grid, kThreads, stream, *pages, k, v, slots);
}
