// The KV cache as ops see it: pages somewhere in memory, and lists of extents that say which tokens are
// where.
//
// A page holds page_size tokens of any number of layers; each layer has a K plane and a V plane in it. Planes
// are head-major. Keys lie dim-major, so that 16 tokens fill a vector and scores need no horizontal sums;
// values lie token-major, for the same reason in the second product.
//
//   page      [ ... | K plane of this layer (at k_offset) | ... | V plane of this layer (at v_offset) | ... ]
//   K plane   [num_kv_heads, head_dim, page_size]          V plane   [num_kv_heads, page_size, v_stride]
//
//        slot 0  1  2 ... page_size-1                             d 0  1  2 ... head_dim-1 | zeros
//   d 0 |    k  k  k  ...                                 slot 0 |  v  v  v  ...           |
//   d 1 |    k  k  k  ...                                 slot 1 |  v  v  v  ...           |
//   ... |                                                 ...    |                         |
//
// v_stride is head_dim rounded up to 16, so for head_dim 64 both planes hold num_kv_heads * page_size *
// head_dim. Elements are f16 (f32 for exactness tests), or int8 codes with f16 scales behind the elements of
// their plane, a number being code * scale (docs/DECISIONS/026):
//
//   K plane   codes, then scales [num_kv_heads, key_scales, page_size], one for each 32 dims of a key
//   V plane   codes, then scales [num_kv_heads, page_size], one for each value
//
// A scale is the least f16 that is at least max |x| / 127 of what it covers, a code x / scale rounded half to
// even, so the error is at most half a scale. Numbers that are not all finite, or too large, get the scale
// NaN.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "base/thread_pool.h"
#include "ops/kernels.h"

namespace ev::ops {

constexpr int64_t kScaleBytes = 2;

// "f16", "f32" or "int8"; of other names Error(kInvalidArgument).
KvType kv_type(const std::string& name);

// `count` tokens in the slots [first, first + count) of the page that starts at `page` (64-byte aligned).
struct Extent {
  void* page = nullptr;
  int32_t first = 0;
  int32_t count = 0;
};

struct KvShape {
  int page_size = 64;  // a multiple of 16
  int num_kv_heads = 0;
  int head_dim = 0;
  KvType type = KvType::kF16;

  int v_stride() const { return (head_dim + 15) / 16 * 16; }
  int64_t element_bytes() const { return type == KvType::kI8 ? 1 : type == KvType::kF16 ? 2 : 4; }
  int key_scales() const { return type == KvType::kI8 ? (head_dim + kScaleDims - 1) / kScaleDims : 0; }
  int value_scales() const { return type == KvType::kI8 ? 1 : 0; }

  int64_t k_plane_elements() const { return int64_t{num_kv_heads} * head_dim * page_size; }
  int64_t v_plane_elements() const { return int64_t{num_kv_heads} * page_size * v_stride(); }
  int64_t k_plane_bytes() const { return int64_t{num_kv_heads} * page_size * key_bytes(); }
  int64_t v_plane_bytes() const { return int64_t{num_kv_heads} * page_size * value_bytes(); }
  // Of a token in one KV head, scales included.
  int64_t key_bytes() const { return head_dim * element_bytes() + key_scales() * kScaleBytes; }
  int64_t value_bytes() const { return v_stride() * element_bytes() + value_scales() * kScaleBytes; }
  void validate() const;  // throws Error(kInvalidArgument)
  bool holds(const Extent& e) const {
    return e.page != nullptr && e.first >= 0 && e.count >= 0 && e.first <= page_size - e.count;
  }
};

// Where one layer's planes begin in every page, in bytes from the page's start; multiples of 16.
struct KvLayer {
  KvShape shape;
  int64_t k_offset = 0;
  int64_t v_offset = 0;

  int64_t k_scales() const { return k_offset + shape.k_plane_elements() * shape.element_bytes(); }
  int64_t v_scales() const { return v_offset + shape.v_plane_elements() * shape.element_bytes(); }
};

// Writes rows of keys and values (after RoPE), f32 [m, num_kv_heads * head_dim], into the slots the extents
// name, in order. The extents' counts sum to m. f32 -> f16 rounds half to even, overflow gives infinity; what
// is written is the same on every ISA, bit for bit. Throws Error(kInvalidArgument) when an extent leaves its
// page or the counts disagree; nothing is then written.
void kv_append(const KvLayer& layer, MatrixRef<const float> k, MatrixRef<const float> v,
               const std::vector<Extent>& slots, ThreadPool& pool);

}  // namespace ev::ops
