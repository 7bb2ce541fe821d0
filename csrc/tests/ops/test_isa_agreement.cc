// Every ISA against scalar, on the same random inputs; threads beside one thread, bit for bit. The numbers
// themselves are checked against numpy in tests/ops; this runs where there is no Python: under sanitizers,
// under an emulator.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/error.h"
#include "ops/block_codes.h"
#include "ops/dequantize.h"
#include "ops/paged_attention.h"
#include "ops/registry.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace ev::ops {
namespace {

constexpr DType kTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ4_0,
                            DType::kQ4_1, DType::kQ8_0, DType::kQ4_K, DType::kQ6_K};

std::vector<float> normal(size_t n, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> gauss;
  std::vector<float> v(n);
  for (float& x : v) x = gauss(rng);
  return v;
}

// Block rows of random codes; every f16 scale is made a small normal number, floats stay below 2.
std::vector<uint8_t> random_rows(DType type, int64_t rows, int64_t cols) {
  const auto bytes = static_cast<size_t>(rows * row_bytes(type, cols));
  std::vector<uint8_t> data(bytes);
  std::mt19937 rng(static_cast<unsigned>(type));
  for (uint8_t& b : data) b = static_cast<uint8_t>(rng());
  const size_t block = block_layout(type).bytes;
  if (!is_quantized(type)) {
    for (size_t i = block - 1; i < bytes; i += block) data[i] = static_cast<uint8_t>((data[i] & 0x80) | 0x3b);
  } else {
    const size_t first = type == DType::kQ6_K ? 208 : 0;
    const size_t halves = type == DType::kQ4_1 || type == DType::kQ4_K ? 2 : 1;
    for (size_t i = 0; i < bytes; i += block)
      for (size_t h = 0; h < halves; ++h) data[i + first + 2 * h + 1] = 0x24;
  }
  return data;
}

void expect_near(const std::vector<float>& got, const std::vector<float>& want, float relative) {
  float largest = 0;
  for (const float w : want) largest = std::max(largest, std::abs(w));
  for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], relative * largest) << "at " << i;
}

// Runs op(pool) -> vector on scalar, then on every ISA with one and with three threads.
template <class Op>
void expect_isas_agree(float relative, const Op& op) {
  ThreadPool one(1);
  ThreadPool three(3);
  use_isa(Isa::kScalar);
  const std::vector<float> want = op(one);
  for (const Isa isa : available_isas()) {
    SCOPED_TRACE(isa_name(isa));
    use_isa(isa);
    const std::vector<float> got = op(one);
    expect_near(got, want, relative);
    EXPECT_EQ(op(three), got);
  }
  use_isa(available_isas().back());
}

TEST(IsaAgreement, Linear) {
  constexpr int64_t kCols = 512;
  for (const DType type : kTypes)
    for (const int64_t n : {1, 16, 35})
      for (const int64_t m : {1, 3, 12, 14}) {
        SCOPED_TRACE(dtype_name(type));
        const std::vector<uint8_t> rows = random_rows(type, n, kCols);
        const std::vector<float> x = normal(static_cast<size_t>(m * kCols), 1);
        expect_isas_agree(1e-4f, [&](ThreadPool& pool) {
          const PackedMatrix w = PackedMatrix::pack({{type, rows.data(), n, kCols}}, Precision::kFast, pool);
          LinearInput input;
          input.set({x.data(), m, kCols}, w.uses_codes(), pool);
          std::vector<float> y(static_cast<size_t>(m * n));
          linear(w, input, nullptr, {y.data(), m, n}, pool);
          return y;
        });
      }
}

TEST(IsaAgreement, RowWiseOps) {
  for (const int64_t cols : {1, 15, 17, 64, 576}) {
    const auto count = static_cast<size_t>(50 * cols);
    const std::vector<float> x = normal(2 * count, 2);
    expect_isas_agree(1e-5f, [&](ThreadPool& pool) {
      std::vector<float> out(count);
      rms_norm({x.data(), 50, cols}, x.data(), 1e-5f, {out.data(), 50, cols}, pool);
      return out;
    });
    expect_isas_agree(1e-5f, [&](ThreadPool& pool) {
      std::vector<float> out(count);
      swiglu({x.data(), 50, 2 * cols}, {out.data(), 50, cols}, pool);
      return out;
    });
  }
}

TEST(IsaAgreement, Rope) {
  RopeTable table(rope_inv_freq(62, 1e4, nullptr));
  const std::vector<int32_t> positions = {0, 1, 1000, 100000};
  table.set_positions(positions.data(), 4);
  for (const RopeLayout layout : {RopeLayout::kInterleaved, RopeLayout::kHalf})
    expect_isas_agree(1e-6f, [&](ThreadPool& pool) {
      std::vector<float> x = normal(4 * 3 * 65, 3);
      rope({x.data(), 4, 3 * 65}, 3, 65, table, layout, pool);
      return x;
    });
}

TEST(IsaAgreement, PagedAttention) {
  for (const KvType type : {KvType::kF16, KvType::kF32, KvType::kI8})
    for (const int head_dim : {5, 64, 80})
      for (const int64_t m : {1, 9, 70}) {
        KvShape shape;
        shape.page_size = 48;
        shape.num_kv_heads = 2;
        shape.head_dim = head_dim;
        shape.type = type;
        const KvLayer layer{shape, 0, shape.k_plane_bytes()};
        const int64_t tokens = 300 + m;
        std::vector<AlignedBuffer> pages;
        std::vector<Extent> extents;
        for (int64_t left = tokens; left > 0; left -= 48) {
          pages.emplace_back(static_cast<size_t>(shape.k_plane_bytes() + shape.v_plane_bytes()));
          extents.push_back({pages.back().data(), 0, static_cast<int32_t>(std::min<int64_t>(left, 48))});
        }
        const auto kv_width = static_cast<size_t>(2 * head_dim);
        const std::vector<float> k = normal(static_cast<size_t>(tokens) * kv_width, 4);
        const std::vector<float> v = normal(static_cast<size_t>(tokens) * kv_width, 5);
        const std::vector<float> q = normal(static_cast<size_t>(m) * kv_width * 3, 6);
        expect_isas_agree(1e-4f, [&](ThreadPool& pool) {
          kv_append(layer, {k.data(), tokens, 2 * head_dim}, {v.data(), tokens, 2 * head_dim}, extents, pool);
          AttentionPlan plan;
          plan.set(extents, m, shape);
          std::vector<float> out(q.size());
          paged_attention({q.data(), m, 6 * head_dim}, 6, layer, {&plan}, {}, 0.2f,
                          {out.data(), m, 6 * head_dim}, pool);
          return out;
        });
      }
}

TEST(IsaAgreement, Int8PagesBitForBit) {
  KvShape shape;
  shape.page_size = 32;
  shape.num_kv_heads = 2;
  shape.head_dim = 70;
  shape.type = KvType::kI8;
  const KvLayer layer{shape, 0, shape.k_plane_bytes()};
  const int64_t cols = 2 * 70;
  std::vector<float> k = normal(static_cast<size_t>(32 * cols), 7), v = normal(k.size(), 8);
  for (size_t i = 0; i < k.size(); ++i) k[i] = std::ldexp(k[i], static_cast<int>(i % 61) - 40);
  for (size_t i = 0; i < v.size(); i += 397) v[i] = i % 2 ? INFINITY : NAN;
  const Isa best = available_isas().back();
  ThreadPool pool(1);
  std::vector<uint8_t> want;
  for (const Isa isa : available_isas()) {
    use_isa(isa);
    const AlignedBuffer page(static_cast<size_t>(shape.k_plane_bytes() + shape.v_plane_bytes()));
    std::memset(page.data(), 0x55, page.size());
    kv_append(layer, {k.data(), 29, cols}, {v.data(), 29, cols}, {{page.data(), 3, 29}}, pool);
    const std::vector<uint8_t> got(page.data(), page.data() + page.size());
    if (want.empty()) want = got;
    EXPECT_EQ(got, want) << isa_name(isa);
  }
  use_isa(best);
}

TEST(Linear, RefusesWrongShapes) {
  ThreadPool pool(1);
  const std::vector<uint8_t> rows = random_rows(DType::kQ8_0, 2, 64);
  EXPECT_THROW(PackedMatrix::pack({{DType::kQ8_0, rows.data(), 2, 33}}, Precision::kFast, pool), Error);
  EXPECT_THROW(PackedMatrix::pack({{DType::kF32, rows.data(), 1, 2}, {DType::kF32, rows.data(), 1, 3}},
                                  Precision::kFast, pool),
               Error);
  EXPECT_THROW(PackedMatrix::pack({{static_cast<DType>(77), rows.data(), 1, 2}}, Precision::kFast, pool),
               Error);
  const PackedMatrix w = PackedMatrix::pack({{DType::kQ8_0, rows.data(), 2, 64}}, Precision::kFast, pool);
  std::vector<float> x(64), y(2);
  LinearInput input;
  input.set({x.data(), 1, 64}, false, pool);
  EXPECT_THROW(linear(w, input, nullptr, {y.data(), 1, 2}, pool), Error);  // no codes
  EXPECT_THROW(input.set({x.data(), 1, 40}, true, pool), Error);
}

}  // namespace
}  // namespace ev::ops
