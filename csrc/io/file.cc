#include "io/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace ev::io {

File::File(const std::string& path, const FileCalls& calls) : path_(path), calls_(calls) {
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd_ < 0) fail("cannot be opened");
  struct stat found{};
  const bool locked =
      ::fstat(fd_, &found) == 0 && S_ISREG(found.st_mode) && ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
  if (locked) return;
  const bool regular = S_ISREG(found.st_mode), busy = errno == EWOULDBLOCK;
  ::close(fd_);
  if (regular && !busy) fail("cannot be locked");
  throw Error(ErrorCode::kIo, path_ + (regular ? ": in use by another session" : ": not a regular file"));
}

File::~File() {
  ::close(fd_);
}

void File::fail(const char* what) const {
  throw Error(ErrorCode::kIo, path_ + ": " + what + ": " + std::strerror(errno));
}

uint64_t File::size() const {
  struct stat found{};
  if (::fstat(fd_, &found) != 0) fail("cannot be measured");
  return static_cast<uint64_t>(found.st_size);
}

size_t File::read(void* to, size_t n, uint64_t at) const {
  size_t done = 0;
  while (done < n) {
    const ssize_t got =
        calls_.pread(fd_, static_cast<uint8_t*>(to) + done, n - done, static_cast<off_t>(at + done));
    if (got == 0) break;
    if (got < 0 && errno != EINTR) fail("cannot be read");
    if (got > 0) done += static_cast<size_t>(got);
  }
  return done;
}

void File::write(const void* from, size_t n, uint64_t at) {
  size_t done = 0;
  while (done < n) {
    const ssize_t put =
        calls_.pwrite(fd_, static_cast<const uint8_t*>(from) + done, n - done, static_cast<off_t>(at + done));
    if (put < 0 && errno != EINTR) fail("cannot be written");
    if (put > 0) done += static_cast<size_t>(put);
  }
}

void File::expect_reads(uint64_t at, uint64_t n) const {
  ::posix_fadvise(fd_, static_cast<off_t>(at), static_cast<off_t>(n), POSIX_FADV_WILLNEED);
}

void File::truncate(uint64_t size) {
  if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) fail("cannot be cut");
}

void File::sync() {
  if (::fdatasync(fd_) != 0) fail("cannot be synced");
}

}  // namespace ev::io
