// Arithmetic on sizes that come from files: every overflow is an Error, never a wrap.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"

namespace ev {

inline uint64_t checked_mul(uint64_t a, uint64_t b) {
  uint64_t r = 0;
  if (__builtin_mul_overflow(a, b, &r)) throw Error(ErrorCode::kBadModel, "a size overflows 64 bits");
  return r;
}

inline uint64_t checked_add(uint64_t a, uint64_t b) {
  uint64_t r = 0;
  if (__builtin_add_overflow(a, b, &r)) throw Error(ErrorCode::kBadModel, "a size overflows 64 bits");
  return r;
}

}  // namespace ev
