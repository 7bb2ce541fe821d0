#include "kv/window.h"

#include <algorithm>

#include "ops/dequantize.h"

namespace ev::kv {
namespace {

// One layer's K and V planes as rows, [page_size, num_kv_heads * head_dim] each.
struct Rows {
  explicit Rows(const ops::KvShape& s)
      : cols(int64_t{s.num_kv_heads} * s.head_dim),
        keys(static_cast<size_t>(cols * s.page_size)),
        values(keys.size()),
        k(keys.data(), s.page_size, cols),
        v(values.data(), s.page_size, cols) {}

  int64_t cols;
  std::vector<float> keys, values;
  MatrixRef<float> k, v;
};

void read_layer(const ops::KvLayer& layer, const uint8_t* page, Rows& rows) {
  const ops::KvShape& s = layer.shape;
  std::vector<float> plane(static_cast<size_t>(s.k_plane_elements()));
  ops::dequantize_row(s.dtype, page + layer.k_offset * s.element_bytes(), s.k_plane_elements(), plane.data());
  for (int64_t c = 0; c < rows.cols; ++c) {
    for (int64_t slot = 0; slot < s.page_size; ++slot)
      rows.k.row(slot)[c] = plane[static_cast<size_t>(c * s.page_size + slot)];
  }
  plane.resize(static_cast<size_t>(s.v_plane_elements()));
  ops::dequantize_row(s.dtype, page + layer.v_offset * s.element_bytes(), s.v_plane_elements(), plane.data());
  for (int64_t head = 0; head < s.num_kv_heads; ++head) {
    for (int64_t slot = 0; slot < s.page_size; ++slot) {
      const float* value = plane.data() + (head * s.page_size + slot) * s.v_stride();
      std::copy(value, value + s.head_dim, rows.v.row(slot) + head * s.head_dim);
    }
  }
}

}  // namespace

void shift_page(const PageLayout& layout, const KeyRotation& rotation, int32_t positions, const uint8_t* from,
                uint8_t* to, ThreadPool& pool) {
  const ops::KvShape& s = layout.shape;
  ops::RopeTable table(rotation.inv_freq);
  const std::vector<int32_t> distance(layout.page_size(), positions);
  table.set_positions(distance.data(), s.page_size);
  Rows rows(s);
  for (uint32_t i = 0; i < layout.n_layers; ++i) {
    read_layer(layout.layer(i), from, rows);
    ops::rope(rows.k, s.num_kv_heads, s.head_dim, table, rotation.layout, pool);
    ops::kv_append(layout.layer(i), rows.k, rows.v, {{to, 0, s.page_size}}, pool);
  }
}

}  // namespace ev::kv
