// kill -9 in the middle of any write of a session file: what was sealed is there, whole, and the stream goes
// on.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <random>

#include "kv/invariants.h"
#include "tests/kv/session_caches.h"

namespace ev::kv {
namespace {

using ev::testing::SessionCaches;

constexpr uint32_t kWindow = 200;

constexpr int kKills = 100;  // of each kind

int writes_left = 0;
size_t torn_bytes = 0;

// Performs the last write in part, then ends the process.
ssize_t write_until_killed(int fd, const void* from, size_t n, off_t at) {
  if (writes_left-- > 0) return ::pwrite(fd, from, n, at);
  if (::pwrite(fd, from, torn_bytes % n, at) >= 0) ::kill(::getpid(), SIGKILL);
  return -1;
}

// Streams until it is killed; tells through the pipe what must be found again.
[[noreturn]] void stream(SessionCaches& caches, size_t slots, int pipe) {
  io::FileCalls calls;
  calls.pwrite = write_until_killed;
  auto cache = caches.resume(kWindow, slots, calls);
  for (int step = 1;; ++step) {
    caches.append(*cache, 9);
    uint64_t safe = 0;
    if (!cache->journal()->segments().empty()) safe = cache->journal()->segments().back()->end();
    if (step % 20 == 0) {
      cache->checkpoint();
      safe = cache->length();
    }
    if (safe > 0 && ::write(pipe, &safe, sizeof(safe)) != sizeof(safe)) std::abort();
  }
}

uint64_t run_and_kill(SessionCaches& caches, size_t slots) {
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) stream(caches, slots, ends[1]);
  ::close(ends[1]);
  uint64_t safe = 0, told = 0;
  while (::read(ends[0], &told, sizeof(told)) == sizeof(told)) safe = told;
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  return safe;
}

TEST(SessionKill, NothingSealedIsLostAtAnyPoint) {
  std::mt19937 random(3);
  for (const size_t slots : {size_t{0}, size_t{24}}) {
    SessionCaches caches;
    uint64_t longest = 0;
    for (int round = 0; round < kKills; ++round) {
      writes_left = static_cast<int>(random() % 60);
      torn_bytes = random();
      const uint64_t safe = run_and_kill(caches, slots);
      auto cache = caches.resume(kWindow, slots);
      ASSERT_GE(cache->length(), std::max(safe, longest)) << "round " << round;
      ASSERT_EQ(find_violation(*caches.pool, {cache.get()}), "");
      ASSERT_TRUE(SessionCaches::in_place(*cache));
      longest = cache->length();
      if (longest > 1500) {  // begin anew, so that the first writes are met again
        cache.reset();
        std::filesystem::remove(caches.path());
        longest = 0;
      }
    }
  }
}

}  // namespace
}  // namespace ev::kv
