#include "kv/slot_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"

namespace ev::kv {
namespace {

constexpr uint64_t kBookkeeping = 192;  // bytes of a list node, a hash entry and their heap headers

}  // namespace

uint64_t SlotPool::slot_cost(const io::SessionHeader& session) {
  return session.unit_bytes() + kBookkeeping;
}

SlotPool::SlotPool(std::shared_ptr<const SessionFile> file, uint64_t max_bytes)
    : file_(std::move(file)),
      max_bytes_(max_bytes),
      layers_(file_->header().layers),
      slot_bytes_(file_->header().unit_bytes()),
      idle_(layers_),
      turns_(layers_) {
  const size_t most = max_bytes / slot_cost(file_->header());
  untouched_.resize(most);  // first: nothing is mapped when this fails
  where_.reserve(most);
  memory_bytes_ = std::max<size_t>(most, 1) * slot_bytes_;
  void* const memory = ::mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    throw Error(ErrorCode::kOutOfMemory,
                "cannot set aside " + std::to_string(memory_bytes_) + " bytes for KV slots");
  memory_ = static_cast<uint8_t*>(memory);
  uint8_t* at = memory_;
  for (Slot& slot : untouched_) {
    slot.data = at;
    at += slot_bytes_;
  }
  capacity_ = most;
}

SlotPool::~SlotPool() {
  ::munmap(memory_, memory_bytes_);
}

uint64_t SlotPool::key_of(const Page& page, uint32_t layer) const {
  return (page.cell->header.serial * layers_ + layer) * file_->header().cell_pages + page.page;
}

SlotPool::Held SlotPool::hold(uint32_t layer, const std::vector<Page>& pages) {
  Held held;  // before the lock, which is free again when an error makes this give back what it has
  held.slots_.resize(pages.size(), held_.end());
  std::vector<size_t> missing;
  missing.reserve(pages.size());
  Lock lock(mutex_);
  ++turns_[layer];
  for (;;) {
    if (pages.size() > capacity_)
      throw Error(ErrorCode::kOutOfMemory, "a step attends " + std::to_string(pages.size()) +
                                               " sealed pages, but ram_bytes leaves room for " +
                                               std::to_string(capacity_));
    hold_known(layer, pages, held, missing);
    held.pool_ = this;
    if (room_for(missing.size())) break;
    lock.unlock();
    held.release();
    lock.lock();
    held.slots_.resize(pages.size(), held_.end());
    if (!room_for(pages.size())) given_back_.wait(lock);
  }
  hits_ += pages.size() - missing.size();
  read_missing(layer, pages, missing, held);
  return held;
}

void SlotPool::hold_known(uint32_t layer, const std::vector<Page>& pages, Held& held,
                          std::vector<size_t>& missing) {
  missing.clear();
  for (size_t i = 0; i < pages.size(); ++i) {
    const auto found = where_.find(key_of(pages[i], layer));
    if (found == where_.end()) {
      missing.push_back(i);
      continue;
    }
    const Slots::iterator slot = found->second;
    if (slot->holders++ == 0) held_.splice(held_.begin(), idle_[layer], slot);
    held.slots_[i] = slot;
  }
}

// Whether so many slots can be had without waiting.
bool SlotPool::room_for(size_t slots) const {
  return held_.size() + slots <= capacity_;
}

void SlotPool::read_missing(uint32_t layer, const std::vector<Page>& pages,
                            const std::vector<size_t>& missing, Held& held) {
  for (const size_t i : missing) {
    take_slot(layer);
    const Slots::iterator slot = untouched_.begin();
    try {
      file_->read(*pages[i].cell, layer, pages[i].page, slot->data);
      slot->key = key_of(pages[i], layer);
      where_.emplace(slot->key, slot);
    } catch (...) {
      give_up_memory(untouched_, slot);
      throw;
    }
    slot->layer = layer;
    slot->holders = 1;
    held_.splice(held_.begin(), untouched_, slot);
    held.slots_[i] = slot;
    ++reads_;
  }
}

// Leaves a slot that may be written at the head of untouched_.
void SlotPool::take_slot(uint32_t layer) {
  const uint64_t resident = where_.size();
  if (resident < capacity_) return;
  Slots& from = *victim_list(layer);
  const Slots::iterator victim = std::prev(from.end());
  where_.erase(victim->key);
  untouched_.splice(untouched_.begin(), from, victim);
}

// The list whose last slot is to go; room_for() has promised that there is one.
SlotPool::Slots* SlotPool::victim_list(uint32_t layer) {
  Slots* stale = nullptr;
  for (uint32_t i = 0; i < layers_; ++i) {
    Slots& list = idle_[i];
    if (list.empty() || list.back().turn == turns_[i]) continue;
    if (stale == nullptr || turns_[i] - list.back().turn > turns_[stale->back().layer] - stale->back().turn)
      stale = &list;
  }
  if (stale != nullptr) return stale;
  for (uint32_t back = 1; back <= layers_; ++back) {
    Slots& list = idle_[(layer + layers_ - back) % layers_];
    if (!list.empty()) return &list;
  }
  throw Error(ErrorCode::kInternal, "all KV slots are held");
}

void SlotPool::give_up_memory(Slots& from, Slots::iterator slot) {
  ::madvise(slot->data, slot_bytes_, MADV_DONTNEED);
  untouched_.splice(untouched_.end(), from, slot);
}

void SlotPool::Held::release() noexcept {
  if (pool_ == nullptr) return;
  const Lock lock(pool_->mutex_);
  for (const Slots::iterator& slot : slots_) {
    if (slot == pool_->held_.end() || --slot->holders > 0) continue;
    slot->turn = pool_->turns_[slot->layer];
    Slots& idle = pool_->idle_[slot->layer];
    idle.splice(idle.begin(), pool_->held_, slot);
  }
  slots_.clear();
  pool_->shrink();
  pool_->given_back_.notify_all();
  pool_ = nullptr;
}

void SlotPool::expect(uint32_t layer, const std::vector<Page>& pages) const {
  const Lock lock(mutex_);
  for (size_t i = 0; i < pages.size();) {
    size_t end = i;  // pages of one cell that follow each other are asked for together
    while (end < pages.size() && pages[end].cell == pages[i].cell &&
           pages[end].page == pages[i].page + (end - i) &&
           where_.find(key_of(pages[end], layer)) == where_.end())
      ++end;
    if (end > i) file_->expect_reads(*pages[i].cell, layer, pages[i].page, static_cast<uint32_t>(end - i));
    i = std::max(end, i + 1);
  }
}

std::vector<uint8_t*> SlotPool::find(uint32_t layer, const std::vector<Page>& pages) const {
  const Lock lock(mutex_);
  std::vector<uint8_t*> found;
  for (const Page& page : pages) {
    const auto at = where_.find(key_of(page, layer));
    found.push_back(at == where_.end() ? nullptr : at->second->data);
  }
  return found;
}

void SlotPool::set_index_bytes(uint64_t bytes) {
  const Lock lock(mutex_);
  capacity_ = (max_bytes_ - std::min(bytes, max_bytes_)) / slot_cost(file_->header());
  shrink();
}

void SlotPool::shrink() {
  while (where_.size() > capacity_ && held_.size() < where_.size()) {
    Slots& from = *victim_list(0);
    const Slots::iterator victim = std::prev(from.end());
    where_.erase(victim->key);
    give_up_memory(from, victim);
  }
}

SlotStats SlotPool::stats() const {
  const Lock lock(mutex_);
  return {capacity_, where_.size(), held_.size(), hits_, reads_, slot_bytes_};
}

std::string SlotPool::find_violation() const {
  const Lock lock(mutex_);
  size_t listed = held_.size();
  const auto known = [this](const Slot& slot) {
    const auto found = where_.find(slot.key);
    return found != where_.end() && &*found->second == &slot;
  };
  for (const Slot& slot : held_)
    if (slot.holders == 0 || !known(slot)) return "a slot is held by nobody, or not found under its key";
  for (uint32_t layer = 0; layer < layers_; ++layer) {
    listed += idle_[layer].size();
    for (const Slot& slot : idle_[layer])
      if (slot.holders != 0 || slot.layer != layer || !known(slot)) return "an idle slot is in a wrong list";
  }
  if (listed != where_.size()) return "the slots listed are not the slots known";
  if (listed + untouched_.size() != memory_bytes_ / slot_bytes_ && listed + untouched_.size() != 0)
    return "a slot is lost";
  if (where_.size() > std::max<uint64_t>(capacity_, held_.size())) return "more slots have memory than may";
  return "";
}

}  // namespace ev::kv
