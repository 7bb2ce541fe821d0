#include "ops/registry.h"

#include <atomic>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "ops/kernels.h"

namespace ev::ops {

namespace scalar {
extern const Kernels kTable;
}
namespace avx2 {
extern const Kernels kTable;
}
namespace avx512 {
extern const Kernels kTable;
}
namespace neon {
extern const Kernels kTable;
}

namespace {

struct Entry {
  Isa isa;
  const Kernels* table;
};

// What this build contains, best last.
constexpr Entry kCompiled[] = {
    {Isa::kScalar, &scalar::kTable},
#if defined(__x86_64__)
    {Isa::kAvx2, &avx2::kTable},
    {Isa::kAvx512, &avx512::kTable},
#elif defined(__aarch64__)
    {Isa::kNeon, &neon::kTable},
#endif
};

std::string usable_names() {
  std::string names;
  for (const Isa isa : available_isas()) names += (names.empty() ? "" : ", ") + std::string(isa_name(isa));
  return names;
}

const Entry* find(Isa isa) {
  for (const Entry& e : kCompiled)
    if (e.isa == isa && cpu_supports(isa)) return &e;
  return nullptr;
}

const Entry* choose() {
  const char* forced = std::getenv("EDGEVID_ISA");
  if (forced == nullptr || *forced == '\0') return find(available_isas().back());
  for (const Isa isa : available_isas())
    if (std::string(forced) == isa_name(isa)) return find(isa);
  throw Error(ErrorCode::kUnsupported, "EDGEVID_ISA=" + std::string(forced) +
                                           " does not run here; this machine runs " + usable_names());
}

std::atomic<const Entry*>& active() {
  static std::atomic<const Entry*> entry{choose()};
  return entry;
}

}  // namespace

const Kernels& kernels() {
  return *active().load(std::memory_order_relaxed)->table;
}

Isa active_isa() {
  return active().load(std::memory_order_relaxed)->isa;
}

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  for (const Entry& e : kCompiled)
    if (cpu_supports(e.isa)) isas.push_back(e.isa);
  return isas;
}

void use_isa(Isa isa) {
  const Entry* entry = find(isa);
  if (entry == nullptr)
    throw Error(ErrorCode::kUnsupported,
                std::string(isa_name(isa)) + " does not run here; this machine runs " + usable_names());
  active().store(entry, std::memory_order_relaxed);
}

}  // namespace ev::ops
