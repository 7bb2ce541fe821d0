// hash_codes: a warp per key, a lane per hyperplane. Lanes quantise 32 dims at a time for each other.
#include "cuda/device.h"

namespace ev::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kMaxDims = 65536;  // beyond, a sum could overflow 32 bits

__device__ int quantise(float key, float centre) {
  const float x = (key - centre) * 256.0f;
  if (!(x > -32767.0f)) return -32767;  // NaN too
  return __float2int_rn(x < 32767.0f ? x : 32767.0f);
}

__global__ void hash_key(const float* keys, const float* centre, const uint32_t* planes, uint32_t* codes,
                         int n, int dims) {
  __shared__ int shared_x[kWarps][kWarp];
  __shared__ uint32_t shared_plane[kWarps][kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t i = int64_t{blockIdx.x} * kWarps + warp;
  if (i >= n) return;
  int sum = 0;
  for (int start = 0; start < dims; start += kWarp) {
    const int d = start + lane;
    shared_x[warp][lane] = d < dims ? quantise(keys[i * dims + d], centre[d]) : 0;
    shared_plane[warp][lane] = d < dims ? planes[d] : 0;
    __syncwarp();
    for (int j = 0; j < kWarp; ++j) {
      const int x = shared_x[warp][j];
      sum += shared_plane[warp][j] >> lane & 1u ? x : -x;
    }
    __syncwarp();
  }
  const uint32_t code = __ballot_sync(kAll, sum >= 0);
  if (lane == 0) codes[i] = code;
}

}  // namespace
}  // namespace ev::cuda

int ev_cuda_hash_codes(const float* keys, const float* centre, const uint32_t* planes, uint32_t* codes,
                       int32_t n, int32_t dims, void* stream) {
  using namespace ev::cuda;
  if (dims > kMaxDims) return kInvalidValue;
  const dim3 grid(static_cast<unsigned>(ceil_div(n, kWarps)));
  return launch(hash_key, grid, kWarps * kWarp, stream, keys, centre, planes, codes, n, dims);
}
