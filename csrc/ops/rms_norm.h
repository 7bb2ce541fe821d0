// RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467): out[i, :] = x[i, :] / sqrt(mean(x[i, :]^2) + eps) *
// weight. Sums run in f32 over 16 lanes. out may be x itself.
#pragma once

#include "base/tensor.h"
#include "base/thread_pool.h"

namespace ev::ops {

// weight [x.cols]. Throws Error(kInvalidArgument) when shapes disagree.
void rms_norm(MatrixRef<const float> x, const float* weight, float eps, MatrixRef<float> out,
              ThreadPool& pool);

// x += delta, then out = rms_norm(x): the residual connection and the next norm in one pass.
void add_rms_norm(MatrixRef<float> x, MatrixRef<const float> delta, const float* weight, float eps,
                  MatrixRef<float> out, ThreadPool& pool);

}  // namespace ev::ops
