#include "kv/page_rows.h"

#include <algorithm>
#include <vector>

#include "ops/dequantize.h"

namespace ev::kv {
namespace {

std::vector<float> plane(const ops::KvShape& s, const uint8_t* page, int64_t offset, int64_t elements) {
  std::vector<float> out(static_cast<size_t>(elements));
  ops::dequantize_row(s.dtype, page + offset * s.element_bytes(), elements, out.data());
  return out;
}

}  // namespace

void read_keys(const ops::KvLayer& layer, const uint8_t* page, MatrixRef<float> rows) {
  const ops::KvShape& s = layer.shape;
  const std::vector<float> keys = plane(s, page, layer.k_offset, s.k_plane_elements());
  for (int64_t slot = 0; slot < s.page_size; ++slot) {
    float* row = rows.row(slot);
    for (int64_t c = 0; c < rows.cols; ++c) row[c] = keys[static_cast<size_t>(c * s.page_size + slot)];
  }
}

void read_values(const ops::KvLayer& layer, const uint8_t* page, MatrixRef<float> rows) {
  const ops::KvShape& s = layer.shape;
  const std::vector<float> values = plane(s, page, layer.v_offset, s.v_plane_elements());
  for (int64_t head = 0; head < s.num_kv_heads; ++head) {
    for (int64_t slot = 0; slot < s.page_size; ++slot) {
      const float* value = values.data() + (head * s.page_size + slot) * s.v_stride();
      std::copy(value, value + s.head_dim, rows.row(slot) + head * s.head_dim);
    }
  }
}

}  // namespace ev::kv
