// shift_page moves keys as if they had been written at later positions, and leaves values alone.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>
#include <tuple>
#include <vector>

#include "kv/page_rows.h"
#include "kv/window.h"
#include "ops/kv_pages.h"

namespace ev::kv {
namespace {

class ShiftPage : public ::testing::TestWithParam<std::tuple<ops::KvType, ops::RopeLayout, int>> {};

// Two roundings against one; in f32 only the angle sums differ. Keys here stay below 5, so that int8's half
// steps do below 0.5 * 5 / 127.
double bound_of(ops::KvType type) {
  return type == ops::KvType::kF32 ? 2e-5 : type == ops::KvType::kF16 ? 4e-3 : 6e-2;
}

TEST_P(ShiftPage, EqualsWritingAtTheLaterPositions) {
  const ops::KvType type = std::get<0>(GetParam());
  const ops::RopeLayout rope_layout = std::get<1>(GetParam());
  const int head_dim = std::get<2>(GetParam());
  PageLayout layout;
  layout.shape = {16, 3, head_dim, type};
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

  std::vector<float> got(keys.size()), want(keys.size());
  const MatrixRef<float> got_rows(got.data(), 16, cols), want_rows(want.data(), 16, cols);
  for (uint32_t i = 0; i < 2; ++i) {
    const ops::KvLayer layer = layout.layer(i);
    read_keys(layer, shifted.data(), got_rows);
    read_keys(layer, later.data(), want_rows);
    for (size_t e = 0; e < got.size(); ++e) ASSERT_NEAR(got[e], want[e], bound_of(type));
    read_values(layer, shifted.data(), got_rows);
    read_values(layer, first.data(), want_rows);
    ASSERT_EQ(got, want);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, ShiftPage,
    ::testing::Combine(::testing::Values(ops::KvType::kF16, ops::KvType::kF32, ops::KvType::kI8),
                       ::testing::Values(ops::RopeLayout::kInterleaved, ops::RopeLayout::kHalf),
                       ::testing::Values(6, 64)));

}  // namespace
}  // namespace ev::kv
