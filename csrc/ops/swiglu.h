// SwiGLU (Shazeer 2020, arXiv 2002.05202): out = silu(gate) * up, silu(g) = g / (1 + exp(-g)).
#pragma once

#include "base/tensor.h"
#include "base/thread_pool.h"

namespace ev::ops {

// gate_up [m, 2 f] holds gate in its first f columns and up in its last (a stacked linear's output); out [m,
// f]. Throws Error(kInvalidArgument) when shapes disagree.
void swiglu(MatrixRef<const float> gate_up, MatrixRef<float> out, ThreadPool& pool);

}  // namespace ev::ops
