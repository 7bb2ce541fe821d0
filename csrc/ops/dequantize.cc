#include "ops/dequantize.h"

#include <cstring>
#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "ops/block_codes.h"
#include "ops/simd/half.h"

namespace ev::ops {
namespace {

void dequantize_blocks(DType type, const uint8_t* src, int64_t n, float* dst) {
  for (int64_t i = 0; i < n / 32; ++i, dst += 32) {
    const BlockCodes b = read_block(type, src, i);
    for (int j = 0; j < 32; ++j) dst[j] = b.scale[j / 16] * static_cast<float>(b.codes[j]) + b.min;
  }
}

uint16_t read_u16(const uint8_t* p) {
  return static_cast<uint16_t>(p[0] | p[1] << 8);
}

}  // namespace

int64_t row_bytes(DType type, int64_t n) {
  const BlockLayout layout = block_layout(type);
  if (layout.elements == 0) throw Error(ErrorCode::kBadModel, "a tensor has an unknown type");
  if (n < 0 || n % layout.elements != 0)
    throw Error(ErrorCode::kBadModel, "a row of " + std::to_string(n) + " elements does not fill blocks of " +
                                          dtype_name(type) + " (" + std::to_string(layout.elements) + ")");
  return static_cast<int64_t>(checked_mul(static_cast<uint64_t>(n / layout.elements), layout.bytes));
}

void dequantize_row(DType type, const uint8_t* src, int64_t n, float* dst) {
  const auto bytes = static_cast<size_t>(row_bytes(type, n));
  switch (type) {
    case DType::kF32: std::memcpy(dst, src, bytes); return;
    case DType::kF16:
      for (int64_t i = 0; i < n; ++i) dst[i] = half_to_float(read_u16(src + 2 * i));
      return;
    case DType::kBF16:
      for (int64_t i = 0; i < n; ++i) dst[i] = bfloat_to_float(read_u16(src + 2 * i));
      return;
    default: return dequantize_blocks(type, src, n, dst);
  }
}

void gather_rows(const WeightSource& table, const int32_t* ids, MatrixRef<float> out, ThreadPool& pool) {
  if (out.cols != table.cols) throw Error(ErrorCode::kInvalidArgument, "gather_rows: the widths differ");
  const int64_t bytes = row_bytes(table.type, table.cols);
  for (int64_t i = 0; i < out.rows; ++i)
    if (ids[i] < 0 || ids[i] >= table.rows)
      throw Error(ErrorCode::kInvalidArgument, "token id " + std::to_string(ids[i]) +
                                                   " is outside the table of " + std::to_string(table.rows) +
                                                   " rows");
  pool.parallel_for(out.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      dequantize_row(table.type, table.data + ids[i] * bytes, table.cols, out.row(i));
  });
}

}  // namespace ev::ops
