// A file for reading and writing at given places, private to its owner (mode 0600) and to one process at a
// time.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace ev::io {

// What the operating system is asked for; tests put failures here.
struct FileCalls {
  ssize_t (*pread)(int fd, void* to, size_t n, off_t at) = ::pread;
  ssize_t (*pwrite)(int fd, const void* from, size_t n, off_t at) = ::pwrite;
};

// Errors are Error(kIo) with path and reason. Reads and writes at different places are thread-safe.
class File {
 public:
  // Opens, or makes, the file and locks it; Error(kIo) too when another process, or another File, has it.
  explicit File(const std::string& path, const FileCalls& calls = {});
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const;
  // Fewer than n bytes only at the end of the file; returns how many.
  size_t read(void* to, size_t n, uint64_t at) const;
  void write(const void* from, size_t n, uint64_t at);
  // Asks the system to fetch a range that will soon be read; a hint.
  void expect_reads(uint64_t at, uint64_t n) const;
  void truncate(uint64_t size);
  void sync();  // to the disk

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string path_;
  FileCalls calls_;
  int fd_ = -1;
};

}  // namespace ev::io
