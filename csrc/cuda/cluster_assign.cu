// cluster_assign: a warp per stream of codes (a layer). Lane l reads and writes the leaders l, l + 32, ...
// alone, so no lane waits for another's memory.
#include "cuda/device.h"

namespace ev::cuda {
namespace {

// Distance above, id below: the least is the nearest, the lowest id among equals.
constexpr int kIdBits = 24;
constexpr int64_t kNone = int64_t{64} << kIdBits;

struct Min {
  __device__ int64_t operator()(int64_t a, int64_t b) const { return a < b ? a : b; }
};

__global__ void assign_stream(const uint32_t* codes, uint32_t* leaders, int32_t* opened, int32_t* ids, int n,
                              int capacity, int threshold) {
  const int64_t stream = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  uint32_t* table = leaders + stream * capacity;
  int count = opened[stream];
  for (int i = 0; i < n; ++i) {
    const uint32_t code = codes[stream * n + i];
    int64_t best = kNone;
    for (int c = lane; c < count; c += kWarp)
      best = Min()(best, (int64_t{__popc(table[c] ^ code)} << kIdBits) + c);
    best = reduce_warp(best, Min());
    const bool joins = count > 0 && ((best >> kIdBits) < threshold || count == capacity);
    const int id = joins ? static_cast<int>(best & ((1 << kIdBits) - 1)) : count;
    if (!joins) {
      if (count % kWarp == lane) table[count] = code;
      ++count;
    }
    if (lane == 0) ids[stream * n + i] = id;
  }
  __syncwarp();
  if (lane == 0) opened[stream] = count;
}

}  // namespace
}  // namespace ev::cuda

int ev_cuda_cluster_assign(const uint32_t* codes, uint32_t* leaders, int32_t* opened, int32_t* ids,
                           int32_t streams, int32_t n, int32_t capacity, int32_t threshold, void* stream) {
  using namespace ev::cuda;
  if (capacity >= 1 << kIdBits) return kInvalidValue;
  return launch(assign_stream, dim3(static_cast<unsigned>(streams)), kWarp, stream, codes, leaders, opened,
                ids, n, capacity, threshold);
}
