// PackedMatrix: GGUF block rows -> panels of 16 rows. Runs once per load; the layouts are in ops/linear.h.
#include <algorithm>
#include <cstring>
#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "ops/block_codes.h"
#include "ops/dequantize.h"
#include "ops/packed_part.h"
#include "ops/simd/half.h"

namespace ev::ops {
namespace {

WeightKind kind_of(DType type, Precision precision) {
  if (precision == Precision::kExact && is_quantized(type)) return WeightKind::kF32;
  switch (type) {
    case DType::kF32: return WeightKind::kF32;
    case DType::kF16: return WeightKind::kF16;
    case DType::kBF16: return WeightKind::kBF16;
    case DType::kQ4_0:
    case DType::kQ4_1: return WeightKind::kNibbles;
    case DType::kQ4_K: return WeightKind::kNibblesWide;
    case DType::kQ8_0: return WeightKind::kBytes;
    case DType::kQ6_K: return WeightKind::kBytesHalf;
  }
  throw Error(ErrorCode::kBadModel, "a weight has an unknown type");
}

struct PanelBytes {
  int64_t weights_per_32 = 0;  // of 16 rows x 32 columns
  int64_t scales_per_32 = 0;
};

PanelBytes panel_bytes(WeightKind kind) {
  switch (kind) {
    case WeightKind::kF32: return {16 * 32 * 4, 0};
    case WeightKind::kF16:
    case WeightKind::kBF16: return {16 * 32 * 2, 0};
    case WeightKind::kNibbles: return {16 * 16, 2 * 16 * 2};
    case WeightKind::kNibblesWide: return {16 * 16, 2 * 16 * 4};
    case WeightKind::kBytes: return {16 * 32, 16 * 2};
    case WeightKind::kBytesHalf: return {16 * 32, 2 * 16 * 4};
  }
  return {};
}

size_t buffer_bytes(int64_t panels, int64_t cols, int64_t per_32) {
  const uint64_t cells = checked_mul(static_cast<uint64_t>(panels), static_cast<uint64_t>(cols));
  return static_cast<size_t>(checked_mul(cells, static_cast<uint64_t>(per_32)) / 32);
}

void put_half(uint8_t* to, float value) {
  const uint16_t bits = float_to_half(value);
  std::memcpy(to, &bits, 2);
}

void put_float(uint8_t* to, float value) {
  std::memcpy(to, &value, 4);
}

void put_nibbles(const BlockCodes& b, uint8_t* to, int lane) {
  for (int g = 0; g < 4; ++g)
    for (int j = 0; j < 4; ++j)
      to[64 * g + 4 * lane + j] = static_cast<uint8_t>(b.codes[4 * g + j] | b.codes[16 + 4 * g + j] << 4);
}

void put_bytes(const BlockCodes& b, uint8_t* to, int lane) {
  for (int g = 0; g < 8; ++g) std::memcpy(to + 64 * g + 4 * lane, b.codes + 4 * g, 4);
}

void put_block(WeightKind kind, const BlockCodes& b, uint8_t* weights, uint8_t* scales, int lane) {
  if (kind == WeightKind::kNibbles) {
    put_nibbles(b, weights, lane);
    put_half(scales + 2 * lane, b.scale[0]);
    put_half(scales + 2 * (16 + lane), b.min);
  } else if (kind == WeightKind::kNibblesWide) {
    put_nibbles(b, weights, lane);
    put_float(scales + 4 * lane, b.scale[0]);
    put_float(scales + 4 * (16 + lane), b.min);
  } else if (kind == WeightKind::kBytes) {
    put_bytes(b, weights, lane);
    put_half(scales + 2 * lane, b.scale[0]);
  } else {
    put_bytes(b, weights, lane);
    put_float(scales + 4 * lane, b.scale[0]);
    put_float(scales + 4 * (16 + lane), b.scale[1]);
  }
}

void pack_quantized_row(const WeightSource& w, int64_t row, PackedMatrix::Part& part) {
  const int64_t blocks = w.cols / 32;
  const PanelBytes bytes = panel_bytes(part.kind);
  const int64_t first_block = row / kPanelRows * blocks;
  const uint8_t* source = w.data + row * row_bytes(w.type, w.cols);
  for (int64_t b = 0; b < blocks; ++b)
    put_block(part.kind, read_block(w.type, source, b),
              part.weights.data() + (first_block + b) * bytes.weights_per_32,
              part.scales.data() + (first_block + b) * bytes.scales_per_32,
              static_cast<int>(row % kPanelRows));
}

void pack_float_row(const WeightSource& w, int64_t row, PackedMatrix::Part& part,
                    std::vector<float>& scratch) {
  const uint8_t* source = w.data + row * row_bytes(w.type, w.cols);
  size_t element = block_layout(w.type).bytes;
  if (is_quantized(w.type)) {
    scratch.resize(static_cast<size_t>(w.cols));
    dequantize_row(w.type, source, w.cols, scratch.data());
    source = reinterpret_cast<const uint8_t*>(scratch.data());
    element = sizeof(float);
  }
  const auto cols = static_cast<size_t>(w.cols);
  const auto panel = static_cast<size_t>(row / kPanelRows);
  const auto lane = static_cast<size_t>(row % kPanelRows);
  uint8_t* to = part.weights.data() + (panel * cols * kPanelRows + lane) * element;
  for (size_t i = 0; i < cols; ++i) std::memcpy(to + i * kPanelRows * element, source + i * element, element);
}

PackedMatrix::Part pack_part(const WeightSource& w, Precision precision, ThreadPool& pool) {
  PackedMatrix::Part part;
  part.kind = kind_of(w.type, precision);
  part.rows = w.rows;
  part.panels = (w.rows + kPanelRows - 1) / kPanelRows;
  const PanelBytes bytes = panel_bytes(part.kind);
  part.weights = AlignedBuffer(buffer_bytes(part.panels, w.cols, bytes.weights_per_32));
  part.scales = AlignedBuffer(buffer_bytes(part.panels, w.cols, bytes.scales_per_32));
  pool.parallel_for(part.panels, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch;
    for (int64_t row = begin * kPanelRows; row < std::min(end * kPanelRows, w.rows); ++row) {
      if (is_float(part.kind)) {
        pack_float_row(w, row, part, scratch);
      } else {
        pack_quantized_row(w, row, part);
      }
    }
  });
  return part;
}

}  // namespace

PackedMatrix::PackedMatrix() = default;
PackedMatrix::PackedMatrix(PackedMatrix&&) noexcept = default;
PackedMatrix& PackedMatrix::operator=(PackedMatrix&&) noexcept = default;
PackedMatrix::~PackedMatrix() = default;

PackedMatrix PackedMatrix::pack(const std::vector<WeightSource>& stacked, Precision precision,
                                ThreadPool& pool) {
  PackedMatrix m;
  for (const WeightSource& w : stacked) {
    if (w.rows < 0 || w.cols < 0 || w.cols != stacked.front().cols)
      throw Error(ErrorCode::kInvalidArgument, "stacked matrices must have equal widths");
    static_cast<void>(
        checked_mul(static_cast<uint64_t>(w.rows), static_cast<uint64_t>(row_bytes(w.type, w.cols))));
    Part part = pack_part(w, precision, pool);
    part.first_row = m.rows_;
    part.first_panel = m.panels_;
    m.rows_ += part.rows;
    m.panels_ += part.panels;
    m.parts_.push_back(std::move(part));
  }
  m.cols_ = stacked.empty() ? 0 : stacked.front().cols;
  return m;
}

size_t PackedMatrix::bytes() const {
  size_t sum = 0;
  for (const Part& p : parts_) sum += p.weights.size() + p.scales.size();
  return sum;
}

bool PackedMatrix::uses_codes() const {
  return std::any_of(parts_.begin(), parts_.end(), [](const Part& p) { return !is_float(p.kind); });
}

}  // namespace ev::ops
