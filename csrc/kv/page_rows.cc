#include "kv/page_rows.h"

#include <vector>

#include "ops/dequantize.h"

namespace ev::kv {
namespace {

std::vector<float> numbers(ops::KvType type, const uint8_t* from, int64_t count) {
  std::vector<float> out(static_cast<size_t>(count));
  switch (type) {
    case ops::KvType::kF16: ops::dequantize_row(DType::kF16, from, count, out.data()); break;
    case ops::KvType::kF32: ops::dequantize_row(DType::kF32, from, count, out.data()); break;
    case ops::KvType::kI8:
      for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(static_cast<int8_t>(from[i]));
  }
  return out;
}

std::vector<float> scales(const uint8_t* from, int64_t count) {
  return numbers(ops::KvType::kF16, from, count);
}

}  // namespace

void read_keys(const ops::KvLayer& layer, const uint8_t* page, MatrixRef<float> rows) {
  const ops::KvShape& s = layer.shape;
  const std::vector<float> keys = numbers(s.type, page + layer.k_offset, s.k_plane_elements());
  const int64_t blocks = s.key_scales(), slots = s.page_size;
  const std::vector<float> scale = scales(page + layer.k_scales(), s.num_kv_heads * blocks * slots);
  for (int64_t slot = 0; slot < slots; ++slot) {
    float* row = rows.row(slot);
    for (int64_t c = 0; c < rows.cols; ++c) row[c] = keys[static_cast<size_t>(c * slots + slot)];
    if (blocks == 0) continue;
    for (int64_t c = 0; c < rows.cols; ++c) {
      const int64_t line = c / s.head_dim * blocks + c % s.head_dim / ops::kScaleDims;
      row[c] *= scale[static_cast<size_t>(line * slots + slot)];
    }
  }
}

void read_values(const ops::KvLayer& layer, const uint8_t* page, MatrixRef<float> rows) {
  const ops::KvShape& s = layer.shape;
  const std::vector<float> values = numbers(s.type, page + layer.v_offset, s.v_plane_elements());
  const std::vector<float> scale =
      scales(page + layer.v_scales(), int64_t{s.num_kv_heads} * s.value_scales() * s.page_size);
  for (int64_t i = 0; i < int64_t{s.num_kv_heads} * s.page_size; ++i) {
    const float* value = values.data() + i * s.v_stride();
    float* to = rows.row(i % s.page_size) + i / s.page_size * s.head_dim;
    const float factor = scale.empty() ? 1.0f : scale[static_cast<size_t>(i)];
    for (int64_t d = 0; d < s.head_dim; ++d) to[d] = value[d] * factor;
  }
}

}  // namespace ev::kv
