#include "io/checksum.h"

#include <cstring>

namespace ev::io {
namespace {

constexpr uint64_t kPrime = 0x9e3779b97f4a7c15u;
constexpr size_t kLanes = 4, kWord = sizeof(uint64_t);

uint64_t step(uint64_t h, uint64_t word) {
  h = (h ^ word) * kPrime;
  return h << 29 | h >> 35;
}

}  // namespace

uint64_t checksum(const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  uint64_t lanes[kLanes] = {1, 2, 3, 4};
  size_t at = 0;
  for (; at + kLanes * kWord <= size; at += kLanes * kWord) {
    uint64_t words[kLanes];
    std::memcpy(words, bytes + at, sizeof(words));
    for (size_t i = 0; i < kLanes; ++i) lanes[i] = step(lanes[i], words[i]);
  }
  for (size_t i = 0; at < size; ++i, at += kWord) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + at, size - at < kWord ? size - at : kWord);
    lanes[i] = step(lanes[i], word);
  }
  uint64_t h = size;
  for (const uint64_t lane : lanes) h = step(h, lane);
  return h;
}

}  // namespace ev::io
