// RAM for sealed tokens that live in a session file: a fixed budget of slots, each one layer of one page.
//
// A step asks for the pages of a layer that it attends; those not in a slot are read from the file, and stay
// until their room is needed. Layers take turns, always in the same order, so the least recently used slot is
// often the next one needed: a slot is given up first when its layer's last turn did without it (the oldest
// of such), else when its layer's next turn is the farthest.
//
// The cluster index of the segments counts against the same budget (set_index_bytes). Thread-safe: a sequence
// and its forks share one pool; who finds all slots held waits until another gives some back.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "kv/session_file.h"

namespace ev::kv {

struct SlotStats {
  uint64_t capacity = 0, resident = 0, held = 0;  // slots: allowed, with memory, in use by steps
  uint64_t hits = 0, reads = 0;                   // pages of layers asked for: found, read from the file
  uint64_t slot_bytes = 0;
};

class SlotPool {
  struct Slot {
    uint8_t* data = nullptr;
    uint64_t key = 0;
    uint64_t turn = 0;  // of its layer, when it was used last
    uint32_t layer = 0, holders = 0;
  };
  using Slots = std::list<Slot>;

 public:
  struct Page {
    const Cell* cell = nullptr;
    uint32_t page = 0;
  };

  // Slots that a step reads; given back when this goes.
  class Held {
   public:
    Held() = default;
    ~Held() { release(); }
    Held(Held&& other) noexcept { swap(other); }
    Held& operator=(Held&& other) noexcept {
      release();
      swap(other);
      return *this;
    }
    size_t size() const { return slots_.size(); }
    uint8_t* data(size_t i) const { return slots_[i]->data; }
    void release() noexcept;

   private:
    friend class SlotPool;
    void swap(Held& other) noexcept {
      std::swap(pool_, other.pool_);
      slots_.swap(other.slots_);
    }
    SlotPool* pool_ = nullptr;
    std::vector<Slots::iterator> slots_;
  };

  // What a slot costs, its bookkeeping included.
  static uint64_t slot_cost(const io::SessionHeader& session);

  // Throws Error(kOutOfMemory) when the address space is full.
  SlotPool(std::shared_ptr<const SessionFile> file, uint64_t max_bytes);
  ~SlotPool();
  SlotPool(const SlotPool&) = delete;
  SlotPool& operator=(const SlotPool&) = delete;

  // One layer of each page, in slots, in order. The caller holds nothing else of this pool. Throws Error(kIo)
  // from the file, Error(kOutOfMemory) when there are fewer slots than pages.
  Held hold(uint32_t layer, const std::vector<Page>& pages);
  // Says that these will be asked for soon.
  void expect(uint32_t layer, const std::vector<Page>& pages) const;
  // Where these lie now; null those in no slot.
  std::vector<uint8_t*> find(uint32_t layer, const std::vector<Page>& pages) const;
  void set_index_bytes(uint64_t bytes);

  const SessionFile& file() const { return *file_; }
  SlotStats stats() const;
  // For the validator: an empty string when every slot is in one list, found under its key, and no more have
  // memory than may.
  std::string find_violation() const;

 private:
  using Lock = std::unique_lock<std::mutex>;

  uint64_t key_of(const Page& page, uint32_t layer) const;
  void hold_known(uint32_t layer, const std::vector<Page>& pages, Held& held, std::vector<size_t>& missing);
  bool room_for(size_t slots) const;
  void read_missing(uint32_t layer, const std::vector<Page>& pages, const std::vector<size_t>& missing,
                    Held& held);
  void take_slot(uint32_t layer);
  Slots* victim_list(uint32_t layer);
  void give_up_memory(Slots& from, Slots::iterator slot);
  void shrink();

  const std::shared_ptr<const SessionFile> file_;
  const uint64_t max_bytes_;
  const uint32_t layers_;
  const size_t slot_bytes_;
  uint8_t* memory_ = nullptr;
  size_t memory_bytes_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable given_back_;
  uint64_t capacity_ = 0;
  Slots untouched_;              // without memory
  Slots held_;                   // in use by steps
  std::vector<Slots> idle_;      // per layer, the most recently used first
  std::vector<uint64_t> turns_;  // per layer, how often it was asked
  std::unordered_map<uint64_t, Slots::iterator> where_;
  uint64_t hits_ = 0, reads_ = 0;
};

}  // namespace ev::kv
