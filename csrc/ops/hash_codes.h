// 32-bit codes of keys: on which side of 32 random hyperplanes they lie (SimHash, Charikar 2002). The
// specification is edgevid/ops/hash_codes.py.
//
//   x = clip(round_half_even((keys - centre) * 256), +-32767)          NaN counts as -32767
//   bit b of the code is set where sum_j x[j] * H[j, b] >= 0           H is +-1; all sums are integers
//
// So a code is the same on every ISA, thread count and machine.
#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"
#include "base/thread_pool.h"

namespace ev::ops {

// H for one layer. Bit b of word j, from a splitmix64 counter (Steele 2014) over (seed, layer, j), says
// whether H[j, b] is +1.
class Hyperplanes {
 public:
  // Throws Error(kInvalidArgument) unless 1 <= dims <= 65536, beyond which a sum could overflow 32 bits.
  Hyperplanes(uint64_t seed, uint32_t layer, int64_t dims);

  int64_t dims() const { return dims_; }
  const int16_t* pairs() const { return pairs_.data(); }  // see kernels.h

 private:
  int64_t dims_;
  std::vector<int16_t> pairs_;
};

// keys f32 [n, dims], the KV heads of a layer side by side; centre f32 [dims]; codes [n]. Throws
// Error(kInvalidArgument) when widths disagree.
void hash_codes(MatrixRef<const float> keys, const float* centre, const Hyperplanes& planes, uint32_t* codes,
                ThreadPool& pool);

}  // namespace ev::ops
