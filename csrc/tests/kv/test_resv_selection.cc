// What a step attends: everything it must, nothing twice, and no more than the mass asks for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "kv/invariants.h"
#include "kv/resv_selection.h"
#include "tests/kv/sealed_cache.h"

namespace ev::kv {
namespace {

using ev::testing::SealedCaches;

class Resv : public ::testing::Test {
 protected:
  static constexpr int kQHeads = SealedCaches::kKvHeads * SealedCaches::kGroup;
  static constexpr int64_t kWidth = kQHeads * SealedCaches::kHeadDim;

  // Queries like the keys of one theme, so that few clusters matter.
  static std::vector<float> queries(uint32_t rows, uint64_t theme, float size = 3.0f) {
    std::vector<float> q(rows * static_cast<size_t>(kWidth));
    for (uint32_t i = 0; i < rows; ++i)
      for (int64_t c = 0; c < kWidth; ++c)
        q[i * static_cast<size_t>(kWidth) + static_cast<size_t>(c)] =
            size *
            SealedCaches::key(3 * theme, 0,
                              c / SealedCaches::kHeadDim / SealedCaches::kGroup * SealedCaches::kHeadDim +
                                  c % SealedCaches::kHeadDim);
    return q;
  }

  // Holds `tokens` and has begun a step of `rows` more.
  std::unique_ptr<KvCache> stepping(uint32_t tokens, uint32_t rows) {
    auto cache = caches_.make();
    caches_.append(*cache, tokens);
    caches_.begin(*cache, rows);
    return cache;
  }

  std::vector<float> attend(KvCache& cache, Selection& selection, const std::vector<float>& q,
                            ThreadPool& threads) {
    const auto rows = static_cast<int64_t>(q.size()) / kWidth;
    std::vector<float> out(q.size());
    const MatrixRef<const float> in(q.data(), rows, kWidth);
    selection.begin_step(cache);
    const Plans& plans = selection.plans(0, in, threads);
    ops::paged_attention(in, kQHeads, plans.layer, plans.heads, plans.rest,
                         1.0f / std::sqrt(static_cast<float>(SealedCaches::kHeadDim)),
                         {out.data(), rows, kWidth}, threads);
    return out;
  }

  static RetrievalPolicy policy(float threshold) {
    RetrievalPolicy p;
    p.rule.threshold = threshold;
    p.min_sealed = 0;
    p.dense_share = 1.0f;
    return p;
  }

  SealedCaches caches_{200};
};

TEST_F(Resv, EverythingChosenIsDenseAttentionBitForBit) {
  auto cache = caches_.make();
  caches_.append(*cache, 300);
  ThreadPool three(3);
  RetrievalPolicy all = policy(0.5f);
  all.everything = true;
  for (const uint32_t rows : {1u, 10u, 65u}) {
    caches_.begin(*cache, rows);
    WindowSelection dense;
    ResvSelection resv(all, SealedCaches::kLayers), whole_mass(policy(1.0f), SealedCaches::kLayers);
    const std::vector<float> q = queries(rows, 1), want = attend(*cache, dense, q, caches_.threads);
    EXPECT_EQ(attend(*cache, resv, q, caches_.threads), want);
    EXPECT_EQ(attend(*cache, resv, q, three), want);
    EXPECT_EQ(attend(*cache, whole_mass, q, three), want);
    EXPECT_EQ(resv.stats()[0].retrieved, 2.0);
    cache->commit();
  }
}

TEST_F(Resv, ChoosesLittleAndStaysCloseToDense) {
  auto cache = stepping(600, 5);
  WindowSelection dense;
  const std::vector<float> q = queries(5, 2);
  const std::vector<float> want = attend(*cache, dense, q, caches_.threads);
  ResvSelection resv(policy(0.95f), SealedCaches::kLayers);
  const std::vector<float> got = attend(*cache, resv, q, caches_.threads);
  EXPECT_LT(resv.stats()[0].retrieved, 0.5);
  EXPECT_GT(resv.stats()[0].retrieved, 0.05);
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], want[i], 60.0f);  // values are positions up to 605
  for (size_t head = 0; head < SealedCaches::kKvHeads; ++head)
    EXPECT_EQ(find_violation(*cache, resv.attended(head)), "");
  ThreadPool three(3);
  ResvSelection again(policy(0.95f), SealedCaches::kLayers);
  EXPECT_EQ(attend(*cache, again, q, three), got);
}

TEST_F(Resv, EstimatesComeCloserToDense) {
  auto cache = stepping(600, 5);
  WindowSelection dense;
  const std::vector<float> q = queries(5, 2, 0.5f);
  const std::vector<float> want = attend(*cache, dense, q, caches_.threads);
  const auto distance = [&](bool estimate) {
    RetrievalPolicy chosen = policy(0.8f);
    chosen.estimate = estimate;
    ResvSelection resv(chosen, SealedCaches::kLayers);
    const std::vector<float> got = attend(*cache, resv, q, caches_.threads);
    EXPECT_LT(resv.stats()[0].retrieved, 0.9);
    double sum = 0;
    for (size_t i = 0; i < got.size(); ++i) sum += std::abs(double{got[i]} - double{want[i]});
    return sum / static_cast<double>(got.size());
  };
  EXPECT_LT(distance(true), 0.3 * distance(false));
}

TEST_F(Resv, EstimatesAreTheSameOnAnyNumberOfThreads) {
  auto cache = stepping(600, 40);  // more rows than one unit of attention takes
  const std::vector<float> q = queries(40, 2, 0.5f);
  ThreadPool three(3);
  ResvSelection one(policy(0.8f), SealedCaches::kLayers), other(policy(0.8f), SealedCaches::kLayers);
  EXPECT_EQ(attend(*cache, one, q, caches_.threads), attend(*cache, other, q, three));
}

TEST_F(Resv, TheCapHolds) {
  auto cache = stepping(600, 3);
  RetrievalPolicy capped = policy(0.99f);
  capped.rule.max_tokens = 40;
  ResvSelection resv(capped, SealedCaches::kLayers);
  attend(*cache, resv, queries(3, 1, 0.1f), caches_.threads);
  EXPECT_LE(resv.stats()[0].retrieved * cache->sealed(), 40.0);
  EXPECT_GT(resv.stats()[0].retrieved, 0.0);
}

TEST_F(Resv, AFlatLayerFallsBackToDenseAndRests) {
  auto cache = stepping(600, 2);
  RetrievalPolicy careful = policy(0.99f);
  careful.dense_share = 0.5f;
  careful.estimate = false;
  ResvSelection resv(careful, SealedCaches::kLayers);
  WindowSelection dense;
  const std::vector<float> flat = queries(2, 1, 0.001f);
  const std::vector<float> want = attend(*cache, dense, flat, caches_.threads);
  EXPECT_EQ(attend(*cache, resv, flat, caches_.threads), want);
  const uint64_t spent = resv.prediction_ns();
  EXPECT_EQ(attend(*cache, resv, flat, caches_.threads), want);
  EXPECT_EQ(resv.prediction_ns(), spent);
  EXPECT_EQ(resv.stats()[0].dense, 2u);
  EXPECT_EQ(find_violation(*cache, resv.attended(0)), "");
}

TEST_F(Resv, AFlatLayerIsEstimatedAndAttendsLittle) {
  auto cache = stepping(600, 2);
  ResvSelection resv(policy(0.95f), SealedCaches::kLayers);
  WindowSelection dense;
  const std::vector<float> flat = queries(2, 1, 0.001f);
  const std::vector<float> want = attend(*cache, dense, flat, caches_.threads);
  const std::vector<float> got = attend(*cache, resv, flat, caches_.threads);
  EXPECT_EQ(resv.stats()[0].retrieved, 0.0);
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], want[i], 1.0f);  // means of up to 605, in 8 bits
}

TEST_F(Resv, FewSealedTokensAreAllAttended) {
  auto cache = stepping(300, 1);
  RetrievalPolicy late = policy(0.5f);
  late.min_sealed = 1000;
  ResvSelection resv(late, SealedCaches::kLayers);
  WindowSelection dense;
  EXPECT_EQ(attend(*cache, resv, queries(1, 1), caches_.threads),
            attend(*cache, dense, queries(1, 1), caches_.threads));
  EXPECT_EQ(resv.prediction_ns(), 0u);
}

TEST_F(Resv, EveryStepOfAStreamKeepsTheInvariants) {
  auto cache = caches_.make(320);
  ResvSelection resv(policy(0.8f), SealedCaches::kLayers);
  std::mt19937 random(1);
  for (int step = 0; step < 300; ++step) {
    const uint32_t rows = random() % 12 + 1;
    caches_.begin(*cache, rows);
    attend(*cache, resv, queries(rows, random() % 5), caches_.threads);
    for (size_t head = 0; head < SealedCaches::kKvHeads; ++head)
      ASSERT_EQ(find_violation(*cache, resv.attended(head)), "") << "step " << step;
    cache->commit();
  }
  EXPECT_GT(cache->evicted(), 0u);
  EXPECT_LT(resv.stats()[0].retrieved, 0.9 * static_cast<double>(resv.stats()[0].steps));
}

TEST_F(Resv, TheValidatorSeesAWrongPlan) {
  auto cache = stepping(200, 2);
  std::vector<ops::Extent> all;
  cache->add_extents(0, 202, all);
  EXPECT_EQ(find_violation(*cache, all), "");
  std::vector<ops::Extent> twice = all, missing = all, late = all;
  twice.insert(twice.begin(), all[2]);
  EXPECT_EQ(find_violation(*cache, twice), "a token is attended twice");
  missing.erase(missing.begin());
  EXPECT_EQ(find_violation(*cache, missing), "a resident token is not attended");
  std::swap(late.front(), late.back());
  EXPECT_EQ(find_violation(*cache, late), "the step's rows are not the last tokens attended");
}

TEST(UnattendedBound, IsNeverBelowTheTruth) {
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  constexpr int kDim = 8, kClusters = 12;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<float> q(kDim), scores(kClusters), radii(kClusters), masses(kClusters);
    std::vector<int32_t> counts(kClusters);
    std::vector<uint8_t> marks(kClusters);
    double squares = 0, outside = 0, attended = 1.0;
    for (float& x : q) {
      x = normal(random);
      squares += double{x} * x;
    }
    for (int c = 0; c < kClusters; ++c) {
      std::vector<float> mean(kDim);
      for (float& x : mean) x = normal(random);
      counts[c] = static_cast<int32_t>(random() % 5);
      marks[c] = random() % 2 == 0;
      for (int d = 0; d < kDim; ++d) scores[c] += q[d] * mean[d];
      for (int t = 0; t < counts[c]; ++t) {
        double apart = 0, score = 0;
        for (int d = 0; d < kDim; ++d) {
          const float off = 0.2f * normal(random);
          apart += double{off} * off;
          score += double{q[d]} * (mean[d] + off);
        }
        radii[c] = std::max(radii[c], static_cast<float>(std::sqrt(apart)) * 1.001f);
        (marks[c] != 0 ? attended : outside) += std::exp(score);
      }
    }
    const auto norm = static_cast<float>(std::sqrt(squares));
    const float resident_max = 0.0f, resident_sum = 1.0f;
    const double bound = unattended_bound({scores.data(), 1, kClusters}, counts.data(), radii.data(), &norm,
                                          &resident_max, &resident_sum, marks.data());
    EXPECT_GE(bound + 1e-6, outside / (outside + attended));
    EXPECT_LE(bound, 1.0);
  }
}

}  // namespace
}  // namespace ev::kv
