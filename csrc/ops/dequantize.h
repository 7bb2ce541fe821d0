// GGUF block rows -> f32. The formulas of the block types are beside DType in base/dtype.h; results are exact
// products and sums in f32 in the order written there, the same on every machine.
#pragma once

#include <cstdint>

#include "base/tensor.h"
#include "base/thread_pool.h"
#include "ops/linear.h"

namespace ev::ops {

// Bytes of one row of n elements. Throws Error(kBadModel) when n is not a multiple of the type's block or the
// type is unknown.
int64_t row_bytes(DType type, int64_t n);

// One row of n elements.
void dequantize_row(DType type, const uint8_t* src, int64_t n, float* dst);

// out[i, :] = table[ids[i], :] (embedding lookup). Throws Error(kInvalidArgument) when an id is outside the
// table or shapes disagree; out is then untouched.
void gather_rows(const WeightSource& table, const int32_t* ids, MatrixRef<float> out, ThreadPool& pool);

}  // namespace ev::ops
