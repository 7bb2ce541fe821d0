// What the running CPU can execute and how many CPUs this process may use.
#pragma once

namespace ev {

// The instruction sets for which ops are compiled. Each name is also a value of EDGEVID_ISA.
enum class Isa {
  kScalar,  // the compiler's baseline for the target
  kAvx2,    // AVX2 + FMA + F16C
  kAvx512,  // AVX-512 F, BW, DQ, VL and VNNI
  kNeon,    // ARMv8.2-A with dot products and half-precision arithmetic
};

const char* isa_name(Isa isa);  // "scalar", "avx2", "avx512", "neon"

// True when the CPU and the operating system run code compiled for `isa` (kScalar: always).
bool cpu_supports(Isa isa);

// CPUs this process may keep busy: those of its affinity mask, or fewer where a container's quota (cgroup v2)
// allows less; at least 1.
int usable_cpus();

}  // namespace ev
