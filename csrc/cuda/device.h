// What kernels share: launching, float16, reductions over a warp and a block. With a host compiler the device
// is played by shim/device.h.
#pragma once

#ifdef __CUDACC__
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define EV_UNROLL _Pragma("unroll")  // so that an array indexed by the loop stays in registers
#else
#define EV_UNROLL
#include "cuda/shim/device.h"
#endif

#include <cmath>
#include <cstdint>

#include "cuda/ev_cuda.h"

namespace ev::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAll = 0xffffffffu;  // every lane takes part
constexpr int kInvalidValue = 1;        // cudaErrorInvalidValue

inline int ceil_div(int a, int b) {
  return (a + b - 1) / b;
}

#ifdef __CUDACC__
// Blocks of `threads` over `grid`; arguments convert to the kernel's parameters.
template <class... P, class... A>
int launch(void (*kernel)(P...), dim3 grid, int threads, void* stream, A... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return 0;
  kernel<<<grid, threads, 0, static_cast<cudaStream_t>(stream)>>>(static_cast<P>(args)...);
  return static_cast<int>(cudaGetLastError());
}
#endif

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(__half x) {
  return __half2float(x);
}
__device__ inline void put(float* at, float x) {
  *at = x;
}
__device__ inline void put(__half* at, float x) {
  *at = __float2half_rn(x);
}

// Where the scales of a slot lie.
__device__ inline __half* key_scale(const EvCudaPages& p, int head, int slot, int dim) {
  const int64_t line = int64_t{head} * p.key_scale_lines + dim / EV_CUDA_SCALE_DIMS;
  return static_cast<__half*>(p.key_scales) + slot / p.page_size * p.ks_page_stride + line * p.page_size +
         slot % p.page_size;
}
__device__ inline __half* value_scale(const EvCudaPages& p, int head, int slot) {
  return static_cast<__half*>(p.value_scales) + slot / p.page_size * p.vs_page_stride +
         int64_t{head} * p.page_size + slot % p.page_size;
}

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

struct Max {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a < b ? b : a;
  }
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

template <class Op, class T>
__device__ T reduce_warp(T x, Op op) {
  for (int apart = kWarp / 2; apart > 0; apart /= 2) x = op(x, __shfl_xor_sync(kAll, x, apart));
  return x;
}

// Every thread gets the result. Ends with a barrier, so one call may follow another.
template <class Op, class T>
__device__ T reduce_block(T x, Op op) {
  __shared__ T of_warp[32];
  x = reduce_warp(x, op);
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = x;
  __syncthreads();
  x = of_warp[0];
  for (unsigned w = 1; w < blockDim.x / kWarp; ++w) x = op(x, of_warp[w]);
  __syncthreads();
  return x;
}

}  // namespace ev::cuda
