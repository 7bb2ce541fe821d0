#include "kv/window.h"

#include "kv/page_rows.h"

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

}  // namespace

void shift_page(const PageLayout& layout, const KeyRotation& rotation, int32_t positions, const uint8_t* from,
                uint8_t* to, ThreadPool& pool) {
  const ops::KvShape& s = layout.shape;
  ops::RopeTable table(rotation.inv_freq);
  const std::vector<int32_t> distance(layout.page_size(), positions);
  table.set_positions(distance.data(), s.page_size);
  Rows rows(s);
  for (uint32_t i = 0; i < layout.n_layers; ++i) {
    read_keys(layout.layer(i), from, rows.k);
    read_values(layout.layer(i), from, rows.v);
    ops::rope(rows.k, s.num_kv_heads, s.head_dim, table, rotation.layout, pool);
    ops::kv_append(layout.layer(i), rows.k, rows.v, {{to, 0, s.page_size}}, pool);
  }
}

}  // namespace ev::kv
