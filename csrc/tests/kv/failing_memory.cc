#include "tests/kv/failing_memory.h"

#include <cstdlib>
#include <new>

namespace {

thread_local int allocations_left = -1;  // -1: any number

}  // namespace

void* operator new(std::size_t size) {
  if (allocations_left == 0) {
    allocations_left = -1;
    throw std::bad_alloc();
  }
  if (allocations_left > 0) --allocations_left;
  void* const memory = std::malloc(size > 0 ? size : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size > 0 ? size : 1);
}

void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}

void operator delete(void* memory) noexcept {
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace ev::testing {

FailingMemory::FailingMemory(int after) {
  allocations_left = after;
}

FailingMemory::~FailingMemory() {
  allocations_left = -1;
}

}  // namespace ev::testing
