// Any bytes as a session file: refused, or resumed to a state that holds the invariants. Checksums are set
// right first, or no changed byte would ever get past them.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "fuzz/fuzz.h"
#include "io/checksum.h"
#include "kv/cache.h"
#include "kv/invariants.h"
#include "ops/rope.h"

namespace {

using namespace ev;

constexpr size_t kSessionSum = 76, kIndexSum = 48, kIndexBytes = 56, kCellSum = 60;  // docs/FORMATS.md

void put_sum(uint8_t* at, const uint8_t* data, size_t size) {
  const uint64_t sum = io::checksum(data, size);
  std::memcpy(at, &sum, sizeof(sum));
}

void repair_cell(uint8_t* cell, size_t size, const io::SessionHeader& session) {
  uint32_t used = 0;
  std::memcpy(&used, cell + kIndexBytes, sizeof(used));
  uint8_t* const index = cell + io::kSessionBlock;
  const uint64_t units = io::kSessionBlock + session.index_bytes();
  if (size < units || used > session.index_bytes()) return;
  for (uint64_t i = 0; 8 * (i + 1) <= used && units + (i + 1) * session.unit_bytes() <= size; ++i)
    put_sum(index + 8 * i, cell + units + i * session.unit_bytes(), session.unit_bytes());
  put_sum(cell + kIndexSum, index, used);
  put_sum(cell + kCellSum, cell, kCellSum);
}

// A model no larger than a fuzzer can afford.
bool small(const io::SessionHeader& h) {
  return h.layers <= 2 && h.kv_heads <= 2 && h.head_dim <= 16 && h.page_size == 16 && h.cell_pages <= 2 &&
         h.sinks <= 32 && h.element_bytes <= 2;
}

void resume(const std::string& path, const io::SessionHeader& session) {
  kv::PageLayout layout;
  layout.shape = {16, static_cast<int>(session.kv_heads), static_cast<int>(session.head_dim),
                  session.element_bytes == 1 ? ops::KvType::kI8 : ops::KvType::kF16};
  layout.n_layers = session.layers;
  const kv::KeyRotation rotation{ops::rope_inv_freq(static_cast<int>(session.head_dim), 100.0, nullptr),
                                 ops::RopeLayout::kInterleaved};
  kv::SealPolicy policy;
  policy.segment = session.cell_tokens();
  policy.moments = session.moments != 0;
  const auto pool = std::make_shared<kv::PagePool>(layout, 64);
  kv::KvCache cache(pool, {256, session.sinks}, rotation,
                    std::make_shared<kv::Sealer>(policy, layout, rotation));
  ThreadPool threads(1);
  cache.attach(std::make_shared<kv::SessionFile>(path, session), nullptr, threads);
  EV_CLAIM(kv::find_violation(*pool, {&cache}).empty());
  cache.begin_append(1, threads);
  cache.commit();
  cache.checkpoint();
  EV_CLAIM(kv::find_violation(*pool, {&cache}).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < io::kSessionBlock) return 0;
  std::vector<uint8_t> bytes(data, data + size);
  put_sum(bytes.data() + kSessionSum, bytes.data(), kSessionSum);
  fuzz::allow_refusal([&] {
    const io::SessionHeader session = io::parse_session_header(fuzz::view(bytes.data(), size));
    if (!small(session)) return;
    for (uint64_t cell = 0; session.cell_at(cell) + io::kSessionBlock <= size; ++cell)
      repair_cell(bytes.data() + session.cell_at(cell), size - session.cell_at(cell), session);
    const int memory = ::memfd_create("session", MFD_CLOEXEC);
    EV_CLAIM(memory >= 0 && ::write(memory, bytes.data(), size) == static_cast<ssize_t>(size));
    fuzz::allow_refusal([&] { resume("/proc/self/fd/" + std::to_string(memory), session); });
    ::close(memory);
  });
  return 0;
}
