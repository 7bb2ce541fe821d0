// shift_page moves keys as if they had been written at later positions, and leaves values alone.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "kv/window.h"
#include "ops/kv_pages.h"

namespace ev::kv {
namespace {

class ShiftPage : public ::testing::TestWithParam<std::tuple<DType, ops::RopeLayout, int>> {};

TEST_P(ShiftPage, EqualsWritingAtTheLaterPositions) {
  const auto [dtype, rope_layout, head_dim] = GetParam();
  PageLayout layout;
  layout.shape = {16, 3, head_dim, dtype};
  layout.n_layers = 2;
  const KeyRotation rotation{ops::rope_inv_freq(head_dim, 10000.0, nullptr), rope_layout};
  const int64_t cols = 3 * head_dim;
  ThreadPool threads(1);
  std::mt19937 random(3);
  std::normal_distribution<float> normal;

  const auto write = [&](int32_t first_position, const std::vector<float>& keys,
                         const std::vector<float>& values, uint8_t* page) {
    std::vector<int32_t> positions(16);
    std::iota(positions.begin(), positions.end(), first_position);
    ops::RopeTable table(rotation.inv_freq);
    table.set_positions(positions.data(), 16);
    for (uint32_t i = 0; i < 2; ++i) {
      std::vector<float> k = keys, v = values;
      const MatrixRef<float> rows(k.data(), 16, cols);
      ops::rope(rows, 3, head_dim, table, rope_layout, threads);
      ops::kv_append(layout.layer(i), rows, {v.data(), 16, cols}, {{page, 0, 16}}, threads);
    }
  };

  std::vector<float> keys(static_cast<size_t>(16 * cols)), values(keys.size());
  for (float& x : keys) x = normal(random);
  for (float& x : values) x = normal(random);
  const AlignedBuffer first(layout.page_bytes()), later(layout.page_bytes()), shifted(layout.page_bytes());
  constexpr int32_t kShift = 100000;
  write(5, keys, values, first.data());
  write(5 + kShift, keys, values, later.data());
  shift_page(layout, rotation, kShift, first.data(), shifted.data(), threads);

  // Two roundings to f16 against one; in f32 only the angle sums differ.
  const double bound = dtype == DType::kF16 ? 4e-3 : 2e-5;
  for (uint32_t i = 0; i < 2; ++i) {
    const ops::KvLayer l = layout.layer(i);
    const auto value_at = [&](const AlignedBuffer& page, int64_t element) {
      if (dtype == DType::kF32) return double{page.as<float>()[element]};
      const uint16_t bits = page.as<uint16_t>()[element];
      const int exponent = bits >> 10 & 31;
      const double mantissa = (bits & 1023) / 1024.0 + (exponent == 0 ? 0 : 1);
      return std::ldexp(mantissa, std::max(exponent, 1) - 15) * (bits & 0x8000 ? -1 : 1);
    };
    for (int64_t e = 0; e < l.shape.k_plane_elements(); ++e)
      ASSERT_NEAR(value_at(shifted, l.k_offset + e), value_at(later, l.k_offset + e), bound);
    for (int64_t e = 0; e < l.shape.v_plane_elements(); ++e)
      ASSERT_EQ(value_at(shifted, l.v_offset + e), value_at(first, l.v_offset + e));
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, ShiftPage,
                         ::testing::Combine(::testing::Values(DType::kF16, DType::kF32),
                                            ::testing::Values(ops::RopeLayout::kInterleaved,
                                                              ops::RopeLayout::kHalf),
                                            ::testing::Values(6, 64)));

}  // namespace
}  // namespace ev::kv
