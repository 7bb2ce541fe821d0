// Kernel of kv_append (ops/kv_pages.h), compiled per ISA.
#include "ops/kernels.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

void convert(const float* from, float* to, int n) {
  std::memcpy(to, from, sizeof(float) * static_cast<size_t>(n));
}

void convert(const float* from, F16* to, int n) {
  int i = 0;
  for (; i + 16 <= n; i += 16) store(to + i, load(from + i));
  if (i == n) return;
  F16 rest[16];
  store(rest, load_n(from + i, n - i));
  std::memcpy(to + i, rest, sizeof(F16) * static_cast<size_t>(n - i));
}

// Keys lie dim-major: a token's key is converted once, then dealt out over head_dim lines. 16 tokens at a
// time, so that each line is visited once for all of them.
template <class T>
void append_keys(const float* k, int64_t k_stride, T* plane, int head_dim, int page_size, int count) {
  constexpr int kTokens = 16;
  constexpr int kDims = 64;
  T block[kTokens][kDims];
  for (int t0 = 0; t0 < count; t0 += kTokens) {
    const int tokens = count - t0 < kTokens ? count - t0 : kTokens;
    for (int d0 = 0; d0 < head_dim; d0 += kDims) {
      const int dims = head_dim - d0 < kDims ? head_dim - d0 : kDims;
      for (int t = 0; t < tokens; ++t) convert(k + (t0 + t) * k_stride + d0, block[t], dims);
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
    append_keys(a.k + h * a.head_dim, a.k_stride, keys, a.head_dim, a.page_size, count);
    T* values = static_cast<T*>(a.v_plane) + (int64_t{h} * a.page_size + first) * a.v_stride;
    for (int32_t t = 0; t < count; ++t, values += a.v_stride) {
      convert(a.v + t * a.v_row_stride + h * a.head_dim, values, a.head_dim);
      std::memset(values + a.head_dim, 0, sizeof(T) * static_cast<size_t>(padding));
    }
  }
}

}  // namespace

namespace EV_ISA {

void kv_append(const KvAppendArgs& args, int32_t first, int32_t count) {
  if (args.f32) {
    append<float>(args, first, count);
  } else {
    append<F16>(args, first, count);
  }
}

}  // namespace EV_ISA
}  // namespace ev::ops
