// The KV cache of one layer as ops see it: a pool of pages, and lists of extents that say which tokens are
// where.
//
// A page holds page_size tokens, head-major. Keys lie dim-major, so that 16 tokens fill a vector and scores
// need no horizontal sums; values lie token-major, for the same reason in the second product.
//
//   K  [num_pages, num_kv_heads, head_dim, page_size]              V  [num_pages, num_kv_heads, page_size,
//   v_stride]
//
//        slot 0  1  2 ... page_size-1                                     d 0  1  2 ... head_dim-1 | zeros
//   d 0 |    k  k  k  ...                                        slot 0 |   v  v  v  ...          |
//   d 1 |    k  k  k  ...                                        slot 1 |   v  v  v  ...          |
//   ... |                                                        ...    |                         |
//
// v_stride is head_dim rounded up to 16. Both are f16 (f32 for exactness tests).
#pragma once

#include <cstdint>
#include <vector>

#include "base/dtype.h"
#include "base/tensor.h"
#include "base/thread_pool.h"

namespace ev::ops {

// Shape shared by all layers. page_size is a multiple of 16.
struct KvShape {
  int64_t num_pages = 0;
  int page_size = 64;
  int num_kv_heads = 0;
  int head_dim = 0;
  DType dtype = DType::kF16;  // or kF32

  int v_stride() const { return (head_dim + 15) / 16 * 16; }
  int64_t k_page_elements() const { return int64_t{num_kv_heads} * head_dim * page_size; }
  int64_t v_page_elements() const { return int64_t{num_kv_heads} * page_size * v_stride(); }
  int64_t element_bytes() const { return dtype == DType::kF16 ? 2 : 4; }
  // Bytes one layer needs for K, and for V.
  int64_t k_bytes() const { return num_pages * k_page_elements() * element_bytes(); }
  int64_t v_bytes() const { return num_pages * v_page_elements() * element_bytes(); }
  void validate() const;  // throws Error(kInvalidArgument)
};

// One layer's memory, owned by the caller: k_bytes() and v_bytes() long, 64-byte aligned.
struct KvPages {
  KvShape shape;
  void* k = nullptr;
  void* v = nullptr;
};

// `count` tokens in the slots [first, first + count) of a page.
struct Extent {
  int32_t page = 0;
  int32_t first = 0;
  int32_t count = 0;
};

// Writes rows of keys and values (after RoPE), f32 [m, num_kv_heads * head_dim], into the slots the extents
// name, in order. The extents' counts sum to m. f32 -> f16 rounds half to even; overflow gives infinity.
// Throws Error(kInvalidArgument) when an extent leaves the pool or the counts disagree; nothing is then
// written.
void kv_append(const KvPages& pages, MatrixRef<const float> k, MatrixRef<const float> v,
               const std::vector<Extent>& slots, ThreadPool& pool);

}  // namespace ev::ops
