// Bounds-checked reader of GGUF v2/v3 model files. Nothing in the file is trusted: every count, length, offset
// and type is checked against the file's size and against limits before use; a hostile file costs at most
// GgufLimits, never memory in proportion to a number it claims.
//
//   +--------+---------+-----------+----------+---------------+------------------+-----+--------------+
//   | "GGUF" | version | n_tensors | n_kv     | key/value ... | tensor infos ... | pad | tensor data  |
//   | u32    | u32     | u64       | u64      |               |                  |     | (alignment)  |
//   +--------+---------+-----------+----------+---------------+------------------+-----+--------------+
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/dtype.h"
#include "base/error.h"

namespace ev::io {

struct GgufLimits {
  uint64_t max_tensors = 65536;
  uint64_t max_keys = 65536;
  uint64_t max_array = 4u << 20;         // elements of one metadata array
  uint64_t max_string = 16u << 20;       // bytes of one string
  uint64_t max_metadata_bytes = 256u << 20;  // all strings and arrays together
};

struct GgufTensor {
  std::string name;
  DType type = DType::kF32;
  uint32_t n_dims = 0;
  uint64_t dims[4] = {1, 1, 1, 1};  // dims[0] is contiguous: a weight [rows, cols] has dims {cols, rows}
  uint64_t bytes = 0;
  const uint8_t* data = nullptr;  // into the mapping; aligned to the file's alignment (32 by default)

  uint64_t cols() const { return dims[0]; }
  uint64_t rows() const { return dims[1] * dims[2] * dims[3]; }
};

// Scalars are widened: all unsigned ints and bools to uint64, signed to int64, floats to double.
using GgufValue = std::variant<uint64_t, int64_t, double, bool, std::string, std::vector<uint64_t>,
                               std::vector<int64_t>, std::vector<double>, std::vector<std::string>>;

class GgufFile {
 public:
  // Maps the file read-only. Throws Error(kIo) when it cannot be opened, Error(kBadModel) when it is malformed.
  static std::unique_ptr<GgufFile> open(const std::string& path, const GgufLimits& limits = {});
  // Parses bytes that the caller keeps alive (tests, fuzzing).
  static std::unique_ptr<GgufFile> parse(const uint8_t* data, size_t size, const GgufLimits& limits = {});
  ~GgufFile();
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  const GgufTensor* find_tensor(std::string_view name) const;  // nullptr when absent
  const GgufTensor& tensor(std::string_view name) const;       // Error(kBadModel) naming it when absent
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  const GgufValue* find(std::string_view key) const;  // nullptr when absent
  uint64_t get_uint(std::string_view key) const;      // Error(kBadModel) when absent or not a non-negative integer
  uint64_t get_uint(std::string_view key, uint64_t fallback) const;
  double get_float(std::string_view key, double fallback) const;
  bool get_bool(std::string_view key, bool fallback) const;
  const std::string& get_string(std::string_view key) const;
  const std::vector<std::string>& get_strings(std::string_view key) const;

 private:
  GgufFile() = default;
  void parse_all(const GgufLimits& limits);

  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  void* mapping_ = nullptr;  // munmap on destruction when set
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string, size_t> tensor_index_;
  std::unordered_map<std::string, GgufValue> values_;
};

}  // namespace ev::io
