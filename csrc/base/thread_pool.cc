#include "base/thread_pool.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/cpu_features.h"
#include "base/error.h"

namespace ev {
namespace {

// Long enough to span the serial work between two loops and the gap between two tokens, short enough that an idle
// pool is asleep before anybody could measure it.
constexpr auto kSpin = std::chrono::microseconds(200);
constexpr int kPausesPerClockRead = 64;

// Set while a thread runs a range, so that a loop started inside it stays on that thread.
thread_local bool in_range = false;

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
    : num_threads_(num_threads == 0 ? std::min(usable_cpus(), kMaxThreads) : num_threads), owner_pid_(getpid()) {
  if (num_threads_ < 1 || num_threads_ > kMaxThreads)
    throw Error(ErrorCode::kInvalidArgument, "a thread pool takes 1 to " + std::to_string(kMaxThreads) + " threads");
  workers_.reserve(static_cast<size_t>(num_threads_ - 1));
  for (int i = 1; i < num_threads_; ++i) workers_.emplace_back(&ThreadPool::worker_main, this, i);
}

ThreadPool::~ThreadPool() {
  if (getpid() != owner_pid_) {  // a fork's child has no workers to join
    for (auto& worker : workers_) worker.detach();
    return;
  }
  stopping_.store(true);
  wake_sleepers();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::run(int64_t n, int64_t grain, RangeFn call, const void* fn) {
  if (n <= 0) return;
  const int64_t ranges = std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, num_threads_);
  if (ranges == 1 || in_range || getpid() != owner_pid_) return call(fn, 0, n);

  const std::lock_guard<std::mutex> one_loop(caller_mutex_);
  loop_ = {call, fn, n, static_cast<int>(ranges)};
  pending_.store(num_threads_ - 1, std::memory_order_relaxed);
  epoch_.fetch_add(1);  // seq_cst, paired with sleepers_ in wait_for_loop: one of the two sides sees the other
  if (sleepers_.load() > 0) wake_sleepers();
  run_range(loop_, 0);
  const auto finished = [this] { return pending_.load(std::memory_order_acquire) == 0; };
  while (!spin_until(finished)) std::this_thread::yield();
}

void ThreadPool::run_range(const Loop& loop, int index) const {
  if (index >= loop.ranges) return;
  in_range = true;
  loop.call(loop.fn, loop.n * index / loop.ranges, loop.n * (index + 1) / loop.ranges);
  in_range = false;
}

void ThreadPool::worker_main(int index) {
  for (uint64_t seen = 0; wait_for_loop(seen); ++seen) {
    run_range(loop_, index);
    pending_.fetch_sub(1, std::memory_order_release);
  }
}

bool ThreadPool::wait_for_loop(uint64_t seen) {
  const auto ready = [this, seen] { return epoch_.load() != seen || stopping_.load(); };
  if (!spin_until(ready)) {
    sleepers_.fetch_add(1);
    std::unique_lock<std::mutex> lock(sleep_mutex_);
    wake_.wait(lock, ready);
    sleepers_.fetch_sub(1);
  }
  return !stopping_.load();
}

void ThreadPool::wake_sleepers() {
  { const std::lock_guard<std::mutex> lock(sleep_mutex_); }  // a sleeper is now before its check or in its wait
  wake_.notify_all();
}

}  // namespace ev
