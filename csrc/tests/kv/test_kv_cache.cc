// Random lives of many caches on one pool, under the invariant validator; forks, windows, a full pool.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "base/error.h"
#include "kv/cache.h"
#include "kv/invariants.h"
#include "kv/page_rows.h"
#include "ops/kv_pages.h"
#include "ops/rope.h"

namespace ev::kv {
namespace {

constexpr int kPageSize = 16;
constexpr int kHeads = 2;
constexpr int kHeadDim = 4;
constexpr int64_t kCols = kHeads * kHeadDim;

PageLayout small_layout() {
  PageLayout layout;
  layout.shape.page_size = kPageSize;
  layout.shape.num_kv_heads = kHeads;
  layout.shape.head_dim = kHeadDim;
  layout.n_layers = 2;
  return layout;
}

KeyRotation rotation() {
  return {ops::rope_inv_freq(kHeadDim, 100.0, nullptr), ops::RopeLayout::kInterleaved};
}

class KvCacheTest : public ::testing::Test {
 protected:
  std::unique_ptr<KvCache> make(const WindowPolicy& window = {}) {
    return std::make_unique<KvCache>(pool_, window, rotation());
  }

  // Appends tokens whose values say who they are: layer 0, v[0] = mark + index.
  void append(KvCache& cache, uint32_t rows, float mark) {
    cache.begin_append(rows, threads_);
    std::vector<float> k(rows * kCols, 1.0f), v(rows * kCols);
    for (uint32_t i = 0; i < rows; ++i) v[i * kCols] = mark + static_cast<float>(i);
    std::vector<ops::Extent> slots;
    cache.add_extents(cache.kept(), rows, slots);
    ops::kv_append(cache.layout().layer(0), {k.data(), rows, kCols}, {v.data(), rows, kCols}, slots,
                   threads_);
    cache.commit();
  }

  float mark_of(const KvCache& cache, uint32_t token) {
    std::vector<ops::Extent> at;
    cache.add_extents(token, 1, at);
    const ops::KvLayer layer = cache.layout().layer(0);
    std::vector<float> memory(kPageSize * kCols);
    const MatrixRef<float> rows(memory.data(), kPageSize, kCols);
    read_values(layer, static_cast<const uint8_t*>(at[0].page), rows);
    return rows.row(at[0].first)[0];
  }

  ThreadPool threads_{1};
  std::shared_ptr<PagePool> pool_ = std::make_shared<PagePool>(small_layout(), 24);
};

TEST_F(KvCacheTest, AForkSharesPagesUntilOneOfTheTwoWrites) {
  auto a = make();
  append(*a, kPageSize + 3, 100);
  auto b = a->fork();
  EXPECT_EQ(pool_->stats().used, 2u);
  append(*b, 2, 500);
  EXPECT_EQ(pool_->stats().used, 3u);  // the tail only
  append(*a, 2, 700);
  EXPECT_EQ(find_violation(*pool_, {a.get(), b.get()}), "");
  for (uint32_t i = 0; i < kPageSize; ++i) EXPECT_EQ(mark_of(*a, i), mark_of(*b, i));
  EXPECT_EQ(mark_of(*a, kPageSize + 2), 100.0f + kPageSize + 2);
  EXPECT_EQ(mark_of(*a, kPageSize + 3), 700.0f);
  EXPECT_EQ(mark_of(*b, kPageSize + 3), 500.0f);
  a.reset();
  b.reset();
  EXPECT_EQ(pool_->stats().used, 0u);
}

TEST_F(KvCacheTest, AWindowKeepsSinksAndNewest) {
  const WindowPolicy window{5 * kPageSize, kPageSize};
  auto cache = make(window);
  for (int step = 0; step < 40; ++step) append(*cache, 7, static_cast<float>(7 * step));
  EXPECT_EQ(find_violation(*pool_, {cache.get()}), "");
  EXPECT_EQ(cache->length(), 280u);
  EXPECT_LE(cache->kept(), window.tokens);
  EXPECT_GT(cache->kept() + kPageSize, window.tokens);  // no more than due was dropped
  for (uint32_t i = 0; i < window.sinks; ++i) EXPECT_EQ(mark_of(*cache, i), static_cast<float>(i));
  for (uint32_t i = window.sinks; i < cache->kept(); ++i)
    EXPECT_EQ(mark_of(*cache, i), static_cast<float>(cache->evicted() + i));
}

TEST_F(KvCacheTest, AFullPoolLeavesTheCacheAsItWas) {
  auto a = make();
  auto b = make();
  append(*a, 20 * kPageSize, 0);
  append(*b, 3 * kPageSize + 1, 0);
  try {
    b->begin_append(kPageSize, threads_);
    FAIL() << "the pool has no page left";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kOutOfMemory);
  }
  EXPECT_EQ(b->length(), 3u * kPageSize + 1);
  EXPECT_EQ(find_violation(*pool_, {a.get(), b.get()}), "");
  append(*b, kPageSize - 1, 0);  // what the tail page holds still fits
  EXPECT_THROW(a->fork()->begin_append(kPageSize, threads_), Error);
  EXPECT_EQ(find_violation(*pool_, {a.get(), b.get()}), "");
}

TEST_F(KvCacheTest, TruncationRefusesWhatTheWindowDropped) {
  auto cache = make({4 * kPageSize, kPageSize});
  for (int i = 0; i < 10; ++i) append(*cache, kPageSize, 0);
  EXPECT_THROW(cache->truncate(cache->evicted() + kPageSize - 1, threads_), Error);
  EXPECT_THROW(cache->truncate(cache->length() + 1, threads_), Error);
  cache->truncate(cache->evicted() + kPageSize, threads_);
  EXPECT_EQ(cache->kept(), static_cast<uint32_t>(kPageSize));
  EXPECT_EQ(find_violation(*pool_, {cache.get()}), "");
  cache->truncate(0, threads_);
  EXPECT_EQ(pool_->stats().used, 0u);
}

TEST_F(KvCacheTest, ImpossibleWindowsAreRefused) {
  EXPECT_THROW(make({2 * kPageSize, kPageSize}), Error);
  EXPECT_THROW(make({10 * kPageSize, kPageSize + 1}), Error);
  auto cache = make({4 * kPageSize, kPageSize});
  EXPECT_THROW(cache->begin_append(cache->max_step() + 1, threads_), Error);
}

// One random step of one of several caches; returns what was done, for the failure message.
std::string random_step(std::mt19937& random, std::vector<std::unique_ptr<KvCache>>& caches,
                        ThreadPool& threads) {
  const auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  const size_t pick = below(caches.size());
  KvCache& cache = *caches[pick];
  switch (below(24)) {
    case 0:
      if (caches.size() < 6) caches.push_back(cache.fork());
      return "fork";
    case 1:
      if (caches.size() > 2) caches.erase(caches.begin() + static_cast<std::ptrdiff_t>(pick));
      return "drop";
    case 2: {
      const uint64_t least = cache.evicted() == 0 ? 0 : cache.evicted() + cache.window().sinks;
      cache.truncate(least + below(cache.length() - least + 1), threads);
      return "truncate";
    }
    case 3: cache.truncate(0, threads); return "clear";
    default:
      try {
        cache.begin_append(static_cast<uint32_t>(below(std::min(cache.max_step(), 40u)) + 1), threads);
        if (below(4) == 0)
          cache.rollback();
        else
          cache.commit();
      } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::kOutOfMemory);
        cache.truncate(0, threads);
        return "full";
      }
      return "append";
  }
}

TEST_F(KvCacheTest, TheInvariantsHoldAfterEveryRandomStep) {
  std::mt19937 random(7);
  std::vector<std::unique_ptr<KvCache>> caches;
  caches.push_back(make());
  caches.push_back(make({6 * kPageSize, kPageSize}));
  caches.push_back(make({4 * kPageSize, 0}));
  int full = 0, slid = 0;
  for (int step = 0; step < 1000000; ++step) {
    const std::string what = random_step(random, caches, threads_);
    std::vector<const KvCache*> all;
    for (const auto& cache : caches) all.push_back(cache.get());
    ASSERT_EQ(find_violation(*pool_, all), "") << "after step " << step << ": " << what;
    full += what == "full";
    slid += std::any_of(all.begin(), all.end(), [](const KvCache* c) { return c->evicted() != 0; });
  }
  EXPECT_GT(full, 1000);
  EXPECT_GT(slid, 100000);
  caches.clear();
  EXPECT_EQ(pool_->stats().used, 0u);
}

TEST_F(KvCacheTest, TheValidatorSeesAMissingOwner) {
  auto a = make();
  auto b = make();
  append(*a, 20, 0);
  append(*b, 20, 0);
  EXPECT_EQ(find_violation(*pool_, {a.get(), b.get()}), "");
  EXPECT_NE(find_violation(*pool_, {a.get()}), "");                    // pages with an owner nobody lists
  EXPECT_NE(find_violation(*pool_, {a.get(), b.get(), b.get()}), "");  // listed more often than owned
}

}  // namespace
}  // namespace ev::kv
