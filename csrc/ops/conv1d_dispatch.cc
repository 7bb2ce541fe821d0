// The public functions of conv1d_int8: check, pack, call the active ISA's kernel.
#include <cmath>

#include "base/error.h"
#include "ops/conv1d_int8.h"
#include "ops/kernels.h"
#include "ops/registry.h"

namespace ev::ops {
namespace {

constexpr int64_t kMaxProducts = 65536;  // of a sum: with a bias below 2^30 it fits 32 bits
constexpr int32_t kMaxBias = 1 << 30;
constexpr int64_t kMinProducts = 1 << 18;  // fewer are not worth a second thread

size_t padded(int64_t outputs) {
  return static_cast<size_t>((outputs + kPanelRows - 1) / kPanelRows * kPanelRows);
}

void check(const ConvShape& s) {
  require(s.in_channels > 0 && s.out_channels > 0 && s.taps > 0 && s.stride > 0 && s.dilation > 0,
          "conv1d_int8: sizes are positive");
  require(s.taps <= kMaxProducts && s.in_channels <= kMaxProducts / s.taps &&
              s.out_channels <= kMaxProducts && s.stride <= kMaxProducts && s.dilation <= kMaxProducts,
          "conv1d_int8: at most 65536 products to a sum");
}

}  // namespace

PackedConv::PackedConv(const ConvShape& shape, const int8_t* weights, const int32_t* bias,
                       const float* scales, bool relu)
    : shape_(shape), relu_(relu) {
  check(shape);
  const int64_t groups = (shape.in_channels + 3) / 4;
  const size_t outputs = padded(shape.out_channels);
  weights_.resize(outputs * static_cast<size_t>(shape.taps * groups * 4));
  sums_.resize(outputs);
  bias_.resize(outputs);
  scales_.resize(outputs);
  for (int64_t o = 0; o < shape.out_channels; ++o) {
    const auto at = static_cast<size_t>(o);
    require(bias[o] > -kMaxBias && bias[o] < kMaxBias, "conv1d_int8: a bias is below 2^30");
    require(std::isfinite(scales[o]), "conv1d_int8: scales are finite");
    bias_[at] = bias[o];
    scales_[at] = scales[o];
    for (int64_t c = 0; c < shape.in_channels; ++c)
      for (int64_t k = 0; k < shape.taps; ++k) {
        const int8_t w = *weights++;
        require(w >= -127, "conv1d_int8: weights lie within +-127");
        const int64_t group = (o / kPanelRows * shape.taps + k) * groups + c / 4;
        weights_[static_cast<size_t>((group * kPanelRows + o % kPanelRows) * 4 + c % 4)] = w;
        sums_[at] += w;
      }
  }
}

void conv1d_int8(MatrixRef<const int8_t> x, const PackedConv& conv, MatrixRef<int8_t> y, ThreadPool& pool) {
  const ConvShape& s = conv.shape();
  require(x.cols == s.in_channels && x.stride == x.cols && y.cols == s.out_channels && y.stride == y.cols &&
              y.rows == s.rows_out(x.rows),
          "conv1d_int8: shapes disagree");
  const ConvArgs args{x.data,         s.in_channels, s.taps,      s.stride,      s.dilation,
                      conv.weights(), conv.sums(),   conv.bias(), conv.scales(), conv.relu() ? 0.0f : -127.0f,
                      y.data,         s.out_channels};
  const int64_t per_row = s.in_channels * s.out_channels * s.taps;
  pool.parallel_for(y.rows, kMinProducts / per_row + 1,
                    [&](int64_t begin, int64_t end) { kernels().conv1d_int8(args, begin, end); });
}

}  // namespace ev::ops
