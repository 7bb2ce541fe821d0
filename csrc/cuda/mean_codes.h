// The mean of a run of rows in 8 bits, as clusters keep it: by a block, a thread per dim.
#pragma once

#include "cuda/device.h"

namespace ev::cuda {

// Rows of one KV head: `width` apart, `first` .. `last` - 1 of them.
struct Run {
  const float* rows;
  int64_t width;
  int first;
  int last;
};

struct MeanCode {
  int code;     // of this thread's dim, 0 past the last
  float scale;  // of all dims
};

// The whole block calls. Sums run in order, divisions round to nearest: the same on every device.
__device__ inline MeanCode mean_code(const Run& run, int head_dim) {
  const int d = static_cast<int>(threadIdx.x);
  float mean = 0.0f;
  if (d < head_dim) {
    for (int t = run.first; t < run.last; ++t) mean += run.rows[t * run.width + d];
    mean = __fdiv_rn(mean, static_cast<float>(run.last - run.first));
  }
  const float scale = __fdiv_rn(reduce_block(fabsf(mean), Max()), 127.0f);
  return {__float2int_rn(__fdiv_rn(mean, scale > 0.0f ? scale : 1.0f)), scale};
}

}  // namespace ev::cuda
