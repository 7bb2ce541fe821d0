#include "kv/tracing.h"

#include <algorithm>

#include "kv/page_rows.h"

namespace ev::kv {

const Plans& TracingSelection::plans(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads) {
  if (layer >= queries_.size()) queries_.resize(layer + 1);
  std::vector<float>& kept = queries_[layer];
  kept.resize(static_cast<size_t>(q.rows * q.cols));
  for (int64_t row = 0; row < q.rows; ++row) std::copy_n(q.row(row), q.cols, kept.data() + row * q.cols);
  return inner_->plans(layer, q, threads);
}

void read_tokens(const KvCache& cache, uint32_t layer, MatrixRef<float> keys, MatrixRef<float> values) {
  const int64_t page_size = cache.layout().page_size();
  std::vector<float> memory(static_cast<size_t>(2 * page_size * keys.cols));
  const MatrixRef<float> k(memory.data(), page_size, keys.cols), v(k.row(page_size), page_size, keys.cols);
  std::vector<ops::Extent> extents;
  cache.add_extents(0, cache.kept(), extents);
  int64_t token = 0;
  for (const ops::Extent& e : extents) {  // each begins at its page's first slot
    read_keys(cache.layout().layer(layer), static_cast<const uint8_t*>(e.page), k);
    read_values(cache.layout().layer(layer), static_cast<const uint8_t*>(e.page), v);
    std::copy_n(k.data, e.count * keys.cols, keys.row(token));
    std::copy_n(v.data, e.count * keys.cols, values.row(token));
    token += e.count;
  }
}

}  // namespace ev::kv
