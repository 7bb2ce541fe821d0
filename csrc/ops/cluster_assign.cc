// Kernel of ops/cluster_assign.h, compiled per ISA for its population count.
#include "ops/kernels.h"

namespace ev::ops::EV_ISA {

int64_t cluster_assign(const AssignArgs& a) {
  constexpr int kIdBits =
      24;  // below the distance, so that the least word is the nearest cluster of lowest id
  int64_t open = a.open;
  for (int64_t i = 0; i < a.n; ++i) {
    uint32_t nearest = UINT32_MAX;
    for (int64_t c = 0; c < open; ++c) {
      const auto distance = static_cast<uint32_t>(__builtin_popcount(a.codes[i] ^ a.leaders[c]));
      const uint32_t word = distance << kIdBits | static_cast<uint32_t>(c);
      nearest = word < nearest ? word : nearest;
    }
    if (open > 0 && (nearest >> kIdBits < a.threshold || open == a.capacity)) {
      a.ids[i] = static_cast<int32_t>(nearest & ((1u << kIdBits) - 1));
    } else {
      a.ids[i] = static_cast<int32_t>(open);
      a.leaders[open++] = a.codes[i];
    }
  }
  return open;
}

}  // namespace ev::ops::EV_ISA
