#include "io/gguf.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>

#include "io/quote.h"

namespace ev::io {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

[[noreturn]] void fail_io(const std::string& path, const char* what) {
  throw Error(ErrorCode::kIo, path + ": cannot " + what + ": " + std::strerror(errno));
}

[[noreturn]] void fail_key(std::string_view key, const char* what) {
  throw Error(ErrorCode::kBadModel, "metadata key " + quoted(key) + " " + what);
}

// The value of `key` as T, or nullptr when the key is absent.
template <typename T>
const T* find_as(const GgufFile& file, std::string_view key, const char* kind) {
  const GgufValue* value = file.find(key);
  if (value == nullptr) return nullptr;
  const T* typed = std::get_if<T>(value);
  if (typed == nullptr) fail_key(key, kind);
  return typed;
}

template <typename T>
const T& require(const T* value, std::string_view key) {
  if (value == nullptr) fail_key(key, "is missing");
  return *value;
}

}  // namespace

std::unique_ptr<GgufFile> GgufFile::open(const std::string& path, const GgufLimits& limits) {
  // O_NONBLOCK: opening a FIFO must not hang.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) fail_io(path, "open");
  struct stat st{};
  if (::fstat(file.fd, &st) != 0) fail_io(path, "read its size");
  if (!S_ISREG(st.st_mode)) throw Error(ErrorCode::kBadModel, path + ": not a regular file");
  if (st.st_size == 0) throw Error(ErrorCode::kBadModel, path + ": the file is empty");

  std::unique_ptr<GgufFile> gguf(new GgufFile);
  gguf->size_ = static_cast<size_t>(st.st_size);
  void* mapping = ::mmap(nullptr, gguf->size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (mapping == MAP_FAILED) fail_io(path, "map");
  gguf->mapping_ = mapping;
  gguf->data_ = static_cast<const uint8_t*>(mapping);
  try {
    gguf->parse_all(limits);
  } catch (const Error& e) {
    throw Error(e.code(), path + ": " + e.what());
  }
  return gguf;
}

std::unique_ptr<GgufFile> GgufFile::parse(const uint8_t* data, size_t size, const GgufLimits& limits) {
  std::unique_ptr<GgufFile> gguf(new GgufFile);
  gguf->data_ = data;
  gguf->size_ = size;
  gguf->parse_all(limits);
  return gguf;
}

GgufFile::~GgufFile() {
  if (mapping_ != nullptr) ::munmap(mapping_, size_);
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto it = tensor_index_.find(name);
  return it == tensor_index_.end() ? nullptr : &tensors_[it->second];
}

const GgufTensor& GgufFile::tensor(std::string_view name) const {
  const GgufTensor* found = find_tensor(name);
  if (found == nullptr) throw Error(ErrorCode::kBadModel, "tensor " + quoted(name) + " is missing");
  return *found;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

uint64_t GgufFile::get_uint(std::string_view key) const {
  const GgufValue& value = require(find(key), key);
  if (const auto* u = std::get_if<uint64_t>(&value)) return *u;
  const auto* i = std::get_if<int64_t>(&value);
  if (i == nullptr || *i < 0) fail_key(key, "is not a non-negative integer");
  return static_cast<uint64_t>(*i);
}

uint64_t GgufFile::get_uint(std::string_view key, uint64_t fallback) const {
  return find(key) == nullptr ? fallback : get_uint(key);
}

double GgufFile::get_float(std::string_view key, double fallback) const {
  const double* value = find_as<double>(*this, key, "is not a float");
  if (value == nullptr) return fallback;
  if (!std::isfinite(*value)) fail_key(key, "is not a finite number");
  return *value;
}

bool GgufFile::get_bool(std::string_view key, bool fallback) const {
  const bool* value = find_as<bool>(*this, key, "is not a bool");
  return value == nullptr ? fallback : *value;
}

const std::string& GgufFile::get_string(std::string_view key) const {
  return require(find_as<std::string>(*this, key, "is not a string"), key);
}

const std::vector<std::string>& GgufFile::get_strings(std::string_view key) const {
  return require(find_as<std::vector<std::string>>(*this, key, "is not an array of strings"), key);
}

}  // namespace ev::io
