// Segments hold the tokens they should, in the order they say, whatever the steps, forks and truncations.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "base/error.h"
#include "kv/invariants.h"
#include "tests/kv/sealed_cache.h"

namespace ev::kv {
namespace {

using ev::testing::SealedCaches;

TEST(Sealing, SealsWhatIsNoLongerRecent) {
  SealedCaches caches;
  auto cache = caches.make();
  caches.append(*cache, SealedCaches::kSinks + SealedCaches::kSegment + SealedCaches::kRecent - 1);
  caches.append(*cache, 1);
  EXPECT_EQ(cache->sealed(), 0u);  // sealing happens when a step begins
  caches.append(*cache, 1);
  EXPECT_EQ(cache->sealed(), SealedCaches::kSegment);
  caches.append(*cache, 200);
  caches.append(*cache, 1);
  EXPECT_EQ(cache->sealed(), (cache->kept() - 1 - SealedCaches::kSinks - SealedCaches::kRecent) /
                                 SealedCaches::kSegment * SealedCaches::kSegment);
  EXPECT_EQ(find_violation(*caches.pool, {cache.get()}), "");
  EXPECT_TRUE(SealedCaches::in_place(*cache));
  const LayerClusters& layer = cache->segments()[1]->layers[0];
  EXPECT_GE(layer.summaries.clusters, 2);
  EXPECT_LE(layer.summaries.clusters, 12);
  EXPECT_FALSE(std::is_sorted(layer.order.begin(), layer.order.end()));
}

TEST(Sealing, AnyCutOfTheStreamGivesTheSameClusters) {
  SealedCaches caches(200);
  auto whole = caches.make();
  caches.append(*whole, 400);
  caches.append(*whole, 1);
  for (const uint32_t step : {1u, 7u, 10u, 64u, 133u}) {
    auto cut = caches.make();
    while (cut->length() < 401)
      caches.append(*cut, std::min<uint32_t>(step, static_cast<uint32_t>(401 - cut->length())));
    ASSERT_GE(cut->segments().size(), whole->segments().size() - 1);
    for (size_t i = 0; i < std::min(cut->segments().size(), whole->segments().size()); ++i)
      for (uint32_t l = 0; l < SealedCaches::kLayers; ++l) {
        const LayerClusters &a = cut->segments()[i]->layers[l], &b = whole->segments()[i]->layers[l];
        ASSERT_EQ(a.order, b.order);
        ASSERT_EQ(a.begin, b.begin);
        ASSERT_EQ(a.summaries.means, b.summaries.means);
        ASSERT_EQ(a.summaries.radii, b.summaries.radii);
        ASSERT_EQ(a.mean, b.mean);
      }
  }
}

TEST(Sealing, ACutSegmentIsReopenedAndSealsAgainAlike) {
  SealedCaches caches;
  auto cache = caches.make();
  caches.append(*cache, 200);
  caches.append(*cache, 10);
  auto fork = cache->fork();
  const std::vector<SegmentPtr> before = cache->segments();
  ASSERT_GE(before.size(), 4u);
  cache->truncate(SealedCaches::kSinks + SealedCaches::kSegment + 5, caches.threads);
  EXPECT_EQ(cache->segments().size(), 1u);
  EXPECT_TRUE(SealedCaches::in_place(*cache));
  EXPECT_TRUE(SealedCaches::in_place(*fork));
  EXPECT_EQ(find_violation(*caches.pool, {cache.get(), fork.get()}), "");
  caches.append(*cache, static_cast<uint32_t>(fork->length() - cache->length()));
  caches.append(*cache, 1);
  EXPECT_EQ(cache->segments()[0], before[0]);
  EXPECT_NE(cache->segments()[1], before[1]);
  EXPECT_EQ(cache->segments()[1]->layers[0].order, before[1]->layers[0].order);
  EXPECT_EQ(cache->segments()[1]->layers[1].summaries.means, before[1]->layers[1].summaries.means);
  cache->truncate(SealedCaches::kSinks + SealedCaches::kSegment, caches.threads);
  EXPECT_EQ(cache->segments().size(), 1u);
  cache->truncate(0, caches.threads);
  EXPECT_TRUE(cache->segments().empty());
}

TEST(Sealing, TheWindowDropsWholeSegments) {
  SealedCaches caches;
  auto cache = caches.make(160);
  for (int i = 0; i < 60; ++i) {
    caches.append(*cache, 9);
    ASSERT_EQ(find_violation(*caches.pool, {cache.get()}), "");
    ASSERT_LE(cache->kept(), 160u);
    EXPECT_TRUE(SealedCaches::in_place(*cache));
  }
  EXPECT_GT(cache->evicted(), 0u);
  EXPECT_EQ(cache->evicted() % SealedCaches::kSegment, 0u);
  EXPECT_FALSE(cache->segments().empty());
  EXPECT_THROW(caches.make(SealedCaches::kSinks + 2 * SealedCaches::kSegment - 1), Error);
}

TEST(Sealing, WaitsWhenThePoolHasNoPagesToSpare) {
  SealedCaches caches(6);
  auto cache = caches.make();
  caches.append(*cache, 6 * SealedCaches::kPageSize - 1);
  caches.append(*cache, 1);
  EXPECT_EQ(cache->sealed(), 0u);
  EXPECT_EQ(find_violation(*caches.pool, {cache.get()}), "");
  EXPECT_THROW(caches.append(*cache, 1), Error);
  cache->truncate(4 * SealedCaches::kPageSize + 10, caches.threads);
  EXPECT_THROW(caches.make()->begin_append(6 * SealedCaches::kPageSize, caches.threads), Error);
  EXPECT_EQ(find_violation(*caches.pool, {cache.get()}), "");
  EXPECT_TRUE(SealedCaches::in_place(*cache));
}

TEST(Sealing, NoPageToReopenASegmentDropsNothing) {
  SealedCaches caches(10);
  auto cache = caches.make();
  caches.append(*cache, 100);
  caches.append(*cache, 1);
  ASSERT_EQ(cache->segments().size(), 2u);
  auto other = caches.make();
  caches.append(*other, 3 * SealedCaches::kPageSize);
  EXPECT_THROW(cache->truncate(SealedCaches::kSinks + SealedCaches::kSegment + 1, caches.threads), Error);
  EXPECT_EQ(cache->length(), 101u);
  EXPECT_EQ(find_violation(*caches.pool, {cache.get(), other.get()}), "");
  EXPECT_TRUE(SealedCaches::in_place(*cache));
}

TEST(Sealing, ClustersAreBoundedOverManySegments) {
  constexpr uint32_t kMean = 16;
  SealedCaches caches(400);
  SealPolicy policy = caches.sealer->policy();
  policy.rule = {0, SealedCaches::kSegment};  // nothing joins before it must
  policy.mean_clusters = kMean;
  caches.sealer = std::make_shared<Sealer>(policy, caches.pool->layout(), SealedCaches::rotation());
  auto cache = caches.make();
  for (int i = 0; i < 30; ++i) caches.append(*cache, SealedCaches::kSegment);
  const auto clusters = [&](size_t i) { return cache->segments()[i]->layers[0].summaries.clusters; };
  uint32_t total = 0;
  for (size_t i = 0; i < cache->segments().size(); ++i) {
    total += static_cast<uint32_t>(cache->segments()[i]->layers[0].summaries.stride);
    EXPECT_LE(total, (i + 1 + kMostSaved) * kMean);
  }
  EXPECT_EQ(clusters(0), static_cast<int32_t>(SealedCaches::kSegment));
  EXPECT_EQ(clusters(20), static_cast<int32_t>(kMean));
  auto window = caches.make(320);  // past the stream's beginning nothing is taken for saved
  for (int i = 0; i < 60; ++i) caches.append(*window, SealedCaches::kSegment);
  EXPECT_GT(window->evicted(), 0u);
  for (const SegmentPtr& segment : window->segments())
    EXPECT_EQ(segment->layers[1].summaries.clusters, static_cast<int32_t>(kMean));
}

TEST(Sealing, ImpossibleSegmentsAreRefused) {
  const SealedCaches caches;
  SealPolicy policy;
  for (const uint32_t segment : {0u, 24u, 65536u + 16u}) {
    policy.segment = segment;
    EXPECT_THROW(Sealer(policy, caches.pool->layout(), SealedCaches::rotation()), Error);
  }
  policy.segment = SealedCaches::kSegment;
  policy.mean_clusters = 8;
  EXPECT_THROW(Sealer(policy, caches.pool->layout(), SealedCaches::rotation()), Error);
}

// EDGEVID_SOAK_STEPS=1000000 runs the long form.
int random_steps() {
  const char* steps = std::getenv("EDGEVID_SOAK_STEPS");
  return steps != nullptr ? std::atoi(steps) : 1500;
}

class SealingLife : public ::testing::TestWithParam<ops::KvType> {};
INSTANTIATE_TEST_SUITE_P(Types, SealingLife, ::testing::Values(ops::KvType::kF16, ops::KvType::kI8));

TEST_P(SealingLife, TheInvariantsHoldAfterEveryRandomStep) {
  SealedCaches caches(40, GetParam());
  std::mt19937 random(5);
  const auto below = [&](uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random); };
  std::vector<std::unique_ptr<KvCache>> all;
  all.push_back(caches.make());
  all.push_back(caches.make(160));
  int sealed = 0, full = 0;
  for (int step = 0; step < random_steps(); ++step) {
    const size_t pick = below(all.size());
    KvCache& cache = *all[pick];
    try {
      switch (below(20)) {
        case 0:
          if (all.size() < 4) all.push_back(cache.fork());
          break;
        case 1:
          if (all.size() > 2) all.erase(all.begin() + static_cast<std::ptrdiff_t>(pick));
          break;
        case 2: {
          const uint64_t least = cache.evicted() == 0 ? 0 : cache.evicted() + cache.window().sinks;
          cache.truncate(least + below(cache.length() - least + 1), caches.threads);
          break;
        }
        default:
          caches.begin(cache, static_cast<uint32_t>(below(std::min(cache.max_step(), 40u)) + 1));
          below(5) == 0 ? cache.rollback() : cache.commit();
      }
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), ErrorCode::kOutOfMemory);
      cache.truncate(0, caches.threads);
      ++full;
    }
    std::vector<const KvCache*> list;
    for (const auto& c : all) list.push_back(c.get());
    ASSERT_EQ(find_violation(*caches.pool, list), "") << "after step " << step;
    for (const KvCache* c : list) {
      sealed += c->sealed() > 0;
      if (step % 50 == 0) {
        ASSERT_TRUE(SealedCaches::in_place(*c));
      }
    }
  }
  EXPECT_GT(sealed, random_steps() / 10);
  EXPECT_GT(full, 0);
  all.clear();
  EXPECT_EQ(caches.pool->stats().used, 0u);
}

}  // namespace
}  // namespace ev::kv
