// Segments in a session file and slots in RAM: the same results as all in pages, within the cap.
#include <gtest/gtest.h>

#include <cerrno>
#include <cmath>
#include <random>
#include <thread>

#include "base/error.h"
#include "kv/invariants.h"
#include "kv/resv_selection.h"
#include "tests/kv/session_caches.h"

namespace ev::kv {
namespace {

using ev::testing::SessionCaches;

constexpr int kQHeads = SessionCaches::kKvHeads * SessionCaches::kGroup;
constexpr int64_t kWidth = kQHeads * SessionCaches::kHeadDim;
constexpr uint32_t kWindow = 16 + 10 * 32;      // 20 pages of segments at most
constexpr size_t kOneLayer = 28, kRoomy = 100;  // slots, of which the index takes seven

RetrievalPolicy policy(float threshold) {
  RetrievalPolicy p;
  p.rule.threshold = threshold;
  p.min_sealed = 64;
  p.dense_share = 0.8f;
  return p;
}

// One step as a decoder does it: all layers, queries drawn from `seed`. The attention of all layers.
std::vector<float> step(KvCache& cache, ResvSelection& selection, uint32_t seed, uint32_t rows,
                        ThreadPool& threads) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> all;
  selection.begin_step(cache);
  for (uint32_t layer = 0; layer < SessionCaches::kLayers; ++layer) {
    std::vector<float> q(rows * static_cast<size_t>(kWidth)), out(q.size());
    for (float& x : q) x = 2.0f * normal(random);
    const MatrixRef<const float> in(q.data(), rows, kWidth);
    const Plans& plans = selection.plans(layer, in, threads);
    for (size_t head = 0; head < SessionCaches::kKvHeads; ++head)
      EXPECT_EQ(find_violation(cache, layer, selection.attended(head)), "");
    ops::paged_attention(in, kQHeads, plans.layer, plans.heads, plans.rest,
                         1.0f / std::sqrt(static_cast<float>(SessionCaches::kHeadDim)),
                         {out.data(), rows, kWidth}, threads);
    all.insert(all.end(), out.begin(), out.end());
  }
  selection.end_step();
  return all;
}

class TiersOf : public ::testing::TestWithParam<ops::KvType> {};
INSTANTIATE_TEST_SUITE_P(Types, TiersOf, ::testing::Values(ops::KvType::kF16, ops::KvType::kI8));

TEST_P(TiersOf, ResultsAreThoseOfMemoryBitForBit) {
  for (const size_t slots : {kOneLayer, kRoomy}) {
    SessionCaches caches(200, GetParam());
    auto plain = caches.make(kWindow), tiered = caches.resume(kWindow, slots);
    ResvSelection a(policy(0.7f), SessionCaches::kLayers), b(policy(0.7f), SessionCaches::kLayers);
    for (uint32_t i = 0; i < 120; ++i) {
      const uint32_t rows = 1 + i * 7 % 12;
      caches.begin(*plain, rows);
      caches.begin(*tiered, rows);
      ASSERT_EQ(step(*plain, a, i, rows, caches.threads), step(*tiered, b, i, rows, caches.threads)) << i;
      plain->commit();
      tiered->commit();
      ASSERT_EQ(find_violation(*caches.pool, {plain.get(), tiered.get()}), "");
      ASSERT_EQ(tiered->slots()->stats().held, 0u);
    }
    EXPECT_GT(tiered->away().size(), 7u);
    EXPECT_LT(tiered->pages().size(), plain->pages().size() - 14);
    EXPECT_EQ(a.stats()[0].retrieved, b.stats()[0].retrieved);
    EXPECT_LT(a.stats()[0].dense, a.stats()[0].steps);
    const SlotStats stats = tiered->slots()->stats();
    EXPECT_LE(stats.resident, slots);
    if (slots == kRoomy) {
      EXPECT_GT(stats.hits, 5 * stats.reads);
    } else {
      EXPECT_GT(stats.hits, stats.reads / 10);  // least recently used alone would have none
    }
  }
}

TEST(Tiers, TheIndexCountsAgainstTheCap) {
  SessionCaches caches(200);
  auto cache = caches.resume(0, 4 * kRoomy);
  const uint64_t before = cache->slots()->stats().capacity;
  caches.append(*cache, 500);
  caches.append(*cache, 1);
  uint64_t index = 0;
  for (const SegmentPtr& segment : cache->segments()) index += segment->bytes();
  for (const CellPtr& cell : cache->away()) index += sizeof(Cell) + 8 * cell->index.sums.size();
  const uint64_t cost = SlotPool::slot_cost(caches.header());
  EXPECT_EQ(cache->slots()->stats().capacity, (before * cost - index) / cost);
}

TEST(Tiers, TooFewSlotsAreAnErrorThatLosesNothing) {
  SessionCaches caches(200);
  auto cache = caches.resume(0, 5);
  ResvSelection all(policy(1.0f), SessionCaches::kLayers);
  caches.append(*cache, 200);
  caches.begin(*cache, 3);
  try {
    step(*cache, all, 1, 3, caches.threads);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kOutOfMemory);
  }
  all.end_step();
  cache->rollback();
  EXPECT_EQ(find_violation(*caches.pool, {cache.get()}), "");
}

TEST(Tiers, ACapOnTokensHoldsWhateverTheCostModelSays) {
  SessionCaches caches(200);
  auto cache = caches.resume(0, kRoomy);
  RetrievalPolicy capped = policy(1.0f);
  capped.rule.max_tokens = 40;
  capped.min_sealed = 1000000;
  ResvSelection selection(capped, SessionCaches::kLayers);
  caches.append(*cache, 300);
  caches.begin(*cache, 3);
  step(*cache, selection, 1, 3, caches.threads);
  EXPECT_LE(selection.stats()[0].retrieved * cache->sealed(), 40.0);
  EXPECT_EQ(selection.stats()[0].dense, 0u);
}

TEST(Tiers, ALimitOnPagesKeepsAStepWithinItsSlots) {
  SessionCaches caches(200);
  auto cache = caches.resume(0, 10);
  RetrievalPolicy limited = policy(1.0f);
  limited.max_pages = 3;
  limited.min_sealed = 1000000;
  ResvSelection selection(limited, SessionCaches::kLayers);
  caches.append(*cache, 200);
  for (uint64_t seed = 1; seed < 6; ++seed) {
    caches.begin(*cache, 3);
    step(*cache, selection, seed, 3, caches.threads);
    cache->commit();
  }
  EXPECT_EQ(selection.stats()[0].dense, 0u);
  EXPECT_GT(selection.stats()[0].retrieved, 0.0);
  EXPECT_LE(cache->slots()->stats().resident, cache->slots()->stats().capacity);
}

TEST(Tiers, AForkReadsWhatItsParentHasDropped) {
  SessionCaches caches(200);
  auto cache = caches.resume(kWindow, kRoomy);
  caches.append(*cache, 250);
  caches.append(*cache, 1);
  auto fork = cache->fork();
  for (int i = 0; i < 40; ++i) caches.append(*cache, 20);
  EXPECT_GT(cache->evicted(), 251u);
  EXPECT_TRUE(SessionCaches::in_place(*fork));
  EXPECT_TRUE(SessionCaches::in_place(*cache));
  cache.reset();
  EXPECT_TRUE(SessionCaches::in_place(*fork));
  EXPECT_EQ(find_violation(*caches.pool, {fork.get()}), "");
}

TEST(Tiers, ASegmentThatIsAwayIsReopened) {
  SessionCaches caches(200);
  auto cache = caches.resume(0, kRoomy);
  caches.append(*cache, 250);
  caches.append(*cache, 1);
  const size_t segments = cache->away().size();
  auto fork = cache->fork();
  for (const uint64_t length : {200u, 131u, 112u, 80u, 10u}) {
    cache->truncate(length, caches.threads);
    ASSERT_EQ(find_violation(*caches.pool, {cache.get(), fork.get()}), "");
    ASSERT_TRUE(SessionCaches::in_place(*cache));
    EXPECT_EQ(cache->away().size(), length < 48 ? 0 : (length - 16) / 32);
    caches.append(*cache, static_cast<uint32_t>(251 - length));
    caches.append(*cache, 1);
    ASSERT_EQ(cache->away().size(), segments);
    ASSERT_TRUE(SessionCaches::in_place(*cache));
    cache->truncate(251, caches.threads);
  }
  EXPECT_TRUE(SessionCaches::in_place(*fork));
}

bool unreadable = false;

TEST(Tiers, AReadThatFailsFailsTheStepAlone) {
  SessionCaches caches(200);
  io::FileCalls calls;
  calls.pread = [](int fd, void* to, size_t n, off_t at) -> ssize_t {
    if (unreadable) {
      errno = EIO;
      return -1;
    }
    return ::pread(fd, to, n > 1000 ? 1000 : n, at);  // short reads are ordinary
  };
  auto cache = caches.resume(0, kRoomy, calls);
  ResvSelection selection(policy(0.9f), SessionCaches::kLayers);
  caches.append(*cache, 300);
  caches.begin(*cache, 3);
  unreadable = true;
  EXPECT_THROW(step(*cache, selection, 1, 3, caches.threads), Error);
  unreadable = false;
  selection.end_step();
  cache->rollback();
  EXPECT_EQ(find_violation(*caches.pool, {cache.get()}), "");
  EXPECT_EQ(cache->slots()->stats().held, 0u);
  caches.begin(*cache, 3);
  step(*cache, selection, 1, 3, caches.threads);
  cache->commit();
  EXPECT_EQ(find_violation(*caches.pool, {cache.get()}), "");
}

TEST(Tiers, SequencesShareFewSlotsAcrossThreads) {
  SessionCaches caches(200);
  auto cache = caches.resume(kWindow, kOneLayer);
  for (int i = 0; i < 4; ++i) caches.append(*cache, 80);
  std::vector<std::unique_ptr<KvCache>> forks;
  for (int i = 0; i < 3; ++i) forks.push_back(cache->fork());
  std::vector<std::vector<float>> results(forks.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < forks.size(); ++i) {
    caches.begin(*forks[i], 4);
    threads.emplace_back([&, i] {
      ThreadPool own(1);
      for (uint32_t round = 0; round < 20; ++round) {
        ResvSelection selection(policy(0.9f), SessionCaches::kLayers);
        results[i] = step(*forks[i], selection, round, 4, own);
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
  EXPECT_EQ(cache->slots()->find_violation(), "");
  EXPECT_EQ(cache->slots()->stats().held, 0u);
}

}  // namespace
}  // namespace ev::kv
