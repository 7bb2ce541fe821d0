// paged_attention: split over tokens (as in flash-decoding), then joined.
//
//   attend_split  block: 16 rows of a KV head and a split's tokens, in tiles of 32 that are staged in shared
//                 memory; a warp takes 4 rows, one after the other: lane = token for scores, lane = dim for
//                 values
//   join_splits   block: one row; the splits' partial results, in order, then a rest
//
// A row is one query head of one position: row r of a KV head is position r / group, query head r % group.
// Tokens a row does not see are never read for it.
#include <cmath>

#include "cuda/device.h"

namespace ev::cuda {
namespace {

constexpr int kTile = 32;
constexpr int kWarps = 4;
constexpr int kWarpRows = 4;
constexpr int kRows = kWarps * kWarpRows;
constexpr int kMaxDim = EV_CUDA_MAX_HEAD_DIM;
constexpr int kLaneDims = kMaxDim / kWarp;
constexpr int kMinSplit = 256;  // tokens per split at least
constexpr int kMaxSplits = 64;

int split_tokens(int tokens) {
  const int least = kMinSplit * ceil_div(tokens, kMinSplit * kMaxSplits);
  return least > kMinSplit ? least : kMinSplit;
}

struct Parts {
  float* max;  // [splits, num_kv_heads, rows]
  float* sum;  // likewise
  float* out;  // [splits, num_kv_heads, rows, head_dim]
};

Parts parts_of(const EvCudaPages& p, const EvCudaAttention& a) {
  const int64_t n = int64_t{ceil_div(a.tokens, split_tokens(a.tokens))} * p.num_kv_heads * a.m * a.group;
  return {a.workspace, a.workspace + n, a.workspace + 2 * n};
}

// One row's online softmax; out holds the dims lane, lane + 32, ...
struct Row {
  float max = -INFINITY;
  float sum = 0.0f;
  float out[kLaneDims] = {};
};

// What a number is staged as: int8 codes are multiplied by their scales on the way.
template <class T>
struct Staged {
  using Type = T;
};
template <>
struct Staged<int8_t> {
  using Type = float;
};

template <class T>
struct Tile {
  typename Staged<T>::Type keys[kMaxDim][kTile];
  typename Staged<T>::Type values[kTile][kMaxDim];
};

template <class T>
__device__ T staged(T x, const __half*) {
  return x;
}
__device__ float staged(int8_t code, const __half* scale) {
  return static_cast<float>(code) * __half2float(*scale);
}

template <class T>
__device__ void stage(Tile<T>& tile, const EvCudaPages& p, const int32_t* slots, int count, int head,
                      bool with_values) {
  for (int i = static_cast<int>(threadIdx.x); i < count * p.head_dim; i += kWarps * kWarp) {
    const int slot = slots[i % count], d = i / count;
    const int64_t at = int64_t{slot / p.page_size} * p.k_page_stride +
                       (int64_t{head} * p.head_dim + d) * p.page_size + slot % p.page_size;
    tile.keys[d][i % count] = staged(static_cast<const T*>(p.keys)[at], key_scale(p, head, slot, d));
  }
  if (!with_values) return;
  for (int i = static_cast<int>(threadIdx.x); i < count * p.head_dim; i += kWarps * kWarp) {
    const int slot = slots[i / p.head_dim], d = i % p.head_dim;
    const int64_t at = int64_t{slot / p.page_size} * p.v_page_stride +
                       (int64_t{head} * p.page_size + slot % p.page_size) * p.v_stride + d;
    tile.values[i / p.head_dim][d] = staged(static_cast<const T*>(p.values)[at], value_scale(p, head, slot));
  }
}

// The first `visible` tokens of a tile; the whole warp calls.
template <class T>
__device__ void attend_tile(Row& row, const Tile<T>& tile, const float* query, float* weights, int visible,
                            int head_dim, float scale, bool with_values) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  float score = -INFINITY;
  if (lane < visible) {
    score = 0.0f;
    for (int d = 0; d < head_dim; ++d) score += query[d] * to_float(tile.keys[d][lane]);
    score *= scale;
  }
  const float max = fmaxf(row.max, reduce_warp(score, Max()));
  const float base = max == -INFINITY ? 0.0f : max;  // exp(-inf - -inf) would be NaN
  const float kept = expf(row.max - base);
  const float weight = lane < visible ? expf(score - base) : 0.0f;
  row.max = max;
  row.sum = row.sum * kept + reduce_warp(weight, Sum());
  if (!with_values) return;
  weights[lane] = weight;
  __syncwarp();
  EV_UNROLL
  for (int i = 0; i < kLaneDims; ++i) row.out[i] *= kept;
  for (int t = 0; t < visible; ++t) {
    EV_UNROLL
    for (int i = 0; i < kLaneDims; ++i)
      if (const int d = lane + i * kWarp; d < head_dim)
        row.out[i] += weights[t] * to_float(tile.values[t][d]);
  }
  __syncwarp();
}

template <class T>
__global__ void attend_split(EvCudaPages p, EvCudaAttention a, Parts parts, int per_split) {
  __shared__ Tile<T> tile;
  __shared__ float queries[kRows][kMaxDim];
  __shared__ float weights[kWarps][kTile];
  const int head = static_cast<int>(blockIdx.y), warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int rows = a.m * a.group, first_row = static_cast<int>(blockIdx.x) * kRows;
  const bool with_values = a.out != nullptr;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * p.head_dim; i += kWarps * kWarp) {
    const int r = first_row + i / p.head_dim, d = i % p.head_dim;
    const int64_t at = (int64_t{r / a.group} * p.num_kv_heads + head) * a.group + r % a.group;
    queries[i / p.head_dim][d] = r < rows ? a.q[at * p.head_dim + d] : 0.0f;
  }

  Row mine[kWarpRows];
  const int32_t* slots = a.slots + (a.lists > 1 ? int64_t{head} * a.tokens : 0);
  const int first = static_cast<int>(blockIdx.z) * per_split;
  const int last = first + per_split < a.tokens ? first + per_split : a.tokens;
  for (int start = first; start < last; start += kTile) {
    const int count = last - start < kTile ? last - start : kTile;
    stage(tile, p, slots + start, count, head, with_values);
    __syncthreads();
    EV_UNROLL
    for (int i = 0; i < kWarpRows; ++i) {
      const int r = first_row + warp * kWarpRows + i;
      const int seen = a.tokens - a.m + 1 + r / a.group - start;
      const int visible = seen < count ? seen : count;
      if (r < rows && visible > 0)
        attend_tile(mine[i], tile, queries[warp * kWarpRows + i], weights[warp], visible, p.head_dim, a.scale,
                    with_values);
    }
    __syncthreads();
  }

  EV_UNROLL
  for (int i = 0; i < kWarpRows; ++i) {
    const int r = first_row + warp * kWarpRows + i;
    if (r >= rows) continue;
    const int64_t part = (int64_t{blockIdx.z} * p.num_kv_heads + head) * rows + r;
    if (lane == 0) parts.max[part] = mine[i].max;
    if (lane == 0) parts.sum[part] = mine[i].sum;
    if (!with_values) continue;
    EV_UNROLL
    for (int j = 0; j < kLaneDims; ++j)
      if (const int d = lane + j * kWarp; d < p.head_dim) parts.out[part * p.head_dim + d] = mine[i].out[j];
  }
}

// Partial results of a softmax, of one row and dim, as one.
struct Joined {
  float max = -INFINITY;
  float sum = 0.0f;
  float out = 0.0f;

  __device__ void add(float other_max, float other_sum, float other_out) {
    const float highest = fmaxf(max, other_max);
    const float base = highest == -INFINITY ? 0.0f : highest;
    const float kept = expf(max - base), added = expf(other_max - base);
    max = highest;
    sum = sum * kept + other_sum * added;
    out = out * kept + other_out * added;
  }
};

__global__ void join_splits(EvCudaPages p, EvCudaAttention a, Parts parts, int splits) {
  const int r = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const int d = static_cast<int>(threadIdx.x), rows = a.m * a.group;
  const bool in_row = a.out != nullptr && d < p.head_dim;
  const int64_t row = int64_t{head} * rows + r;
  Joined joined;
  for (int split = 0; split < splits; ++split) {
    const int64_t part = (int64_t{split} * p.num_kv_heads + head) * rows + r;
    joined.add(parts.max[part], parts.sum[part], in_row ? parts.out[part * p.head_dim + d] : 0.0f);
  }
  if (a.out == nullptr) {
    if (d == 0) a.max[row] = joined.max;
    if (d == 0) a.sum[row] = joined.sum;
  } else if (in_row) {
    // A rest that weighs nothing may hold anything.
    if (a.rest_sum && a.rest_sum[row] > 0.0f)
      joined.add(a.rest_max[row], a.rest_sum[row], a.rest_values[row * p.v_stride + d]);
    const int64_t at = (int64_t{r / a.group} * p.num_kv_heads + head) * a.group + r % a.group;
    a.out[at * p.head_dim + d] = joined.out / joined.sum;
  }
}

}  // namespace
}  // namespace ev::cuda

int64_t ev_cuda_attention_floats(const EvCudaPages* pages, const EvCudaAttention* a) {
  using namespace ev::cuda;
  const int64_t splits = ceil_div(a->tokens, split_tokens(a->tokens));
  return splits * pages->num_kv_heads * a->m * a->group * (a->out ? 2 + pages->head_dim : 2);
}

int ev_cuda_paged_attention(const EvCudaPages* pages, const EvCudaAttention* a, void* stream) {
  using namespace ev::cuda;
  if (pages->head_dim > kMaxDim) return kInvalidValue;
  const Parts parts = parts_of(*pages, *a);
  const int rows = a->m * a->group, per_split = split_tokens(a->tokens);
  const int splits = ceil_div(a->tokens, per_split);
  const auto heads = static_cast<unsigned>(pages->num_kv_heads);
  const dim3 grid(static_cast<unsigned>(ceil_div(rows, kRows)), heads, static_cast<unsigned>(splits));
  const auto kernel = pages->type == EV_CUDA_I8    ? attend_split<int8_t>
                      : pages->type == EV_CUDA_F32 ? attend_split<float>
                                                   : attend_split<__half>;
  if (const int failed = launch(kernel, grid, kWarps * kWarp, stream, *pages, *a, parts, per_split))
    return failed;
  return launch(join_splits, dim3(static_cast<unsigned>(rows), heads), kMaxDim, stream, *pages, *a, parts,
                splits);
}
