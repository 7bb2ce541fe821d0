// Random lives of a session: steps, forks, texts taken back, saves, ends and resumes, while the disk fills
// up, reads come short and memory runs out. The validator sees every state.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <new>
#include <random>

#include "base/error.h"
#include "kv/invariants.h"
#include "kv/resv_selection.h"
#include "tests/kv/failing_memory.h"
#include "tests/kv/session_caches.h"

namespace ev::kv {
namespace {

using ev::testing::FailingMemory;
using ev::testing::SessionCaches;

// EDGEVID_SOAK_STEPS=1000000 runs the long form.
int random_steps() {
  const char* steps = std::getenv("EDGEVID_SOAK_STEPS");
  return steps != nullptr ? std::atoi(steps) : 2000;
}

std::mt19937 disk(1);
bool disk_may_fill = false;

io::FileCalls unreliable_disk() {
  io::FileCalls calls;
  calls.pread = [](int fd, void* to, size_t n, off_t at) {
    return ::pread(fd, to, n > 64 ? n - disk() % 64 : n, at);
  };
  calls.pwrite = [](int fd, const void* from, size_t n, off_t at) -> ssize_t {
    if (!disk_may_fill || disk() % 30 != 0) return ::pwrite(fd, from, n > 64 ? n - disk() % 64 : n, at);
    errno = ENOSPC;
    return -1;
  };
  return calls;
}

class SessionLife {
 public:
  SessionLife(size_t slots, ops::KvType type) : caches_(48, type), slots_(slots) { resume(); }

  void step() {
    disk_may_fill = below(4) == 0;
    const int allocations = below(8) == 0 ? static_cast<int>(below(60)) : -1;
    KvCache* cache = below(40) == 0 ? nullptr : all_[below(all_.size())].get();
    try {
      const FailingMemory failing(allocations);
      cache == nullptr ? resume() : act(*cache);
    } catch (const std::bad_alloc&) {
      ++out_of_memory;
    } catch (const Error& e) {
      ASSERT_TRUE(e.code() == ErrorCode::kOutOfMemory || e.code() == ErrorCode::kIo) << e.what();
      e.code() == ErrorCode::kIo ? ++disk_full : ++pool_full;
      if (e.code() == ErrorCode::kOutOfMemory && cache != nullptr) cache->truncate(0, caches_.threads);
    }
    for (const auto& any : all_)
      if (any->pending() > 0) any->rollback();
    disk_may_fill = false;
    check();
  }

  void check() const {
    std::vector<const KvCache*> list;
    for (const auto& cache : all_) list.push_back(cache.get());
    ASSERT_EQ(find_violation(*caches_.pool, list), "");
  }

  void check_tokens() const {
    for (const auto& cache : all_) ASSERT_TRUE(SessionCaches::in_place(*cache));
  }

  int out_of_memory = 0, disk_full = 0, pool_full = 0, resumed = 0;

 private:
  void act(KvCache& cache) {
    switch (below(24)) {
      case 0:
        if (all_.size() < 3) all_.push_back(cache.fork());
        break;
      case 1:
        if (all_.size() > 1) all_.pop_back();
        break;
      case 2: {
        const uint64_t least = cache.evicted() == 0 ? 0 : cache.evicted() + cache.window().sinks;
        cache.truncate(least + below(cache.length() - least + 1), caches_.threads);
        break;
      }
      case 3:
        if (all_.front()->journal() != nullptr) all_.front()->checkpoint();
        break;
      default: append(cache);
    }
  }

  void append(KvCache& cache) {
    const auto rows = static_cast<uint32_t>(below(std::min(cache.max_step(), 40u)) + 1);
    caches_.begin(cache, rows);
    ResvSelection selection(policy_, SessionCaches::kLayers);
    attend(cache, selection, rows);
    cache.commit();
  }

  void attend(KvCache& cache, ResvSelection& selection, uint32_t rows) {
    constexpr int64_t kWidth = SessionCaches::kCols * SessionCaches::kGroup;
    std::vector<float> q(rows * static_cast<size_t>(kWidth));
    for (float& x : q) x = static_cast<float>(below(200)) * 0.02f - 2.0f;
    selection.begin_step(cache);
    for (uint32_t layer = 0; layer < SessionCaches::kLayers; ++layer) {
      selection.plans(layer, {q.data(), rows, kWidth}, caches_.threads);
      for (size_t head = 0; head < SessionCaches::kKvHeads; ++head)
        ASSERT_EQ(find_violation(cache, layer, selection.attended(head)), "");
    }
    selection.end_step();
  }

  // Ends all there is, without a word, and goes on from the file.
  void resume() {
    all_.clear();
    try {
      auto next = caches_.make(kWindow);
      const std::shared_ptr<SessionFile> file = caches_.file(unreliable_disk());
      next->attach(file, slots_ == 0 ? nullptr : pool_of(file), caches_.threads);
      all_.push_back(std::move(next));
      ++resumed;
    } catch (...) {
      all_.push_back(caches_.make(kWindow));  // goes on without a file
      throw;
    }
  }

  std::shared_ptr<SlotPool> pool_of(const std::shared_ptr<SessionFile>& file) const {
    return std::make_shared<SlotPool>(file, slots_ * SlotPool::slot_cost(caches_.header()));
  }

  uint64_t below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random_); }

  static constexpr uint32_t kWindow = 200;
  const RetrievalPolicy policy_ = [] {
    RetrievalPolicy p;
    p.rule.threshold = 0.8f;
    p.min_sealed = 48;
    return p;
  }();
  SessionCaches caches_;
  const size_t slots_;
  std::mt19937 random_{7};
  std::vector<std::unique_ptr<KvCache>> all_;  // the first owns the file
};

TEST(SessionLife, TheInvariantsHoldAfterEveryRandomStep) {
  using ops::KvType;
  const std::pair<size_t, KvType> kinds[] = {
      {0, KvType::kF16}, {20, KvType::kF16}, {60, KvType::kF16}, {0, KvType::kI8}, {20, KvType::kI8}};
  for (const auto& [slots, type] : kinds) {
    SessionLife life(slots, type);
    for (int step = 0; step < random_steps() / 3 && !::testing::Test::HasFatalFailure(); ++step) {
      life.step();
      if (step % 50 == 0) life.check_tokens();
    }
    EXPECT_GT(life.out_of_memory, 0);
    EXPECT_GT(life.disk_full, 0);
    EXPECT_GT(life.resumed, 5);
  }
}

}  // namespace
}  // namespace ev::kv
