// Writes GGUF bytes for tests, right or wrong on purpose.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/gguf.h"

namespace ev::testing {

class GgufBuilder {
 public:
  uint32_t magic = 0x46554747;
  uint32_t version = 3;
  uint64_t alignment = 32;
  int64_t extra_tensors = 0;  // claimed in the header beyond those added
  int64_t extra_keys = 0;

  GgufBuilder& add(const std::string& key, const std::string& value) {
    begin_key(key, 8);
    put_string(keys_, value);
    return *this;
  }
  GgufBuilder& add(const std::string& key, uint32_t value) { return add_raw(key, 4, value); }
  GgufBuilder& add(const std::string& key, int32_t value) { return add_raw(key, 5, value); }
  GgufBuilder& add(const std::string& key, float value) { return add_raw(key, 6, value); }
  GgufBuilder& add(const std::string& key, bool value) {
    return add_raw(key, 7, static_cast<uint8_t>(value));
  }

  GgufBuilder& add(const std::string& key, const std::vector<std::string>& values) {
    begin_array(key, 8, values.size());
    for (const auto& v : values) put_string(keys_, v);
    return *this;
  }
  GgufBuilder& add(const std::string& key, const std::vector<int32_t>& values) {
    begin_array(key, 5, values.size());
    for (const int32_t v : values) put(keys_, v);
    return *this;
  }
  GgufBuilder& add(const std::string& key, const std::vector<float>& values) {
    begin_array(key, 6, values.size());
    for (const float v : values) put(keys_, v);
    return *this;
  }
  // A scalar of any type number with any bytes.
  template <typename T>
  GgufBuilder& add_raw(const std::string& key, uint32_t type, T value) {
    begin_key(key, type);
    put(keys_, value);
    return *this;
  }
  void begin_array(const std::string& key, uint32_t type, uint64_t n) {
    begin_key(key, 9);
    put(keys_, type);
    put(keys_, n);
  }

  GgufBuilder& tensor(const std::string& name, uint32_t type, const std::vector<uint64_t>& dims,
                      uint64_t bytes) {
    const uint64_t offset = data_.size();
    data_.resize((offset + bytes + alignment - 1) / alignment * alignment);
    return tensor_at(name, type, dims, offset);
  }
  // A row of the tensor table without data of its own.
  GgufBuilder& tensor_at(const std::string& name, uint32_t type, const std::vector<uint64_t>& dims,
                         uint64_t offset) {
    put_string(infos_, name);
    put(infos_, static_cast<uint32_t>(dims.size()));
    for (const uint64_t d : dims) put(infos_, d);
    put(infos_, type);
    put(infos_, offset);
    ++n_tensors_;
    return *this;
  }

  std::string bytes() const {
    std::string out;
    put(out, magic);
    put(out, version);
    put(out, n_tensors_ + static_cast<uint64_t>(extra_tensors));
    put(out, n_keys_ + static_cast<uint64_t>(extra_keys));
    out += keys_ + infos_;
    out.resize((out.size() + alignment - 1) / alignment * alignment);
    return out + data_;
  }

 private:
  template <typename T>
  static void put(std::string& out, T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    out.append(raw, sizeof(T));
  }
  static void put_string(std::string& out, const std::string& text) {
    put(out, static_cast<uint64_t>(text.size()));
    out += text;
  }
  void begin_key(const std::string& key, uint32_t type) {
    put_string(keys_, key);
    put(keys_, type);
    ++n_keys_;
  }

  std::string keys_, infos_, data_;
  uint64_t n_tensors_ = 0, n_keys_ = 0;
};

inline std::unique_ptr<io::GgufFile> parse(const std::string& bytes, const io::GgufLimits& limits = {}) {
  return io::GgufFile::parse(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), limits);
}

}  // namespace ev::testing
