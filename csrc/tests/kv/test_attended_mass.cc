// Shares of attention against a plain softmax over all keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>

#include "kv/attended_mass.h"
#include "kv/resv_selection.h"
#include "kv/tracing.h"
#include "tests/kv/sealed_cache.h"

namespace ev::kv {
namespace {

using ev::testing::SealedCaches;

constexpr int kQHeads = SealedCaches::kKvHeads * SealedCaches::kGroup;
constexpr int64_t kWidth = int64_t{kQHeads} * SealedCaches::kHeadDim;

std::vector<float> random_queries(uint32_t rows, float size) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0f, size);
  std::vector<float> q(rows * static_cast<size_t>(kWidth));
  for (float& x : q) x = normal(random);
  return q;
}

// Of all layers and query heads with the same queries, tokens in the order of their positions.
std::vector<double> plain_shares(const KvCache& cache, MatrixRef<const float> q) {
  const int64_t total = int64_t{cache.kept()} + cache.pending(), past = total - q.rows;
  std::vector<double> sums(static_cast<size_t>(total)), scores(sums.size());
  for (uint32_t layer = 0; layer < SealedCaches::kLayers; ++layer)
    for (int64_t row = 0; row < q.rows; ++row)
      for (int head = 0; head < kQHeads; ++head) {
        const float* query = q.row(row) + head * SealedCaches::kHeadDim;
        double norm = 0;
        for (int64_t t = 0; t <= past + row; ++t) {
          double dot = 0;
          for (int d = 0; d < SealedCaches::kHeadDim; ++d)
            dot += double{query[d]} *
                   SealedCaches::key(static_cast<uint64_t>(t), layer,
                                     head / SealedCaches::kGroup * SealedCaches::kHeadDim + d);
          scores[static_cast<size_t>(t)] = std::exp(dot / std::sqrt(double{SealedCaches::kHeadDim}));
          norm += scores[static_cast<size_t>(t)];
        }
        for (int64_t t = 0; t <= past + row; ++t)
          sums[static_cast<size_t>(t)] += scores[static_cast<size_t>(t)] / norm;
      }
  for (double& sum : sums) sum /= static_cast<double>(q.rows * kQHeads * SealedCaches::kLayers);
  return sums;
}

class AttendedMassOf : public ::testing::Test {
 protected:
  std::vector<float> count(const KvCache& cache, MatrixRef<const float> q, Selection& selection) {
    selection.begin_step(cache);
    for (uint32_t layer = 0; layer < SealedCaches::kLayers; ++layer)
      selection.plans(layer, q, caches_.threads);
    selection.end_step();
    return dynamic_cast<AttendedMass&>(selection).shares();
  }

  SealedCaches caches_{200};
};

TEST_F(AttendedMassOf, WhatIsNotSealedIsExact) {
  const auto cache = std::make_unique<KvCache>(caches_.pool, WindowPolicy{0, SealedCaches::kSinks},
                                               SealedCaches::rotation());
  caches_.append(*cache, 90);
  caches_.begin(*cache, 4);
  const std::vector<float> q = random_queries(4, 1.0f);
  const MatrixRef<const float> rows(q.data(), 4, kWidth);
  AttendedMass mass(std::make_unique<WindowSelection>());
  const std::vector<float> got = count(*cache, rows, mass);
  const std::vector<double> want = plain_shares(*cache, rows);
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 2e-4) << i;
}

TEST_F(AttendedMassOf, ClustersAreCloseToTheirTokens) {
  auto cache = caches_.make();
  caches_.append(*cache, 600);
  caches_.begin(*cache, 3);
  ASSERT_GT(cache->sealed(), 500u);
  const std::vector<float> q = random_queries(3, 0.5f);
  const MatrixRef<const float> rows(q.data(), 3, kWidth);
  AttendedMass mass(std::make_unique<ResvSelection>(RetrievalPolicy{}, SealedCaches::kLayers));
  const std::vector<float> got = count(*cache, rows, mass);
  const std::vector<double> want = plain_shares(*cache, rows);
  EXPECT_NEAR(std::accumulate(got.begin(), got.end(), 0.0), 1.0, 1e-4);
  double apart = 0;
  for (size_t i = 0; i < want.size(); ++i) apart += std::abs(got[i] - want[i]);
  EXPECT_LT(apart, 0.1);  // half of it is mass that lies elsewhere
}

TEST_F(AttendedMassOf, LooksThroughWithoutChangingAnything) {
  auto cache = caches_.make();
  caches_.append(*cache, 600);
  caches_.begin(*cache, 2);
  const std::vector<float> q = random_queries(2, 1.0f);
  const MatrixRef<const float> rows(q.data(), 2, kWidth);
  ResvSelection plain(RetrievalPolicy{}, SealedCaches::kLayers);
  AttendedMass counted(std::make_unique<TracingSelection>(
      std::make_unique<ResvSelection>(RetrievalPolicy{}, SealedCaches::kLayers)));
  std::vector<float> want(q.size()), got(q.size());
  const auto attend = [&](Selection& selection, std::vector<float>& out) {
    selection.begin_step(*cache);
    const Plans& plans = selection.plans(1, rows, caches_.threads);
    ops::paged_attention(rows, kQHeads, plans.layer, plans.heads, plans.rest, 0.35f, {out.data(), 2, kWidth},
                         caches_.threads);
  };
  attend(plain, want);
  attend(counted, got);
  EXPECT_EQ(got, want);
  EXPECT_EQ(counted.name(), plain.name());
  EXPECT_EQ(dynamic_cast<const AttendedMass*>(counted.clone().get()), nullptr);
}

TEST_F(AttendedMassOf, FollowsAWindowThatSlides) {
  auto cache = caches_.make(320);
  AttendedMass mass(std::make_unique<ResvSelection>(RetrievalPolicy{}, SealedCaches::kLayers));
  const std::vector<float> q = random_queries(40, 1.0f);
  const MatrixRef<const float> rows(q.data(), 40, kWidth);
  for (int step = 0; step < 20; ++step) {
    caches_.begin(*cache, 40);
    const std::vector<float> got = count(*cache, rows, mass);
    ASSERT_EQ(got.size(), cache->kept() + cache->pending());
    const double sum = std::accumulate(got.begin(), got.end(), 0.0);
    ASSERT_LT(sum, 1.0001);  // what is gone took its share along
    ASSERT_GT(sum, 0.05);
    cache->commit();
  }
  EXPECT_GT(cache->evicted(), 0u);
}

}  // namespace
}  // namespace ev::kv
