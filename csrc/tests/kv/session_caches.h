// Small caches with sealing on session files in a folder of their own.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "kv/session_file.h"
#include "tests/kv/sealed_cache.h"

namespace ev::testing {

class SessionCaches : public SealedCaches {
 public:
  explicit SessionCaches(size_t pages = 64, ops::KvType type = ops::KvType::kF16)
      : SealedCaches(pages, type) {
    std::string name = (std::filesystem::temp_directory_path() / "ev_kv_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~SessionCaches() { std::filesystem::remove_all(folder_); }
  SessionCaches(const SessionCaches&) = delete;
  SessionCaches& operator=(const SessionCaches&) = delete;

  std::string path() const { return (folder_ / "session").string(); }

  io::SessionHeader header() const {
    io::SessionHeader h;
    h.element_bytes = static_cast<uint32_t>(pool->layout().shape.element_bytes());
    h.model = 1;
    h.layers = kLayers;
    h.kv_heads = kKvHeads;
    h.head_dim = kHeadDim;
    h.page_size = kPageSize;
    h.cell_pages = kSegment / kPageSize;
    h.sinks = kSinks;
    h.hamming = 9;
    h.clusters = 12;
    h.centred = 1;
    h.moments = 1;
    return h;
  }

  std::shared_ptr<kv::SessionFile> file(const io::FileCalls& calls = {}) const {
    return std::make_shared<kv::SessionFile>(path(), header(), calls);
  }

  // A cache that goes on where the session file ends. `slots` 0: all in pages.
  std::unique_ptr<kv::KvCache> resume(uint32_t window = 0, size_t slots = 0,
                                      const io::FileCalls& calls = {}) {
    auto cache = make(window);
    const std::shared_ptr<kv::SessionFile> opened = file(calls);
    std::shared_ptr<kv::SlotPool> pool_of_slots;
    if (slots > 0)
      pool_of_slots = std::make_shared<kv::SlotPool>(opened, slots * kv::SlotPool::slot_cost(header()));
    cache->attach(opened, pool_of_slots, threads);
    return cache;
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace ev::testing
