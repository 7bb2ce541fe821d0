// Kernel of kv_append (ops/kv_pages.h), compiled per ISA.
#include "ops/kernels.h"
#include "ops/simd/half.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

void encode(const float* from, int n, float* to) {
  std::memcpy(to, from, sizeof(float) * static_cast<size_t>(n));
}

void encode(const float* from, int n, F16* to) {
  int i = 0;
  for (; i + 16 <= n; i += 16) store(to + i, load(from + i));
  if (i == n) return;
  F16 rest[16];
  store(rest, load_n(from + i, n - i));
  std::memcpy(to + i, rest, sizeof(F16) * static_cast<size_t>(n - i));
}

// The least f16 that is at least largest / 127, so that no code exceeds 127; NaN when there is none.
F16 scale_of(float largest) {
  const float wanted = largest / 127.0f;
  uint16_t bits = float_to_half(wanted);
  if (half_to_float(bits) < wanted) ++bits;
  return {bits < 0x7c00 ? bits : uint16_t{0x7e00}};
}

F32 load_some(const float* from, int n) {
  return n < 16 ? load_n(from, n) : load(from);
}

// Codes, with zeros up to a multiple of 16.
F16 encode(const float* from, int n, int8_t* to) {
  I32 largest = magnitude_bits(splat(0.0f));
  for (int i = 0; i < n; i += 16) largest = max(largest, magnitude_bits(load_some(from + i, n - i)));
  const F16 scale = scale_of(float_from_bits(static_cast<uint32_t>(reduce_max(largest))));
  const float unit = half_to_float(scale.bits);
  for (int i = 0; i < n; i += 16) {
    const F32 code = unit > 0.0f ? load_some(from + i, n - i) / splat(unit) : splat(0.0f);
    store_codes(to + i, round_to_int(code));
  }
  return scale;
}

// Keys lie dim-major: a token's key is encoded once, then dealt out over head_dim lines. 16 tokens at a time,
// so that each line is visited once for all of them.
template <class T>
void append_keys(const float* k, int64_t k_stride, T* plane, [[maybe_unused]] F16* scales, int head_dim,
                 int page_size, int count) {
  constexpr int kTokens = 16;
  T block[kTokens][kScaleDims];
  for (int t0 = 0; t0 < count; t0 += kTokens) {
    const int tokens = count - t0 < kTokens ? count - t0 : kTokens;
    for (int d0 = 0; d0 < head_dim; d0 += kScaleDims) {
      const int dims = head_dim - d0 < kScaleDims ? head_dim - d0 : kScaleDims;
      for (int t = 0; t < tokens; ++t) {
        const float* from = k + (t0 + t) * k_stride + d0;
        if constexpr (sizeof(T) == 1) {
          scales[int64_t{d0 / kScaleDims} * page_size + t0 + t] = encode(from, dims, block[t]);
        } else {
          encode(from, dims, block[t]);
        }
      }
      for (int d = 0; d < dims; ++d)
        for (int t = 0; t < tokens; ++t) plane[int64_t{d0 + d} * page_size + t0 + t] = block[t][d];
    }
  }
}

template <class T>
void append(const KvAppendArgs& a, int32_t first, int32_t count) {
  const int padding = a.v_stride - a.head_dim;
  for (int h = 0; h < a.num_kv_heads; ++h) {
    T* keys = static_cast<T*>(a.k_plane) + int64_t{h} * a.head_dim * a.page_size + first;
    F16* key_scales = static_cast<F16*>(a.k_scales) + int64_t{h} * a.key_scales * a.page_size + first;
    append_keys(a.k + h * a.head_dim, a.k_stride, keys, key_scales, a.head_dim, a.page_size, count);
    T* values = static_cast<T*>(a.v_plane) + (int64_t{h} * a.page_size + first) * a.v_stride;
    for (int32_t t = 0; t < count; ++t, values += a.v_stride) {
      const float* from = a.v + t * a.v_row_stride + h * a.head_dim;
      if constexpr (sizeof(T) == 1) {
        static_cast<F16*>(a.v_scales)[int64_t{h} * a.page_size + first + t] =
            encode(from, a.head_dim, values);
      } else {
        encode(from, a.head_dim, values);
        std::memset(values + a.head_dim, 0, sizeof(T) * static_cast<size_t>(padding));
      }
    }
  }
}

}  // namespace

namespace EV_ISA {

void kv_append(const KvAppendArgs& args, int32_t first, int32_t count) {
  switch (args.type) {
    case KvType::kF16: return append<F16>(args, first, count);
    case KvType::kF32: return append<float>(args, first, count);
    case KvType::kI8: return append<int8_t>(args, first, count);
  }
}

}  // namespace EV_ISA
}  // namespace ev::ops
