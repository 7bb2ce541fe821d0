// conv1d_int8: every ISA gives scalar's integers, scalar those of the plain sums.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "base/error.h"
#include "ops/conv1d_int8.h"
#include "ops/registry.h"

namespace ev::ops {
namespace {

struct Layer {
  ConvShape shape;
  std::vector<int8_t> weights;
  std::vector<int32_t> bias;
  std::vector<float> scales;

  explicit Layer(const ConvShape& s) : shape(s) {
    std::mt19937 random(7);
    std::uniform_int_distribution<int> any(-127, 127);
    weights.resize(static_cast<size_t>(s.in_channels * s.out_channels * s.taps));
    for (int8_t& w : weights) w = static_cast<int8_t>(any(random));
    for (int64_t o = 0; o < s.out_channels; ++o) {
      bias.push_back(any(random) * 100);
      scales.push_back(0.0001f * static_cast<float>(o % 7 + 1));
    }
  }
  PackedConv packed(bool relu) const { return {shape, weights.data(), bias.data(), scales.data(), relu}; }
};

std::vector<int8_t> plain(const Layer& l, const std::vector<int8_t>& x, bool relu) {
  const ConvShape& s = l.shape;
  std::vector<int8_t> y;
  for (int64_t t = 0; t < s.rows_out(static_cast<int64_t>(x.size()) / s.in_channels); ++t)
    for (int64_t o = 0; o < s.out_channels; ++o) {
      int32_t sum = l.bias[static_cast<size_t>(o)];
      for (int64_t c = 0; c < s.in_channels; ++c)
        for (int64_t k = 0; k < s.taps; ++k)
          sum += x[static_cast<size_t>((t * s.stride + k * s.dilation) * s.in_channels + c)] *
                 l.weights[static_cast<size_t>((o * s.in_channels + c) * s.taps + k)];
      const float scaled = static_cast<float>(sum) * l.scales[static_cast<size_t>(o)];
      y.push_back(static_cast<int8_t>(std::clamp(std::nearbyint(scaled), relu ? 0.0f : -127.0f, 127.0f)));
    }
  return y;
}

TEST(Conv1dInt8, EveryIsaGivesThePlainSums) {
  for (const ConvShape& shape : {ConvShape{1, 1, 1, 1, 1}, ConvShape{6, 17, 3, 1, 4},
                                 ConvShape{64, 96, 4, 2, 1}, ConvShape{97, 33, 5, 3, 2}}) {
    const Layer layer(shape);
    const int64_t rows = shape.reach() + 21;
    std::vector<int8_t> x(static_cast<size_t>(rows * shape.in_channels));
    std::mt19937 random(1);
    for (int8_t& v : x) v = static_cast<int8_t>(random() % 256);  // -128 too
    for (const bool relu : {false, true}) {
      const PackedConv conv = layer.packed(relu);
      const std::vector<int8_t> want = plain(layer, x, relu);
      for (const Isa isa : available_isas()) {
        SCOPED_TRACE(isa_name(isa));
        use_isa(isa);
        for (const int threads : {1, 3}) {
          ThreadPool pool(threads);
          std::vector<int8_t> y(want.size());
          const int64_t out_rows = shape.rows_out(rows);
          conv1d_int8({x.data(), rows, shape.in_channels}, conv, {y.data(), out_rows, shape.out_channels},
                      pool);
          EXPECT_EQ(y, want);
        }
      }
    }
  }
  use_isa(available_isas().back());
}

TEST(Conv1dInt8, RefusesWhatBreaksTheContract) {
  const Layer good({4, 3, 2, 1, 1});
  const auto refused = [&](const auto& change) {
    Layer bad = good;
    change(bad);
    EXPECT_THROW(bad.packed(false), Error);
  };
  refused([](Layer& l) { l.weights[5] = -128; });
  refused([](Layer& l) { l.bias[1] = 1 << 30; });
  refused([](Layer& l) { l.scales[2] = NAN; });
  refused([](Layer& l) { l.shape.taps = 0; });
  refused([](Layer& l) { l.shape.in_channels = int64_t{1} << 40; });
  ThreadPool pool(1);
  std::vector<int8_t> x(20), y(12);
  EXPECT_THROW(conv1d_int8({x.data(), 5, 4}, good.packed(false), {y.data(), 3, 3}, pool), Error);
}

}  // namespace
}  // namespace ev::ops
