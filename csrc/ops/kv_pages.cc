#include "ops/kv_pages.h"

#include <algorithm>

#include "base/error.h"
#include "ops/registry.h"

namespace ev::ops {
namespace {

constexpr int64_t kTokensPerRange = 32;  // fewer are not worth a second thread

void check_extents(const std::vector<Extent>& extents, const KvShape& shape, int64_t expected) {
  int64_t tokens = 0;
  for (const Extent& e : extents) {
    if (!shape.holds(e)) throw Error(ErrorCode::kInvalidArgument, "an extent leaves its KV page");
    tokens += e.count;
  }
  if (tokens != expected)
    throw Error(ErrorCode::kInvalidArgument, "kv_append: slots and rows differ in number");
}

KvAppendArgs append_args(const KvLayer& layer, const Extent& e, const float* k, int64_t k_stride,
                         const float* v, int64_t v_row_stride) {
  const KvShape& s = layer.shape;
  auto* page = static_cast<uint8_t*>(e.page);
  return {s.type,
          page + layer.k_offset,
          page + layer.v_offset,
          page + layer.k_scales(),
          page + layer.v_scales(),
          s.num_kv_heads,
          s.head_dim,
          s.page_size,
          s.v_stride(),
          s.key_scales(),
          k,
          v,
          k_stride,
          v_row_stride};
}

}  // namespace

KvType kv_type(const std::string& name) {
  if (name == "f16") return KvType::kF16;
  if (name == "f32") return KvType::kF32;
  if (name == "int8") return KvType::kI8;
  throw Error(ErrorCode::kInvalidArgument, "keys and values are kept as f16, f32 or int8, not " + name);
}

void KvShape::validate() const {
  if (page_size <= 0 || page_size % 16 != 0)
    throw Error(ErrorCode::kInvalidArgument, "a KV page holds a positive multiple of 16 tokens");
  if (num_kv_heads <= 0 || head_dim <= 0)
    throw Error(ErrorCode::kInvalidArgument, "KV pages need at least one head and one dimension");
}

void kv_append(const KvLayer& layer, MatrixRef<const float> k, MatrixRef<const float> v,
               const std::vector<Extent>& slots, ThreadPool& pool) {
  layer.shape.validate();
  check_extents(slots, layer.shape, k.rows);
  const int64_t width = int64_t{layer.shape.num_kv_heads} * layer.shape.head_dim;
  if (k.cols != width || v.cols != width || v.rows != k.rows)
    throw Error(ErrorCode::kInvalidArgument, "kv_append: shapes disagree");
  pool.parallel_for(k.rows, kTokensPerRange, [&](int64_t begin, int64_t end) {
    int64_t row = 0;  // of the extent's first token
    for (const Extent& e : slots) {
      const int64_t from = std::max(begin, row);
      const int64_t to = std::min(end, row + e.count);
      if (from < to)
        kernels().kv_append(append_args(layer, e, k.row(from), k.stride, v.row(from), v.stride),
                            e.first + static_cast<int32_t>(from - row), static_cast<int32_t>(to - from));
      row += e.count;
    }
  });
}

}  // namespace ev::ops
