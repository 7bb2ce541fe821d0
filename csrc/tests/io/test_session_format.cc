// Headers of session files survive a round trip, and nothing else passes for one.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <random>
#include <string>

#include "base/error.h"
#include "io/checksum.h"
#include "io/file.h"
#include "io/session_format.h"

namespace ev::io {
namespace {

std::string_view view(const SessionBlock& block) {
  return {reinterpret_cast<const char*>(block.data()), block.size()};
}

SessionHeader session() {
  SessionHeader h;
  h.model = 7;
  h.layers = 30;
  h.kv_heads = 3;
  h.head_dim = 64;
  h.page_size = 64;
  h.cell_pages = 4;
  h.sinks = 64;
  h.hamming = 7;
  h.clusters = 128;
  h.centred = 1;
  h.moments = 1;
  h.seed = 11;
  return h;
}

TEST(Checksum, SeesEveryChangedBitAndEveryLength) {
  std::mt19937 random(1);
  std::vector<uint8_t> bytes(200);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const uint64_t sum = checksum(bytes.data(), size);
    EXPECT_NE(sum, checksum(bytes.data(), size + 1));
    for (size_t bit = 0; bit < 8 * size; bit += 7) {
      bytes[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
      EXPECT_NE(checksum(bytes.data(), size), sum);
      bytes[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    }
  }
}

TEST(SessionFormat, HeadersComeBack) {
  const SessionHeader want = session(), got = parse_session_header(view(encode(want)));
  EXPECT_TRUE(got == want);
  EXPECT_EQ(got.unit_bytes(), 48u * 1024);
  EXPECT_EQ(got.unit_at(1, 0, 1) % kSessionBlock, 0u);
  EXPECT_EQ(got.unit_at(0, 29, 3) + got.unit_bytes(), got.cell_at(1));
  CellHeader cell, found;
  cell.serial = 9;
  cell.kind = CellKind::kSealed;
  cell.tokens = 256;
  cell.first_position = 64;
  cell.mark = 5;
  cell.index_bytes = 100;
  ASSERT_TRUE(parse_cell_header(view(encode(cell)), want, found));
  EXPECT_EQ(found.serial, 9u);
  EXPECT_EQ(found.tokens, 256u);
  EXPECT_EQ(found.mark, 5u);
  EXPECT_EQ(found.pages(want), 4u);
}

TEST(SessionFormat, DamageIsRefused) {
  CellHeader cell, found;
  cell.tokens = 3;
  for (size_t byte = 0; byte < 80; ++byte) {
    SessionBlock block = encode(session());
    block[byte] ^= 1;
    EXPECT_THROW(parse_session_header(view(block)), Error) << byte;
  }
  for (size_t byte = 0; byte < 68; ++byte) {
    SessionBlock block = encode(cell);
    block[byte] ^= 1;
    EXPECT_FALSE(parse_cell_header(view(block), session(), found)) << byte;
  }
  EXPECT_THROW(parse_session_header(view(encode(session())).substr(1)), Error);
  EXPECT_THROW(parse_session_header(""), Error);
  SessionHeader huge = session();
  huge.layers = 1u << 30;
  EXPECT_THROW(parse_session_header(view(encode(huge))), Error);
  CellHeader long_one = cell, fat = cell, late = cell, partless = cell, last = cell;
  long_one.tokens = 257;
  fat.index_bytes = 1u << 30;
  late.part = 1;
  partless.parts = 0;
  last.serial = ~uint64_t{0};  // the next one would be the oldest of all
  for (const CellHeader& bad : {long_one, fat, late, partless, last})
    EXPECT_FALSE(parse_cell_header(view(encode(bad)), session(), found));
}

class FileTest : public ::testing::Test {
 protected:
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("ev_io_" + std::to_string(getpid()));
  std::string path_ = (folder_ / "file").string();
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
};

TEST_F(FileTest, IsPrivateAndHeldByOneAtATime) {
  File file(path_);
  struct stat found{};
  ASSERT_EQ(stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  EXPECT_THROW(File{path_}, Error);
  EXPECT_THROW(File{folder_.string()}, Error);
  EXPECT_THROW(File{(folder_ / "no" / "file").string()}, Error);
}

TEST_F(FileTest, GoesOnAfterShortReadsAndWrites) {
  FileCalls calls;
  calls.pread = [](int fd, void* to, size_t n, off_t at) { return ::pread(fd, to, n > 3 ? 3 : n, at); };
  calls.pwrite = [](int fd, const void* from, size_t n, off_t at) -> ssize_t {
    static int call = 0;
    if (++call % 2 == 0) {
      errno = EINTR;
      return -1;
    }
    return ::pwrite(fd, from, n > 5 ? 5 : n, at);
  };
  File file(path_, calls);
  const std::string text = "what is written comes back";
  file.write(text.data(), text.size(), 10);
  EXPECT_EQ(file.size(), 10 + text.size());
  std::string back(text.size() + 5, '\0');
  EXPECT_EQ(file.read(back.data(), back.size(), 10), text.size());
  EXPECT_EQ(back.substr(0, text.size()), text);
}

TEST_F(FileTest, AFullDiskIsNamed) {
  FileCalls calls;
  calls.pwrite = [](int, const void*, size_t, off_t) -> ssize_t {
    errno = ENOSPC;
    return -1;
  };
  File file(path_, calls);
  try {
    file.write("x", 1, 0);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(e.what()).find("No space left"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find(path_), std::string::npos);
  }
}

}  // namespace
}  // namespace ev::io
