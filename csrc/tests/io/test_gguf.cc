#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "tests/io/gguf_builder.h"
#include "tests/io/messages.h"

namespace ev::io {
namespace {

using ev::testing::bad_model;
using ev::testing::GgufBuilder;
using ev::testing::parse;
using ev::testing::says;

constexpr uint32_t kF32 = 0;
constexpr uint32_t kQ4_0 = 2;

GgufBuilder small_file() {
  GgufBuilder b;
  b.add("general.architecture", std::string("llama"))
      .add("llama.block_count", uint32_t{2})
      .add("offset", int32_t{-3})
      .add("eps", 0.5f)
      .add("flag", true)
      .add("names", std::vector<std::string>{"a", "", "ccc"})
      .add("kinds", std::vector<int32_t>{1, -2});
  b.tensor("w", kF32, {4, 2}, 32).tensor("q", kQ4_0, {64, 3}, 3 * 2 * 18);
  return b;
}

std::string message_of(const GgufBuilder& b, const GgufLimits& limits = {}) {
  return bad_model([&] { parse(b.bytes(), limits); });
}

TEST(Gguf, ReadsMetadata) {
  const std::string bytes = small_file().bytes();
  const auto file = parse(bytes);
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->get_string("general.architecture"), "llama");
  EXPECT_EQ(file->get_uint("llama.block_count"), 2u);
  EXPECT_EQ(file->get_uint("absent", 7), 7u);
  EXPECT_EQ(file->get_float("eps", 0), 0.5);
  EXPECT_TRUE(file->get_bool("flag", false));
  EXPECT_EQ(file->get_strings("names"), (std::vector<std::string>{"a", "", "ccc"}));
  EXPECT_EQ(std::get<std::vector<int64_t>>(*file->find("kinds")), (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(file->find("absent"), nullptr);
}

TEST(Gguf, ReadsTensors) {
  const std::string bytes = small_file().bytes();
  const auto file = parse(bytes);
  const GgufTensor& q = file->tensor("q");
  EXPECT_EQ(q.type, DType::kQ4_0);
  EXPECT_EQ(q.cols(), 64u);
  EXPECT_EQ(q.rows(), 3u);
  EXPECT_EQ(q.bytes, 3u * 2 * 18);
  EXPECT_EQ(q.data, file->tensor("w").data + 32);
  EXPECT_EQ(reinterpret_cast<const char*>(q.data), bytes.data() + bytes.size() - 128);
  EXPECT_EQ(file->find_tensor("absent"), nullptr);
  EXPECT_TRUE(says(bad_model([&] { file->tensor("absent"); }), "'absent' is missing"));
}

TEST(Gguf, RefusesWrongTypesOfKeys) {
  const std::string bytes = small_file().bytes();
  const auto file = parse(bytes);
  EXPECT_TRUE(says(bad_model([&] { file->get_uint("absent"); }), "'absent' is missing"));
  EXPECT_TRUE(says(bad_model([&] { file->get_uint("offset"); }), "not a non-negative integer"));
  EXPECT_TRUE(says(bad_model([&] { file->get_uint("eps", 1); }), "not a non-negative integer"));
  EXPECT_TRUE(says(bad_model([&] { file->get_float("flag", 1); }), "not a float"));
  EXPECT_TRUE(says(bad_model([&] { file->get_bool("eps", true); }), "not a bool"));
  EXPECT_TRUE(says(bad_model([&] { file->get_string("eps"); }), "not a string"));
  EXPECT_TRUE(says(bad_model([&] { file->get_strings("kinds"); }), "not an array of strings"));
}

TEST(Gguf, RefusesNonFiniteFloats) {
  const std::string bytes = GgufBuilder().add_raw("f", 6, uint32_t{0x7FC00000}).bytes();
  const auto file = parse(bytes);
  EXPECT_TRUE(says(bad_model([&] { file->get_float("f", 0); }), "not a finite number"));
}

TEST(Gguf, EveryTruncationIsRefused) {
  const std::string bytes = small_file().bytes();
  const size_t data_end = bytes.size() - 20;  // the padding after the last tensor may be missing
  for (size_t n = 0; n < data_end; ++n) {
    const std::string message = bad_model([&] { parse(bytes.substr(0, n)); });
    EXPECT_TRUE(says(message, "truncated") || says(message, "not a GGUF file")) << n << ": " << message;
  }
  EXPECT_NO_THROW(parse(bytes.substr(0, data_end)));
}

TEST(Gguf, TruncationNamesExpectedAndActualBytes) {
  const std::string bytes = small_file().bytes();
  EXPECT_TRUE(says(bad_model([&] { parse(bytes.substr(0, bytes.size() - 100)); }),
                   "the tensors end at byte " + std::to_string(bytes.size() - 20) + ", but the file has " +
                       std::to_string(bytes.size() - 100)));
}

TEST(Gguf, EveryByteFlipIsReadOrRefused) {
  const std::string good = small_file().bytes();
  for (size_t i = 0; i < good.size() - 160; ++i) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      EXPECT_FALSE(says(bad_model([&] { parse(bytes); }), "another error")) << i;
    }
  }
}

TEST(Gguf, RefusesForeignFiles) {
  GgufBuilder b = small_file();
  b.magic = 0x12345678;
  EXPECT_TRUE(says(message_of(b), "not a GGUF file"));
  b = small_file();
  b.version = 0x03000000;
  EXPECT_TRUE(says(message_of(b), "big-endian"));
  b.version = 1;
  EXPECT_TRUE(says(message_of(b), "GGUF version 1"));
  b.version = 4;
  EXPECT_TRUE(says(message_of(b), "GGUF version 4"));
  b.version = 2;
  EXPECT_EQ(message_of(b), "no error");
}

TEST(Gguf, RefusesCountsBeyondTheFileOrTheLimits) {
  GgufBuilder b = small_file();
  b.extra_tensors = int64_t{1} << 62;
  EXPECT_TRUE(says(message_of(b), "over the limit of 65536"));
  b.extra_tensors = 1000;
  EXPECT_TRUE(says(message_of(b), "truncated"));
  b = small_file();
  b.extra_keys = 60000;
  EXPECT_TRUE(says(message_of(b), "truncated"));
  b = GgufBuilder();
  b.begin_array("a", 0, uint64_t{1} << 60);
  EXPECT_TRUE(says(message_of(b), "over the limit"));
  b = GgufBuilder();
  b.begin_array("a", 12, 1u << 20);
  EXPECT_TRUE(says(message_of(b), "truncated"));
}

TEST(Gguf, LimitsMetadataMemory) {
  GgufBuilder b;
  b.add("a", std::vector<std::string>(100));
  GgufLimits limits;
  limits.max_metadata_bytes = 100 * sizeof(std::string) - 1;
  EXPECT_TRUE(says(message_of(b, limits), "'a' takes the metadata over the limit"));
  limits = {};
  limits.max_string = 3;
  EXPECT_TRUE(says(message_of(GgufBuilder().add("s", std::string("four")), limits), "over the limit of 3"));
}

TEST(Gguf, RefusesRepeatedNames) {
  EXPECT_TRUE(says(message_of(small_file().add("eps", 1.0f)), "'eps' appears twice"));
  EXPECT_TRUE(says(message_of(small_file().tensor("w", kF32, {4}, 16)), "'w' appears twice"));
}

TEST(Gguf, RefusesBadTensors) {
  EXPECT_TRUE(says(message_of(GgufBuilder().tensor("t", kF32, {}, 4)), "has 0 dimensions"));
  EXPECT_TRUE(says(message_of(GgufBuilder().tensor("t", kF32, {1, 1, 1, 1, 1}, 4)), "has 5 dimensions"));
  EXPECT_TRUE(says(message_of(GgufBuilder().tensor("t", kF32, {4, 0}, 4)), "an empty dimension"));
  EXPECT_TRUE(says(message_of(GgufBuilder().tensor("t", kQ4_0, {33}, 18)), "rows of 33 elements"));
  EXPECT_TRUE(says(message_of(GgufBuilder().tensor("t", 13, {256}, 176)), "'t' has type Q5_K (13)"));
  EXPECT_TRUE(says(message_of(GgufBuilder().tensor("t", 4000, {256}, 176)), "has type number 4000"));
  const uint64_t huge = uint64_t{1} << 40;
  EXPECT_TRUE(says(message_of(GgufBuilder().tensor("t", kF32, {huge, huge}, 4)), "overflows 64 bits"));
  EXPECT_TRUE(
      says(message_of(GgufBuilder().tensor(std::string(65, 'n'), kF32, {1}, 4)), "over the limit of 64"));
}

TEST(Gguf, RefusesBadPlacement) {
  EXPECT_TRUE(says(message_of(GgufBuilder().tensor("a", kF32, {8}, 32).tensor_at("b", kF32, {1}, 8)),
                   "begins at offset 8, not a multiple of 32"));
  EXPECT_TRUE(says(message_of(GgufBuilder().tensor("a", kF32, {16}, 64).tensor_at("b", kF32, {1}, 32)),
                   "'a' and 'b' overlap"));
  EXPECT_TRUE(
      says(message_of(GgufBuilder().tensor("a", kF32, {8}, 32).tensor_at("b", kF32, {1}, 0)), "overlap"));
  EXPECT_TRUE(says(message_of(GgufBuilder().tensor_at("a", kF32, {1}, ~uint64_t{31})), "overflows 64 bits"));
  EXPECT_TRUE(says(message_of(GgufBuilder().tensor_at("a", kF32, {1}, 1u << 20)), "truncated"));
  for (const uint32_t alignment : {0u, 4u, 24u, 1u << 20})
    EXPECT_TRUE(
        says(message_of(GgufBuilder().add("general.alignment", alignment)), "must be a power of two"));
  GgufBuilder b;
  b.alignment = 64;
  b.add("general.alignment", uint32_t{64}).tensor("a", kF32, {1}, 4).tensor("b", kF32, {1}, 4);
  const std::string bytes = b.bytes();
  EXPECT_EQ(parse(bytes)->tensor("b").data,
            reinterpret_cast<const uint8_t*>(bytes.data()) + bytes.size() - 64);
}

TEST(Gguf, RefusesBadValues) {
  EXPECT_TRUE(
      says(message_of(GgufBuilder().add_raw("k", 13, uint64_t{0})), "'k' has the unknown value type 13"));
  EXPECT_TRUE(says(message_of(GgufBuilder().add_raw("k", 7, uint8_t{2})), "has the bool value 2"));
  GgufBuilder b;
  b.begin_array("k", 9, 0);
  EXPECT_TRUE(says(message_of(b), "an array of arrays"));
  EXPECT_TRUE(says(message_of(GgufBuilder().add_raw("bad\nkey", 13, uint64_t{0})), "'bad\\x0akey'"));
}

class GgufOnDisk : public ::testing::Test {
 protected:
  void write(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }
  ~GgufOnDisk() override { std::remove(path_.c_str()); }
  std::string path_ = ::testing::TempDir() + "ev_gguf_test_" + std::to_string(::getpid()) + ".gguf";
};

TEST_F(GgufOnDisk, OpensAndNamesThePath) {
  write(small_file().bytes());
  EXPECT_EQ(GgufFile::open(path_)->get_uint("llama.block_count"), 2u);
  write("GGUX");
  EXPECT_TRUE(says(bad_model([&] { GgufFile::open(path_); }), path_ + ": not a GGUF file"));
  write("");
  EXPECT_TRUE(says(bad_model([&] { GgufFile::open(path_); }), "is empty"));
  EXPECT_TRUE(says(bad_model([&] { GgufFile::open(::testing::TempDir()); }), "not a regular file"));
}

TEST_F(GgufOnDisk, MissingFileIsAnIoError) {
  try {
    GgufFile::open(path_ + ".absent");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kIo);
    EXPECT_TRUE(says(e.what(), "No such file"));
  }
}

}  // namespace
}  // namespace ev::io
