#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <numeric>

#include "base/error.h"

namespace ev {
namespace {

using Range = std::pair<int64_t, int64_t>;

// The ranges a loop was cut into, in order.
std::vector<Range> cut(ThreadPool& pool, int64_t n, int64_t grain) {
  std::mutex mutex;
  std::vector<Range> ranges;
  pool.parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    const std::lock_guard<std::mutex> lock(mutex);
    ranges.emplace_back(begin, end);
  });
  std::sort(ranges.begin(), ranges.end());
  return ranges;
}

TEST(ThreadPool, CoversEveryIndexOnceInRangesOfAtLeastTheGrain) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (const int64_t n : {0, 1, 2, 7, 31, 32, 33, 1000})
      for (const int64_t grain : {1, 2, 10, 5000}) {
        const std::vector<Range> ranges = cut(pool, n, grain);
        EXPECT_LE(ranges.size(), 4u * static_cast<size_t>(threads));
        int64_t next = 0;
        for (const auto& [begin, end] : ranges) {
          EXPECT_EQ(begin, next);
          EXPECT_GE(end - begin, std::min(grain, n));
          next = end;
        }
        EXPECT_EQ(next, n);
      }
  }
}

TEST(ThreadPool, CutsTheSameLoopTheSameWay) {
  ThreadPool pool(3);
  const std::vector<Range> first = cut(pool, 1001, 7);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(cut(pool, 1001, 7), first);
}

TEST(ThreadPool, SurvivesManyShortLoopsFromSeveralThreads) {
  ThreadPool pool(4);
  constexpr int kLoops = 3000;
  std::vector<std::thread> callers;
  std::vector<int64_t> wrong(4, 0);
  for (size_t c = 0; c < wrong.size(); ++c)
    callers.emplace_back([&pool, &bad = wrong[c], c] {
      for (int i = 0; i < kLoops; ++i) {
        const int64_t n = 1 + (i * 7 + static_cast<int>(c)) % 50;
        std::vector<int64_t> hits(static_cast<size_t>(n), 0);
        pool.parallel_for(n, 1, [&](int64_t begin, int64_t end) {
          for (int64_t j = begin; j < end; ++j) hits[static_cast<size_t>(j)] += j;
        });
        bad += std::accumulate(hits.begin(), hits.end(), int64_t{0}) != n * (n - 1) / 2;
      }
    });
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(wrong, std::vector<int64_t>(4, 0));
}

TEST(ThreadPool, WakesAfterSleep) {
  ThreadPool pool(2);
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // beyond the spin
    std::atomic<int64_t> sum{0};
    pool.parallel_for(100, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    EXPECT_EQ(sum.load(), 100);
  }
}

TEST(ThreadPool, RunsNestedLoopsInline) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum{0};
  pool.parallel_for(8, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      pool.parallel_for(10, 1, [&](int64_t b, int64_t e) { sum += e - b; });
  });
  EXPECT_EQ(sum.load(), 80);
}

TEST(ThreadPool, PassesExceptionsToTheCallerAndStaysUsable) {
  ThreadPool pool(3);
  for (int i = 0; i < 100; ++i) {
    const auto fail = [](int64_t begin, int64_t) {
      if (begin > 0) throw Error(ErrorCode::kInternal, "on purpose");
    };
    EXPECT_THROW(pool.parallel_for(10, 1, fail), Error);
    std::atomic<int64_t> sum{0};
    pool.parallel_for(10, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    EXPECT_EQ(sum.load(), 10);
  }
}

TEST(ThreadPool, CostsNoCpuWhenIdle) {
  ThreadPool pool(4);
  pool.parallel_for(100, 1, [](int64_t, int64_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.02);
}

// ThreadSanitizer does not follow a threaded process through fork.
#if !defined(__SANITIZE_THREAD__)
TEST(ThreadPool, WorksInTheChildOfAFork) {
  auto pool = std::make_unique<ThreadPool>(3);
  pool->parallel_for(10, 1, [](int64_t, int64_t) {});
  const pid_t child = fork();
  if (child == 0) {
    int64_t sum = 0;
    pool->parallel_for(10, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    pool.reset();
    _exit(sum == 10 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

TEST(ThreadPool, RefusesAbsurdSizes) {
  EXPECT_THROW(ThreadPool(-1), Error);
  EXPECT_THROW(ThreadPool(ThreadPool::kMaxThreads + 1), Error);
  EXPECT_GE(ThreadPool(0).num_threads(), 1);
}

}  // namespace
}  // namespace ev
