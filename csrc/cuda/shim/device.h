// A device played by the host, so that the kernels' own sources run in tests without one: a block's threads
// are fibers (device.cc), blocks run one after the other, __shared__ is static.
//
// It proves indexing, masking, arithmetic and that all threads reach the same barriers. It proves nothing
// about races, memory order or speed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __shared__ static

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3() = default;
  dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// The running fiber's; set by the scheduler.
extern dim3 threadIdx, blockIdx, blockDim;

struct __half {
  uint16_t bits;
};
float __half2float(__half h);
__half __float2half_rn(float x);  // half to even, overflow to infinity
__half __float2half_ru(float x);  // up

void __syncthreads();
void __syncwarp();

namespace ev::cuda::shim {

constexpr size_t kSlotBytes = 8;
unsigned char* slot_of_lane(unsigned lane);  // of the running fiber's warp

// Runs body(context) once per thread of a block. Aborts with a message when threads wait at barriers that
// others never reach.
void run_block(unsigned threads, void (*body)(void*), void* context);

template <class T>
T exchange(T x, unsigned lane) {
  static_assert(sizeof(T) <= kSlotBytes, "lanes exchange up to 8 bytes");
  std::memcpy(slot_of_lane(threadIdx.x % 32), &x, sizeof(T));
  __syncwarp();
  std::memcpy(&x, slot_of_lane(lane), sizeof(T));
  __syncwarp();
  return x;
}

}  // namespace ev::cuda::shim

template <class T>
T __shfl_xor_sync(unsigned, T x, int apart) {
  return ev::cuda::shim::exchange(x, (threadIdx.x % 32) ^ static_cast<unsigned>(apart));
}

inline unsigned __ballot_sync(unsigned, bool vote) {
  unsigned votes = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    votes |= static_cast<unsigned>(ev::cuda::shim::exchange(static_cast<int>(vote), lane)) << lane;
  return votes;
}

inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
inline int __float2int_rn(float x) {
  return static_cast<int>(std::nearbyint(x));
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline float __fsqrt_rn(float x) {
  return std::sqrt(x);
}
inline float __uint_as_float(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline unsigned __float_as_uint(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

namespace ev::cuda {

template <class... P, class... A>
int launch(void (*kernel)(P...), dim3 grid, int threads, void*, A... args) {
  auto call = [&] { kernel(static_cast<P>(args)...); };
  blockDim = dim3(static_cast<unsigned>(threads));
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        shim::run_block(blockDim.x, [](void* c) { (*static_cast<decltype(call)*>(c))(); }, &call);
      }
  return 0;
}

}  // namespace ev::cuda
