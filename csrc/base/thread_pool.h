// A small fixed pool for data-parallel loops inside one step of a model: some 200 loops per decoded token,
// each a few microseconds long. Workers spin for a short while after a loop, because the next one usually
// follows at once, then sleep in the kernel; an idle pool costs no CPU.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace ev {

class ThreadPool {
 public:
  // num_threads counts the calling thread, so 1 starts none; 0 means usable_cpus(). Throws
  // Error(kInvalidArgument) outside [0, kMaxThreads].
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  static constexpr int kMaxThreads = 256;
  int num_threads() const { return num_threads_; }

  // Cuts [0, n) into at most 4 * num_threads contiguous ranges of nearly equal length, none shorter than
  // `grain` (but for n < grain), and calls fn(begin, end) once for each; returns when all have returned. The
  // cut depends on n, grain and num_threads alone; which thread runs a range is first come, first served, so
  // a thread the system has put aside holds nobody up. A single range, and any call made from inside a range,
  // runs on the caller at once.
  //
  // What fn throws is thrown here, once all ranges have returned (the first of several). Thread-safe: loops
  // of several callers run one after the other. In a child process after fork(), where the workers do not
  // exist, all work runs on the caller.
  template <class Fn>
  void parallel_for(int64_t n, int64_t grain, const Fn& fn) {
    const auto call = [](const void* f, int64_t begin, int64_t end) {
      (*static_cast<const Fn*>(f))(begin, end);
    };
    run(n, grain, call, &fn);
  }

 private:
  using RangeFn = void (*)(const void* fn, int64_t begin, int64_t end);
  struct Loop {
    RangeFn call = nullptr;
    const void* fn = nullptr;
    int64_t n = 0;
  };

  void run(int64_t n, int64_t grain, RangeFn call, const void* fn);
  bool run_one_range();
  void worker_main();
  void wake_sleepers();

  const int num_threads_;
  const int owner_pid_;
  std::mutex caller_mutex_;  // one loop at a time
  Loop loop_;                // read only by holders of an unfinished range
  // The loop's number (32 bits), its ranges (16 bits) and the next range to take (16 bits), in one word, so
  // that taking a range also proves that loop_ is still the loop it belongs to.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int> finished_{0};  // ranges of the current loop
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;  // of the current loop
  std::mutex sleep_mutex_;
  std::unique_ptr<std::condition_variable>
      wake_;  // a fork's child leaks it: destroying it would wait for sleepers
  std::vector<std::thread> workers_;
};

}  // namespace ev
