// Which ISA's kernels run. Chosen once, at the first use of an op: the best the CPU supports, or the one
// named by EDGEVID_ISA=scalar|avx2|avx512|neon.
#pragma once

#include <vector>

#include "base/cpu_features.h"

namespace ev::ops {

struct Kernels;  // ops/kernels.h: one function pointer per kernel

// Throws Error(kUnsupported) when EDGEVID_ISA names an unknown ISA, one this build does not contain or one
// this CPU lacks; the message lists what would work.
const Kernels& kernels();
Isa active_isa();

// The ISAs that are compiled in and run here, scalar first, best last.
std::vector<Isa> available_isas();

// Switches the kernels of the whole process; for tests and benchmarks that compare ISAs in one run. Must not
// run beside an op. Throws Error(kUnsupported) like kernels().
void use_isa(Isa isa);

}  // namespace ev::ops
