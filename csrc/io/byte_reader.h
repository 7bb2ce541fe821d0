// A cursor over untrusted little-endian bytes: every read is checked against the end, no read is unaligned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ev::io {

class ByteReader {
 public:
  ByteReader(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return size_ - position_; }

  // A fixed-size scalar. Throws Error(kBadModel) with the position when the bytes end first.
  template <typename T>
  T read() {
    require(sizeof(T));
    T value;
    std::memcpy(&value, data_ + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  // `n` bytes in place; the view lives as long as the data.
  std::string_view read_bytes(uint64_t n) {
    require(n);
    std::string_view view(reinterpret_cast<const char*>(data_) + position_, static_cast<size_t>(n));
    position_ += n;
    return view;
  }

  void require(uint64_t n) const {
    if (n > remaining())
      throw Error(ErrorCode::kBadModel, "truncated: byte " + std::to_string(position_) + " needs " +
                                            std::to_string(n) + " more bytes, but the file has " +
                                            std::to_string(size_) + " bytes");
  }

 private:
  const uint8_t* data_;
  uint64_t size_;
  uint64_t position_ = 0;
};

}  // namespace ev::io
