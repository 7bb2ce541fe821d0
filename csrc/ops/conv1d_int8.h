// Convolution along time in int8, fused with bias, ReLU and the way back to int8. The specification is
// edgevid/ops/conv1d_int8.py.
//
//   sum = bias[o] + sum over tap k, channel c of x[t * stride + k * dilation, c] * w[o, c, k]     in int32
//   y[t, o] = clip(round_half_even(float32(sum) * scale[o]), floor, 127)       floor is 0 with ReLU, else
//   -127
//
// No step depends on an order, so y is the same on every ISA and thread count.
#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"
#include "base/thread_pool.h"

namespace ev::ops {

struct ConvShape {
  int64_t in_channels, out_channels, taps, stride, dilation;

  // Rows of x from the first to the last tap.
  int64_t reach() const { return (taps - 1) * dilation + 1; }
  int64_t rows_out(int64_t rows_in) const { return rows_in < reach() ? 0 : (rows_in - reach()) / stride + 1; }
};

// The weights of one layer, as the kernels read them.
class PackedConv {
 public:
  // weights [out, in, taps], none below -127; bias and scales [out]. Throws Error(kInvalidArgument) when a
  // size is not positive, a sum could overflow or a scale is not finite.
  PackedConv(const ConvShape& shape, const int8_t* weights, const int32_t* bias, const float* scales,
             bool relu);

  const ConvShape& shape() const { return shape_; }
  bool relu() const { return relu_; }
  const int8_t* weights() const { return weights_.data(); }
  const int32_t* sums() const { return sums_.data(); }
  const int32_t* bias() const { return bias_.data(); }
  const float* scales() const { return scales_.data(); }

 private:
  ConvShape shape_;
  bool relu_;
  std::vector<int8_t> weights_;
  std::vector<int32_t> sums_, bias_;
  std::vector<float> scales_;
};

// x [rows, in_channels], y [shape.rows_out(rows), out_channels], both dense. Throws Error(kInvalidArgument)
// when they are not.
void conv1d_int8(MatrixRef<const int8_t> x, const PackedConv& conv, MatrixRef<int8_t> y, ThreadPool& pool);

}  // namespace ev::ops
