// Where time goes: adds the nanoseconds of its life to a total.
#pragma once

#include <chrono>
#include <cstdint>

namespace ev {

class Stopwatch {
 public:
  explicit Stopwatch(uint64_t& total) : total_(total) {}
  ~Stopwatch() {
    total_ +=
        static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now() - began_).count());
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  uint64_t& total_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace ev
