// Cooperative cancellation and deadlines for long native calls. Thread-safe: any thread may cancel, the
// worker polls between layers, so a call ends within one layer's time.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

#include "base/error.h"

namespace ev {

class CancelToken {
 public:
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  void reset() { cancelled_.store(false, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
};

struct RunLimits {
  const CancelToken* cancel = nullptr;
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::function<void()>
      poll;  // asked too, when set; what it throws ends the call (a language's signal handlers)

  // Throws Error(kCancelled) or Error(kDeadline); otherwise returns.
  void check() const {
    if (cancel != nullptr && cancel->cancelled())
      throw Error(ErrorCode::kCancelled, "cancelled by the caller");
    if (deadline != std::chrono::steady_clock::time_point::max() &&
        std::chrono::steady_clock::now() >= deadline)
      throw Error(ErrorCode::kDeadline, "the deadline passed");
    if (poll) poll();
  }
};

}  // namespace ev
