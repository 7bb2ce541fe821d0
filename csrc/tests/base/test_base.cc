// The small parts of csrc/base.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/cancel.h"
#include "base/checked.h"
#include "base/cpu_features.h"
#include "base/dtype.h"
#include "base/tensor.h"

namespace ev {
namespace {

TEST(AlignedBuffer, IsAlignedAndZero) {
  for (const size_t bytes : {0u, 1u, 63u, 64u, 1000u}) {
    const AlignedBuffer b(bytes);
    EXPECT_EQ(b.size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b.data()) % kCacheLine, 0u);
    for (size_t i = 0; i < bytes; ++i) EXPECT_EQ(b.data()[i], 0);
  }
}

TEST(AlignedBuffer, RefusesWhatCannotBe) {
  EXPECT_THROW(AlignedBuffer(SIZE_MAX), Error);
}

TEST(MatrixRef, SlicesRowsAndColumns) {
  int numbers[12];
  for (int i = 0; i < 12; ++i) numbers[i] = i;
  const MatrixRef<int> m(numbers, 3, 4);
  EXPECT_EQ(m.columns(1, 2).row(2)[1], 10);
  EXPECT_EQ(m.slice(1, 2).columns(3, 1).row(1)[0], 11);
  const MatrixRef<const int> read_only = m;
  EXPECT_EQ(read_only.row(1)[1], 5);
}

TEST(Checked, OverflowIsAnError) {
  EXPECT_EQ(checked_mul(1u << 31, 2), uint64_t{1} << 32);
  EXPECT_THROW(checked_mul(uint64_t{1} << 32, uint64_t{1} << 32), Error);
  EXPECT_THROW(checked_add(UINT64_MAX, 1), Error);
}

TEST(RunLimits, CancelAndDeadlineEndACall) {
  CancelToken token;
  RunLimits limits;
  limits.cancel = &token;
  limits.check();
  token.cancel();
  EXPECT_THROW(limits.check(), Error);
  token.reset();
  limits.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_THROW(limits.check(), Error);
}

TEST(DType, NamesAndBlocks) {
  EXPECT_STREQ(dtype_name(DType::kQ6_K), "Q6_K");
  EXPECT_STREQ(dtype_name(static_cast<DType>(99)), "unknown");
  EXPECT_EQ(block_layout(static_cast<DType>(99)).elements, 0u);
}

TEST(CpuFeatures, ScalarAlwaysRuns) {
  EXPECT_TRUE(cpu_supports(Isa::kScalar));
  EXPECT_TRUE(!cpu_supports(Isa::kAvx512) || cpu_supports(Isa::kAvx2));
  EXPECT_FALSE(cpu_supports(Isa::kAvx2) && cpu_supports(Isa::kNeon));
  EXPECT_STREQ(isa_name(Isa::kAvx512), "avx512");
  EXPECT_GE(usable_cpus(), 1);
}

}  // namespace
}  // namespace ev
