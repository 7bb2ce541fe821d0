// The parsing half of GgufFile: header, metadata, tensor table, placement of the tensor data.
#include <algorithm>
#include <iterator>

#include "base/checked.h"
#include "io/byte_reader.h"
#include "io/gguf.h"
#include "io/quote.h"

namespace ev::io {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint64_t kMaxTensorName = 64;
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kMaxAlignment = 1u << 16;
constexpr uint64_t kMinTensorInfo = 8 + 4 + 8 + 4 + 8;  // name length, n_dims, one dim, type, offset
constexpr uint64_t kMinKeyValue = 8 + 4 + 1;            // key length, type, one byte

enum ValueType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64
};

[[noreturn]] void fail(const std::string& message) {
  throw Error(ErrorCode::kBadModel, message);
}

// Names of the tensor types that ggml defines, for messages about those this library does not read.
std::string type_name(uint32_t type) {
  static const char* const kNames[] = {
      "F32",   "F16",    "Q4_0", "Q4_1", "?",    "?",       "Q5_0",   "Q5_1",    "Q8_0",  "Q8_1",   "Q2_K",
      "Q3_K",  "Q4_K",   "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S",
      "IQ2_S", "IQ4_XS", "I8",   "I16",  "I32",  "I64",     "F64",    "IQ1_M",   "BF16"};
  const std::string number = std::to_string(type);
  return type < std::size(kNames) ? std::string(kNames[type]) + " (" + number + ")" : "number " + number;
}

std::string read_string(ByteReader& in, uint64_t limit, const char* what) {
  const auto length = in.read<uint64_t>();
  in.require(length);
  if (length > limit)
    fail(std::string(what) + " of " + std::to_string(length) + " bytes is over the limit of " +
         std::to_string(limit));
  return std::string(in.read_bytes(length));
}

// Reads values and keeps count of the memory they take.
class ValueReader {
 public:
  ValueReader(ByteReader& in, const GgufLimits& limits) : in_(in), limits_(limits) {}

  GgufValue read_value(uint32_t type) {
    switch (type) {
      case kUint8: return uint64_t{in_.read<uint8_t>()};
      case kUint16: return uint64_t{in_.read<uint16_t>()};
      case kUint32: return uint64_t{in_.read<uint32_t>()};
      case kUint64: return in_.read<uint64_t>();
      case kInt8: return int64_t{in_.read<int8_t>()};
      case kInt16: return int64_t{in_.read<int16_t>()};
      case kInt32: return int64_t{in_.read<int32_t>()};
      case kInt64: return in_.read<int64_t>();
      case kFloat32: return double{in_.read<float>()};
      case kFloat64: return in_.read<double>();
      case kBool: return read_bool() != 0;
      case kString: return read_text();
      case kArray: return read_array();
      default: fail("has the unknown value type " + std::to_string(type));
    }
  }

 private:
  // Checked before any memory is taken: what the elements will cost, and that the file is long enough for
  // them.
  template <typename T, typename ReadOne>
  std::vector<T> read_elements(uint64_t n, uint64_t min_bytes, ReadOne read_one) {
    in_.require(checked_mul(n, min_bytes));
    charge(checked_mul(n, sizeof(T)));
    std::vector<T> values;
    values.reserve(n);
    for (uint64_t i = 0; i < n; ++i) values.push_back(read_one());
    return values;
  }

  template <typename File, typename T>
  GgufValue read_scalars(uint64_t n) {
    return read_elements<T>(n, sizeof(File), [this] { return static_cast<T>(in_.read<File>()); });
  }

  GgufValue read_array() {
    const auto type = in_.read<uint32_t>();
    const auto n = in_.read<uint64_t>();
    if (n > limits_.max_array)
      fail("is an array of " + std::to_string(n) + " elements, over the limit of " +
           std::to_string(limits_.max_array));
    switch (type) {
      case kUint8: return read_scalars<uint8_t, uint64_t>(n);
      case kUint16: return read_scalars<uint16_t, uint64_t>(n);
      case kUint32: return read_scalars<uint32_t, uint64_t>(n);
      case kUint64: return read_scalars<uint64_t, uint64_t>(n);
      case kInt8: return read_scalars<int8_t, int64_t>(n);
      case kInt16: return read_scalars<int16_t, int64_t>(n);
      case kInt32: return read_scalars<int32_t, int64_t>(n);
      case kInt64: return read_scalars<int64_t, int64_t>(n);
      case kFloat32: return read_scalars<float, double>(n);
      case kFloat64: return read_scalars<double, double>(n);
      case kBool: return read_elements<uint64_t>(n, 1, [this] { return read_bool(); });
      case kString: return read_elements<std::string>(n, 8, [this] { return read_text(); });
      case kArray: fail("is an array of arrays, which no known model uses");
      default: fail("is an array of the unknown value type " + std::to_string(type));
    }
  }

  uint64_t read_bool() {
    const auto byte = in_.read<uint8_t>();
    if (byte > 1) fail("has the bool value " + std::to_string(byte));
    return byte;
  }

  std::string read_text() {
    std::string text = read_string(in_, limits_.max_string, "a string");
    charge(text.size());
    return text;
  }

  void charge(uint64_t bytes) {
    used_ = checked_add(used_, bytes);
    if (used_ > limits_.max_metadata_bytes)
      fail("takes the metadata over the limit of " + std::to_string(limits_.max_metadata_bytes) + " bytes");
  }

  ByteReader& in_;
  const GgufLimits& limits_;
  uint64_t used_ = 0;
};

uint32_t read_version(ByteReader& in) {
  if (in.remaining() < 4 || in.read<uint32_t>() != kMagic)
    fail("not a GGUF file (it does not begin with 'GGUF')");
  const auto version = in.read<uint32_t>();
  if (version != 0 && (version & 0xFFFF) == 0)
    fail("a big-endian GGUF file; only little-endian ones are read");
  if (version != 2 && version != 3)
    fail("GGUF version " + std::to_string(version) + "; versions 2 and 3 are read");
  return version;
}

uint64_t read_count(ByteReader& in, uint64_t limit, const char* what) {
  const auto n = in.read<uint64_t>();
  if (n > limit)
    fail("the file claims " + std::to_string(n) + " " + what + ", over the limit of " +
         std::to_string(limit));
  return n;
}

void set_bytes(GgufTensor& t) {
  const BlockLayout block = block_layout(t.type);
  if (t.dims[0] % block.elements != 0)
    fail("has rows of " + std::to_string(t.dims[0]) + " elements, not a multiple of " +
         std::to_string(block.elements) + " as " + type_name(static_cast<uint32_t>(t.type)) + " needs");
  t.bytes = checked_mul(t.dims[0] / block.elements, block.bytes);
  for (int d = 1; d < 4; ++d) t.bytes = checked_mul(t.bytes, t.dims[d]);
}

// One row of the tensor table after its name; returns the offset into the data section.
uint64_t read_tensor_info(ByteReader& in, GgufTensor& t) {
  t.n_dims = in.read<uint32_t>();
  if (t.n_dims < 1 || t.n_dims > 4) fail("has " + std::to_string(t.n_dims) + " dimensions; 1 to 4 are read");
  for (uint32_t d = 0; d < t.n_dims; ++d) {
    t.dims[d] = in.read<uint64_t>();
    if (t.dims[d] == 0) fail("has an empty dimension");
  }
  const auto type = in.read<uint32_t>();
  t.type = static_cast<DType>(type);
  if (block_layout(t.type).elements == 0) fail("has type " + type_name(type) + ", which is not supported");
  set_bytes(t);
  return in.read<uint64_t>();
}

uint64_t checked_alignment(uint64_t alignment) {
  if (alignment < 8 || alignment > kMaxAlignment || (alignment & (alignment - 1)) != 0)
    fail("general.alignment is " + std::to_string(alignment) + "; it must be a power of two from 8 to 65536");
  return alignment;
}

// Tensor data must lie inside the file, aligned, without overlap.
void check_placement(const std::vector<GgufTensor>& tensors, const std::vector<uint64_t>& offsets,
                     uint64_t alignment, uint64_t data_start, uint64_t file_size) {
  std::vector<size_t> order(tensors.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return offsets[a] < offsets[b]; });
  uint64_t end = 0;  // of the tensor before, within the data section
  for (size_t n = 0; n < order.size(); ++n) {
    const size_t i = order[n];
    if (offsets[i] % alignment != 0)
      fail("tensor " + quoted(tensors[i].name) + " begins at offset " + std::to_string(offsets[i]) +
           ", not a multiple of " + std::to_string(alignment));
    if (offsets[i] < end)
      fail("tensors " + quoted(tensors[order[n - 1]].name) + " and " + quoted(tensors[i].name) + " overlap");
    end = checked_add(offsets[i], tensors[i].bytes);
  }
  const uint64_t expected = checked_add(data_start, end);
  if (!order.empty() && expected > file_size)
    fail("truncated: the tensors end at byte " + std::to_string(expected) + ", but the file has " +
         std::to_string(file_size) + " bytes");
}

}  // namespace

void GgufFile::parse_all(const GgufLimits& limits) {
  ByteReader in(data_, size_);
  version_ = read_version(in);
  const uint64_t n_tensors = read_count(in, limits.max_tensors, "tensors");
  const uint64_t n_keys = read_count(in, limits.max_keys, "metadata keys");
  in.require(n_tensors * kMinTensorInfo + n_keys * kMinKeyValue);

  ValueReader values(in, limits);
  for (uint64_t i = 0; i < n_keys; ++i) {
    const std::string key = read_string(in, kMaxKeyBytes, "a metadata key");
    const auto type = in.read<uint32_t>();
    try {
      if (!values_.emplace(key, values.read_value(type)).second) fail("appears twice");
    } catch (const Error& e) {
      fail("metadata key " + quoted(key) + " " + e.what());
    }
  }

  tensors_.resize(n_tensors);
  std::vector<uint64_t> offsets(n_tensors);
  for (uint64_t i = 0; i < n_tensors; ++i) {
    GgufTensor& t = tensors_[i];
    t.name = read_string(in, kMaxTensorName, "a tensor name");
    try {
      if (!tensor_index_.emplace(t.name, i).second) fail("appears twice");
      offsets[i] = read_tensor_info(in, t);
    } catch (const Error& e) {
      fail("tensor " + quoted(t.name) + " " + e.what());
    }
  }

  const uint64_t alignment = checked_alignment(get_uint("general.alignment", kDefaultAlignment));
  const uint64_t data_start = (in.position() + alignment - 1) / alignment * alignment;
  check_placement(tensors_, offsets, alignment, data_start, size_);
  for (uint64_t i = 0; i < n_tensors; ++i) tensors_[i].data = data_ + data_start + offsets[i];
}

}  // namespace ev::io
