#include "base/thread_pool.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/cpu_features.h"
#include "base/error.h"

namespace ev {
namespace {

// Long enough to span the serial work between two loops and the gap between two tokens, short enough that an
// idle pool is asleep before anybody could measure it.
constexpr auto kSpin = std::chrono::microseconds(200);
constexpr int kPausesPerClockRead = 64;
constexpr int kRangesPerThread = 4;

// Set while a thread runs a range, so that a loop started inside it stays on that thread.
thread_local bool in_range = false;

struct Ticket {
  uint64_t word;
  uint32_t loop() const { return static_cast<uint32_t>(word >> 32); }
  int ranges() const { return static_cast<int>(word >> 16 & 0xffff); }
  int next() const { return static_cast<int>(word & 0xffff); }
  bool has_range() const { return next() < ranges(); }
};

uint64_t first_ticket(uint32_t loop, int ranges) {
  return static_cast<uint64_t>(loop) << 32 | static_cast<uint64_t>(ranges) << 16;
}

void cpu_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until done() or the time is over; returns done().
template <class Done>
bool spin_until(const Done& done) {
  const auto give_up = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesPerClockRead; ++i) {
      if (done()) return true;
      cpu_pause();
    }
  } while (std::chrono::steady_clock::now() < give_up);
  return done();
}

}  // namespace

ThreadPool::ThreadPool(int num_threads)
    : num_threads_(num_threads == 0 ? std::min(usable_cpus(), kMaxThreads) : num_threads),
      owner_pid_(getpid()),
      wake_(std::make_unique<std::condition_variable>()) {
  if (num_threads_ < 1 || num_threads_ > kMaxThreads)
    throw Error(ErrorCode::kInvalidArgument,
                "a thread pool takes 1 to " + std::to_string(kMaxThreads) + " threads");
  workers_.reserve(static_cast<size_t>(num_threads_ - 1));
  for (int i = 1; i < num_threads_; ++i) workers_.emplace_back(&ThreadPool::worker_main, this);
}

ThreadPool::~ThreadPool() {
  if (getpid() != owner_pid_) {  // a fork's child has no workers to join
    for (auto& worker : workers_) worker.detach();
    static_cast<void>(wake_.release());
    return;
  }
  stopping_.store(true);
  wake_sleepers();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::run(int64_t n, int64_t grain, RangeFn call, const void* fn) {
  if (n <= 0) return;
  const auto ranges = static_cast<int>(
      std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, int64_t{kRangesPerThread} * num_threads_));
  if (ranges == 1 || num_threads_ == 1 || in_range || getpid() != owner_pid_) return call(fn, 0, n);

  const std::lock_guard<std::mutex> one_loop(caller_mutex_);
  loop_ = {call, fn, n};
  finished_.store(0, std::memory_order_relaxed);
  const Ticket last{ticket_.load(std::memory_order_relaxed)};
  // seq_cst here and in worker_main: either the worker sees the new ticket or this thread sees the sleeper.
  ticket_.store(first_ticket(last.loop() + 1, ranges));
  if (sleepers_.load() > 0) wake_sleepers();
  while (run_one_range()) {
  }
  const auto finished = [this, ranges] { return finished_.load(std::memory_order_acquire) == ranges; };
  while (!spin_until(finished)) std::this_thread::yield();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

bool ThreadPool::run_one_range() {
  Ticket t{ticket_.load(std::memory_order_acquire)};
  do {
    if (!t.has_range()) return false;
  } while (!ticket_.compare_exchange_weak(t.word, t.word + 1, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
  in_range = true;
  try {
    loop_.call(loop_.fn, loop_.n * t.next() / t.ranges(), loop_.n * (t.next() + 1) / t.ranges());
  } catch (...) {
    const std::lock_guard<std::mutex> lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
  }
  in_range = false;
  finished_.fetch_add(1, std::memory_order_release);
  return true;
}

void ThreadPool::worker_main() {
  const auto ready = [this] { return Ticket{ticket_.load()}.has_range() || stopping_.load(); };
  while (!stopping_.load()) {
    if (run_one_range() || spin_until(ready)) continue;
    sleepers_.fetch_add(1);
    std::unique_lock<std::mutex> lock(sleep_mutex_);
    wake_->wait(lock, ready);
    sleepers_.fetch_sub(1);
  }
}

void ThreadPool::wake_sleepers() {
  {
    const std::lock_guard<std::mutex> lock(sleep_mutex_);
  }  // a sleeper is now before its check or in its wait
  wake_->notify_all();
}

}  // namespace ev
