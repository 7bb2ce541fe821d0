// kv_append: a block per token and KV head; keys are dealt out over head_dim lines. In int8 a warp finds the
// scale of a run of EV_CUDA_SCALE_DIMS dims of the key, the block that of the value.
#include "cuda/device.h"

namespace ev::cuda {
namespace {

constexpr int kThreads = 64;
static_assert(EV_CUDA_SCALE_DIMS == kWarp, "a lane for each dim that shares a scale");

template <class T>
__device__ T* key_of(const EvCudaPages& p, int head, int slot) {
  return static_cast<T*>(p.keys) + slot / p.page_size * p.k_page_stride +
         int64_t{head} * p.head_dim * p.page_size + slot % p.page_size;
}

template <class T>
__device__ T* value_of(const EvCudaPages& p, int head, int slot) {
  return static_cast<T*>(p.values) + slot / p.page_size * p.v_page_stride +
         (int64_t{head} * p.page_size + slot % p.page_size) * p.v_stride;
}

template <class T>
__global__ void append_row(EvCudaPages p, const float* k, const float* v, const int32_t* slots) {
  const int64_t token = blockIdx.x;
  const int head = static_cast<int>(blockIdx.y);
  const int64_t row = (token * p.num_kv_heads + head) * p.head_dim;
  T* key = key_of<T>(p, head, slots[token]);
  T* value = value_of<T>(p, head, slots[token]);
  for (int d = static_cast<int>(threadIdx.x); d < p.v_stride; d += kThreads) {
    const bool padding = d >= p.head_dim;
    put(value + d, padding ? 0.0f : v[row + d]);
    if (!padding) put(key + int64_t{d} * p.page_size, k[row + d]);
  }
}

// Orders as |x| does, NaN above all.
__device__ unsigned magnitude(float x) {
  return __float_as_uint(x) & 0x7fffffffu;
}

// The least f16 that is at least largest / 127; NaN when there is none.
__device__ __half scale_of(unsigned largest) {
  const float wanted = __fdiv_rn(__uint_as_float(largest), 127.0f);
  return wanted <= 65504.0f ? __float2half_ru(wanted) : __float2half_rn(NAN);
}

__device__ int8_t code_of(float x, __half scale) {
  const float unit = __half2float(scale);
  return static_cast<int8_t>(unit > 0.0f ? __float2int_rn(__fdiv_rn(x, unit)) : 0);
}

__global__ void append_codes(EvCudaPages p, const float* k, const float* v, const int32_t* slots) {
  const int64_t token = blockIdx.x;
  const int head = static_cast<int>(blockIdx.y), slot = slots[token];
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp;
  const int64_t row = (token * p.num_kv_heads + head) * p.head_dim;
  int8_t* key = key_of<int8_t>(p, head, slot);
  for (int line = thread / kWarp; line < p.key_scale_lines; line += kThreads / kWarp) {
    const int d = line * kWarp + lane;
    const float x = d < p.head_dim ? k[row + d] : 0.0f;
    const __half scale = scale_of(reduce_warp(magnitude(x), Max()));
    if (lane == 0) *key_scale(p, head, slot, d) = scale;
    if (d < p.head_dim) key[int64_t{d} * p.page_size] = code_of(x, scale);
  }

  unsigned largest = 0;
  for (int d = thread; d < p.head_dim; d += kThreads) largest = Max()(largest, magnitude(v[row + d]));
  const __half scale = scale_of(reduce_block(largest, Max()));
  if (thread == 0) *value_scale(p, head, slot) = scale;
  int8_t* value = value_of<int8_t>(p, head, slot);
  for (int d = thread; d < p.v_stride; d += kThreads)
    value[d] = d < p.head_dim ? code_of(v[row + d], scale) : int8_t{0};
}

}  // namespace
}  // namespace ev::cuda

int ev_cuda_kv_append(const EvCudaPages* pages, const float* k, const float* v, const int32_t* slots,
                      int32_t tokens, void* stream) {
  using namespace ev::cuda;
  const dim3 grid(static_cast<unsigned>(tokens), static_cast<unsigned>(pages->num_kv_heads));
  const auto kernel = pages->type == EV_CUDA_I8    ? append_codes
                      : pages->type == EV_CUDA_F32 ? append_row<float>
                                                   : append_row<__half>;
  return launch(kernel, grid, kThreads, stream, *pages, k, v, slots);
}
