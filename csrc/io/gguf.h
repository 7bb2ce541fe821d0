// Bounds-checked reader of GGUF v2/v3 model files. Nothing in the file is trusted: every count, length,
// offset and type is checked against the file's size and against limits before use; a hostile file costs at
// most GgufLimits, never memory in proportion to a number it claims.
//
//   +--------+---------+-----------+----------+---------------+------------------+-----+--------------+
//   | "GGUF" | version | n_tensors | n_kv     | key/value ... | tensor infos ... | pad | tensor data  |
//   | u32    | u32     | u64       | u64      |               |                  |     | (alignment)  |
//   +--------+---------+-----------+----------+---------------+------------------+-----+--------------+
//
// Refused with Error(kBadModel): big-endian and v1 files, duplicate keys or tensor names, nested arrays,
// tensor types that block_layout() does not know, misaligned, overlapping or out-of-file tensor data.
//
// The file is mapped, so it must not shrink while it is open: the size is checked once, at open, and a page
// that another process truncates away later raises SIGBUS when touched. Replace model files by rename, never
// in place.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/dtype.h"
#include "base/error.h"

namespace ev::io {

struct GgufLimits {
  uint64_t max_tensors = 65536;
  uint64_t max_keys = 65536;
  uint64_t max_array = 4u << 20;             // elements of one metadata array
  uint64_t max_string = 16u << 20;           // bytes of one string
  uint64_t max_metadata_bytes = 256u << 20;  // memory of all strings and arrays together
};

struct GgufTensor {
  std::string name;
  DType type = DType::kF32;
  uint32_t n_dims = 0;
  uint64_t dims[4] = {1, 1, 1, 1};  // dims[0] is contiguous: a weight [rows, cols] has dims {cols, rows}
  uint64_t bytes = 0;
  // Into the mapping, at a multiple of the file's alignment (32 by default, at least 8) from its first byte.
  const uint8_t* data = nullptr;

  uint64_t cols() const { return dims[0]; }
  uint64_t rows() const { return dims[1] * dims[2] * dims[3]; }
};

// Scalars are widened: unsigned ints to uint64, signed to int64, floats to double. An array of bools is one
// of uint64 (0 or 1).
using GgufValue = std::variant<uint64_t, int64_t, double, bool, std::string, std::vector<uint64_t>,
                               std::vector<int64_t>, std::vector<double>, std::vector<std::string>>;

// Immutable once made: any number of threads may read it.
class GgufFile {
 public:
  // Maps the file read-only. Throws Error(kIo) when it cannot be opened, Error(kBadModel) when it is
  // malformed; messages begin with the path.
  static std::unique_ptr<GgufFile> open(const std::string& path, const GgufLimits& limits = {});
  // Parses bytes that the caller keeps alive (tests, fuzzing); tensors are as aligned as `data` is.
  static std::unique_ptr<GgufFile> parse(const uint8_t* data, size_t size, const GgufLimits& limits = {});
  ~GgufFile();
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  uint32_t version() const { return version_; }
  uint64_t size() const { return size_; }  // bytes of the whole file

  const GgufTensor* find_tensor(std::string_view name) const;  // nullptr when absent
  const GgufTensor& tensor(std::string_view name) const;       // Error(kBadModel) naming it when absent
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  // Lookups of metadata. A key that is there with another type is always Error(kBadModel), never the
  // fallback.
  const GgufValue* find(std::string_view key) const;  // nullptr when absent
  uint64_t get_uint(
      std::string_view key) const;  // Error(kBadModel) when absent or not a non-negative integer
  uint64_t get_uint(std::string_view key, uint64_t fallback) const;
  double get_float(std::string_view key, double fallback) const;  // finite, or Error(kBadModel)
  bool get_bool(std::string_view key, bool fallback) const;
  const std::string& get_string(std::string_view key) const;
  const std::vector<std::string>& get_strings(std::string_view key) const;

 private:
  GgufFile() = default;
  void parse_all(const GgufLimits& limits);

  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  void* mapping_ = nullptr;  // munmap on destruction when set
  uint32_t version_ = 0;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t, std::less<>> tensor_index_;
  std::map<std::string, GgufValue, std::less<>> values_;
};

}  // namespace ev::io
