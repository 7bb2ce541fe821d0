// What a session file gives back: after an orderly end, in the middle of anything, when bytes are damaged.
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "kv/invariants.h"
#include "tests/kv/session_caches.h"

namespace ev::kv {
namespace {

using ev::testing::SessionCaches;

constexpr uint32_t kSinks = SessionCaches::kSinks, kSegment = SessionCaches::kSegment;

void expect_same(const Segment& a, const Segment& b) {
  EXPECT_EQ(a.summed, b.summed);
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (size_t i = 0; i < a.layers.size(); ++i) {
    EXPECT_EQ(a.layers[i].order, b.layers[i].order);
    EXPECT_EQ(a.layers[i].begin, b.layers[i].begin);
    EXPECT_EQ(a.layers[i].mean, b.layers[i].mean);
    EXPECT_EQ(a.layers[i].summaries.means, b.layers[i].summaries.means);
    EXPECT_EQ(a.layers[i].summaries.scales, b.layers[i].summaries.scales);
    EXPECT_EQ(a.layers[i].summaries.radii, b.layers[i].summaries.radii);
  }
}

void expect_whole(const SessionCaches& caches, const KvCache& cache) {
  EXPECT_EQ(find_violation(*caches.pool, {&cache}), "");
  EXPECT_TRUE(SessionCaches::in_place(cache));
}

TEST(SessionFile, SealedSegmentsComeBackAsTheyWere) {
  SessionCaches caches;
  auto cache = caches.resume();
  EXPECT_EQ(cache->length(), 0u);
  for (int i = 0; i < 30; ++i) caches.append(*cache, 9);
  const std::vector<SegmentPtr> before = cache->segments();
  ASSERT_GE(before.size(), 6u);
  cache.reset();  // no checkpoint: as if killed
  cache = caches.resume();
  EXPECT_EQ(cache->length(), kSinks + before.size() * kSegment);
  expect_whole(caches, *cache);
  ASSERT_EQ(cache->segments().size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) expect_same(*cache->segments()[i], *before[i]);
}

TEST(SessionFile, AResumedStreamGoesOnAsIfItHadNeverEnded) {
  SessionCaches caches, others(200);
  auto whole = others.make();
  others.append(*whole, 400);
  others.append(*whole, 1);
  for (const uint32_t length : {150u, 250u, 290u}) {
    auto cache = caches.resume();
    ASSERT_LE(cache->length(), length);
    while (cache->length() < length)
      caches.append(*cache, std::min<uint32_t>(9, static_cast<uint32_t>(length - cache->length())));
    cache->checkpoint();
  }
  auto cache = caches.resume();
  EXPECT_EQ(cache->length(), 290u);
  caches.append(*cache, 110);
  caches.append(*cache, 1);
  expect_whole(caches, *cache);
  ASSERT_EQ(cache->segments().size(), whole->segments().size());
  for (size_t i = 0; i < whole->segments().size(); ++i)
    expect_same(*cache->segments()[i], *whole->segments()[i]);
}

TEST(SessionFile, Int8ComesBackBitForBitAndNothingElseOpensIt) {
  SessionCaches caches(64, ops::KvType::kI8);
  auto cache = caches.resume();
  caches.append(*cache, 150);
  cache->checkpoint();
  const auto bytes = [&] {
    std::vector<uint8_t> out;
    for (const PageId id : cache->pages()) {
      const uint8_t* page = caches.pool->data(id);
      out.insert(out.end(), page, page + caches.pool->layout().page_bytes());
    }
    return out;
  };
  const std::vector<uint8_t> before = bytes();
  cache.reset();
  io::SessionHeader other = caches.header();
  other.element_bytes = 2;
  try {
    SessionFile(caches.path(), other);
    FAIL() << "opened as f16";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadModel);
    EXPECT_EQ(std::string(e.what()),
              "session file: it keeps int8 keys and values, this model was opened with f16");
  }
  cache = caches.resume();
  EXPECT_EQ(cache->length(), 150u);
  expect_whole(caches, *cache);
  EXPECT_EQ(bytes(), before);
}

TEST(SessionFile, AFileAndMemoryAgreeOnTheSizeOfAPage) {
  for (const ops::KvType type : {ops::KvType::kF16, ops::KvType::kF32, ops::KvType::kI8})
    for (const int head_dim : {1, 15, 16, 33, 64, 80, 128}) {
      PageLayout layout;
      layout.shape = {48, 3, head_dim, type};
      layout.n_layers = 1;
      io::SessionHeader h;
      h.kv_heads = 3;
      h.head_dim = static_cast<uint32_t>(head_dim);
      h.page_size = 48;
      h.element_bytes = static_cast<uint32_t>(layout.shape.element_bytes());
      EXPECT_EQ(h.layer_bytes(), layout.layer_bytes());
    }
}

TEST(SessionFile, ACheckpointHoldsEveryToken) {
  SessionCaches caches;
  for (const uint32_t length : {3u, kSinks, kSinks + 5u, 60u, 100u, 333u}) {
    auto cache = caches.resume();
    cache->truncate(0, caches.threads);
    caches.append(*cache, length);
    cache->set_mark(length + 7);
    cache->checkpoint();
    cache->checkpoint();
    cache.reset();
    cache = caches.resume();
    EXPECT_EQ(cache->length(), length);
    EXPECT_EQ(cache->mark(), length + 7);
    expect_whole(caches, *cache);
  }
}

TEST(SessionFile, TheWindowMovesAndTheFileDoesNotGrow) {
  SessionCaches caches;
  auto cache = caches.resume(200);
  uint64_t size = 0;
  for (int i = 0; i < 200; ++i) {
    caches.append(*cache, 7);
    if (i % 40 == 39) {
      cache->checkpoint();
      const uint64_t length = cache->length(), evicted = cache->evicted();
      cache.reset();
      cache = caches.resume(200);
      EXPECT_EQ(cache->length(), length);
      EXPECT_EQ(cache->evicted(), evicted);
      expect_whole(caches, *cache);
      const uint64_t now = std::filesystem::file_size(caches.path());
      if (i > 40) {
        EXPECT_LE(now, size + caches.header().cell_bytes());
      }
      size = std::max(size, now);
    }
  }
  EXPECT_GT(cache->evicted(), 1000u);
}

TEST(SessionFile, WhatWasTakenBackStaysAway) {
  SessionCaches caches;
  auto cache = caches.resume();
  caches.append(*cache, 300);
  caches.append(*cache, 1);
  cache->checkpoint();
  cache->truncate(kSinks + 2 * kSegment + 3, caches.threads);
  cache.reset();
  cache = caches.resume();
  EXPECT_EQ(cache->length(), kSinks + 2 * kSegment);
  cache->truncate(kSinks - 1, caches.threads);
  cache.reset();
  EXPECT_EQ(caches.resume()->length(), 0u);
}

TEST(SessionFile, WhatWasSavedStaysWhenOnlyNewerTokensAreTakenBack) {
  SessionCaches caches;
  for (const uint32_t length : {kSinks - 3u, kSinks + 5u, 300u}) {
    auto cache = caches.resume();
    cache->truncate(0, caches.threads);
    caches.append(*cache, length);
    cache->checkpoint();
    caches.append(*cache, 2);
    cache->truncate(length, caches.threads);
    cache.reset();  // as if killed
    cache = caches.resume();
    EXPECT_EQ(cache->length(), length);
    expect_whole(caches, *cache);
  }
}

TEST(SessionFile, MarksAreThoseOfTheTokensThatRemain) {
  SessionCaches caches;
  const std::string copy = caches.path() + ".copy";
  auto cache = caches.resume();
  for (uint32_t i = 1; i <= 30; ++i) {
    caches.append(*cache, 10);
    cache->set_mark(i);
  }
  const auto ends_with = [&caches](KvCache& any, uint64_t length, uint64_t mark) {
    any.truncate(length, caches.threads);
    return any.mark() == mark;
  };
  auto fork = cache->fork();
  EXPECT_EQ(fork->mark(), 30u);
  EXPECT_TRUE(ends_with(*fork, 105, 10));  // sealed and in the file
  cache->checkpoint();
  cache.reset();
  cache = caches.resume();
  EXPECT_EQ(cache->mark(), 30u);
  cache->copy_to(std::make_shared<SessionFile>(copy, caches.header()));
  const uint64_t sealed = kSinks + 2 * kSegment;
  EXPECT_TRUE(ends_with(*cache, sealed, sealed / 10));
  auto again = caches.make();
  again->attach(std::make_shared<SessionFile>(copy, caches.header()), nullptr, caches.threads);
  EXPECT_TRUE(ends_with(*again, sealed, sealed / 10));
}

TEST(SessionFile, ForksWriteNothing) {
  SessionCaches caches;
  auto cache = caches.resume();
  caches.append(*cache, 100);
  auto fork = cache->fork();
  caches.append(*fork, 150);
  caches.append(*fork, 1);
  EXPECT_GT(fork->segments().size(), cache->segments().size());
  EXPECT_EQ(find_violation(*caches.pool, {cache.get(), fork.get()}), "");
  EXPECT_THROW(fork->checkpoint(), Error);
  cache.reset();
  fork.reset();
  EXPECT_LE(caches.resume()->length(), 100u);
}

TEST(SessionFile, ACopyIsASessionOfItsOwn) {
  SessionCaches caches;
  auto cache = caches.resume(200);
  for (int i = 0; i < 50; ++i) caches.append(*cache, 9);
  cache->set_mark(5);
  const std::string copy = caches.path() + ".copy";
  cache->copy_to(std::make_shared<SessionFile>(copy, caches.header()));
  auto again = caches.make(200);
  again->attach(std::make_shared<SessionFile>(copy, caches.header()), nullptr, caches.threads);
  EXPECT_EQ(again->length(), cache->length());
  EXPECT_EQ(again->evicted(), cache->evicted());
  EXPECT_EQ(again->mark(), 5u);
  EXPECT_TRUE(SessionCaches::in_place(*again));
  EXPECT_EQ(find_violation(*caches.pool, {cache.get(), again.get()}), "");
}

TEST(SessionFile, DamageCostsNoMoreThanItMust) {
  SessionCaches caches;
  auto cache = caches.resume();
  caches.append(*cache, 300);
  caches.append(*cache, 1);
  cache->checkpoint();
  const size_t segments = cache->segments().size();
  ASSERT_EQ(segments, 8u);
  cache.reset();
  const auto damage = [&](uint64_t at) {
    std::fstream file(caches.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ 4));
  };
  // Cells: sinks, segments 0..7, tail.
  const io::SessionHeader h = caches.header();
  damage(h.unit_at(9, 1, 0) + 5);
  EXPECT_EQ(caches.resume()->length(), kSinks + 8 * kSegment);
  damage(h.unit_at(8, 0, 1) + 700);
  EXPECT_EQ(caches.resume()->length(), kSinks + 7 * kSegment);
  damage(h.cell_at(7) + io::kSessionBlock + 33);
  EXPECT_EQ(caches.resume()->length(), kSinks + 6 * kSegment);
  damage(h.unit_at(3, 0, 0) + 1);
  {
    auto later = caches.resume();
    EXPECT_EQ(later->length(), kSinks + 6 * kSegment);
    EXPECT_EQ(later->evicted(), 3 * kSegment);
    EXPECT_EQ(later->segments().size(), 3u);
  }
  damage(h.unit_at(0, 0, 0) + 1);
  EXPECT_EQ(caches.resume()->length(), 0u);
  damage(9);
  EXPECT_THROW(caches.resume(), Error);
}

TEST(SessionFile, OtherFilesAreLeftAlone) {
  SessionCaches caches;
  std::ofstream(caches.path()) << "a letter";
  EXPECT_THROW(caches.file(), Error);
  EXPECT_EQ(std::filesystem::file_size(caches.path()), 8u);
  std::filesystem::remove(caches.path());
  caches.file();
  io::SessionHeader other = caches.header();
  other.model = 2;
  EXPECT_THROW(SessionFile(caches.path(), other), Error);
  const auto held = caches.file();
  EXPECT_THROW(caches.file(), Error);
}

// Of write number `failing` on (counted from 0), all fail as on a full disk until it is set back.
int writes = 0, failing = -1;

io::FileCalls failing_calls() {
  io::FileCalls calls;
  calls.pwrite = [](int fd, const void* from, size_t n, off_t at) -> ssize_t {
    if (failing >= 0 && writes++ >= failing) {
      errno = ENOSPC;
      return -1;
    }
    return ::pwrite(fd, from, n, at);
  };
  return calls;
}

TEST(SessionFile, AFullDiskLosesNothing) {
  for (int first = 0; first < 40; ++first) {
    SessionCaches caches;
    auto cache = caches.resume(0, 0, failing_calls());
    caches.append(*cache, 60);
    writes = 0;
    failing = first;
    bool refused = false;
    while (!refused && cache->length() < 300) {
      const uint64_t length = cache->length();
      try {
        caches.append(*cache, 9);
      } catch (const Error& e) {
        refused = true;
        ASSERT_EQ(e.code(), ErrorCode::kIo);
        ASSERT_EQ(cache->length(), length);
        ASSERT_EQ(cache->pending(), 0u);
      }
      ASSERT_EQ(find_violation(*caches.pool, {cache.get()}), "");
    }
    ASSERT_TRUE(refused);
    EXPECT_THROW(cache->checkpoint(), Error);
    failing = -1;
    caches.append(*cache, 9);
    cache->checkpoint();
    const uint64_t length = cache->length();
    cache.reset();
    cache = caches.resume();
    ASSERT_EQ(cache->length(), length);
    expect_whole(caches, *cache);
  }
}

}  // namespace
}  // namespace ev::kv
