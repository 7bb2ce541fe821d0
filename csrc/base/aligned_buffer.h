// Memory aligned to cache lines, sized once: packed weights, KV pages, scratch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/error.h"

namespace ev {

constexpr size_t kCacheLine = 64;

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // Zero-filled. Throws Error(kOutOfMemory).
  explicit AlignedBuffer(size_t bytes) : size_(bytes) {
    if (bytes == 0) return;
    if (bytes > PTRDIFF_MAX - kCacheLine) throw Error(ErrorCode::kOutOfMemory, "a buffer's size overflows");
    const size_t rounded = (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
    data_.reset(static_cast<uint8_t*>(std::aligned_alloc(kCacheLine, rounded)));
    if (!data_) throw Error(ErrorCode::kOutOfMemory, "cannot allocate " + std::to_string(bytes) + " bytes");
    std::memset(data_.get(), 0, rounded);
  }

  uint8_t* data() const { return data_.get(); }
  size_t size() const { return size_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }

 private:
  struct Free {
    void operator()(uint8_t* p) const { std::free(p); }
  };
  std::unique_ptr<uint8_t, Free> data_;
  size_t size_ = 0;
};

}  // namespace ev
