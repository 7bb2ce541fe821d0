// One source matrix of a PackedMatrix, in the layout of ops/linear.h.
#pragma once

#include "ops/kernels.h"
#include "ops/linear.h"

namespace ev::ops {

struct PackedMatrix::Part {
  WeightKind kind = WeightKind::kF32;
  int64_t rows = 0;
  int64_t first_row = 0;    // its first column of y
  int64_t first_panel = 0;  // panels are counted through all parts
  int64_t panels = 0;
  AlignedBuffer weights;
  AlignedBuffer scales;  // empty for float kinds
};

constexpr bool is_float(WeightKind kind) {
  return kind == WeightKind::kF32 || kind == WeightKind::kF16 || kind == WeightKind::kBF16;
}

}  // namespace ev::ops
