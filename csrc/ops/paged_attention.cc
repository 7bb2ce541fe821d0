// Kernels of ops/paged_attention.h, compiled per ISA. A unit is one KV head and a few positions; its rows are
// (position, query head of the group) pairs, position-major, all against the same keys and values.
#include "ops/attention_tile.h"
#include "ops/kernels.h"
#include "ops/simd/math.h"

namespace ev::ops {
namespace {

constexpr int kTileVectors = kTileTokens / 16;
constexpr float kMinusInfinity = -__builtin_inff();

// Memory to ask for while something else is computed: a decoded token reads every key and value once, and the
// hardware's own prefetching stops at each page.
struct Upcoming {
  const char* at = nullptr;  // null: nothing
  int lines = 0;             // of 64 bytes, per step of the computation

  Upcoming from(int64_t step) const { return {at == nullptr ? at : at + step * lines * 64, lines}; }

  void ask(int64_t step) const {
    if (at == nullptr) return;
    for (int i = 0; i < lines; ++i) __builtin_prefetch(at + (step * lines + i) * 64, 0, 3);
  }
};

// Rows of the right side of a product, one after the other or wherever they lie.
template <class T>
struct StridedRows {
  const T* first;
  int64_t stride;
  const T* operator[](int64_t j) const { return first + j * stride; }
  StridedRows from(int64_t j) const { return {first + j * stride, stride}; }
};

template <class T>
struct ListedRows {
  const T* const* rows;
  const T* operator[](int64_t j) const { return rows[j]; }
  ListedRows from(int64_t j) const { return {rows + j}; }
};

// out[r, :] (+)= sum_j a[r, j] * b[j][column ..], kCols vectors wide; j ascending in one accumulator per
// output.
template <int kRows, int kCols, class Rows>
void multiply_block(const float* a, int64_t a_stride, Rows b, int column, int depth, float* out,
                    int64_t out_stride, bool accumulate, Upcoming upcoming) {
  F32 sums[kRows][kCols];
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kCols; ++c)
      sums[r][c] = accumulate ? load(out + r * out_stride + 16 * c) : splat(0.0f);
  for (int j = 0; j < depth; ++j) {
    upcoming.ask(j);
    const auto* from = b[j] + column;
    F32 row[kCols];
    for (int c = 0; c < kCols; ++c) row[c] = load(from + 16 * c);
    for (int r = 0; r < kRows; ++r) {
      const F32 factor = splat(a[r * a_stride + j]);
      for (int c = 0; c < kCols; ++c) sums[r][c] = fma(factor, row[c], sums[r][c]);
    }
  }
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kCols; ++c) store(out + r * out_stride + 16 * c, sums[r][c]);
}

// The same for at most kRows rows and any number of vectors.
template <int kRows, class Rows>
void multiply_rows(int rows, const float* a, int64_t a_stride, Rows b, int depth, float* out,
                   int64_t out_stride, int vectors, bool accumulate, Upcoming upcoming) {
  if constexpr (kRows > 1) {
    if (rows < kRows)
      return multiply_rows<kRows - 1>(rows, a, a_stride, b, depth, out, out_stride, vectors, accumulate,
                                      upcoming);
  }
  int c = 0;
  for (; c + kTileCols <= vectors; c += kTileCols)
    multiply_block<kRows, kTileCols>(a, a_stride, b, 16 * c, depth, out + 16 * c, out_stride, accumulate,
                                     c == 0 ? upcoming : Upcoming{});
  for (; c < vectors; ++c)
    multiply_block<kRows, 1>(a, a_stride, b, 16 * c, depth, out + 16 * c, out_stride, accumulate, Upcoming{});
}

void scale_row(float* row, int n, float factor) {
  for (int i = 0; i < n; i += 16) store(row + i, load(row + i) * splat(factor));
}

// max, sum and values of each row, as laid out in partial results.
struct RowStates {
  float* max;
  float* sum;
  float* values;
  RowStates(float* memory, int64_t rows) : max(memory), sum(memory + rows), values(memory + 2 * rows) {}
};

// Tokens of the list that row `row` sees.
int64_t visible_tokens(const AttentionArgs& a, int64_t row) {
  if (a.num_rows == 0) return a.num_tokens;
  return a.num_tokens - a.num_rows + a.first_position + row / a.group + 1;
}

// Of those, the ones in the tile that begins at token `start`.
int visible_in_tile(const AttentionArgs& a, int64_t row, int64_t start) {
  const int64_t n = visible_tokens(a, row) - start;
  return static_cast<int>(n < 0 ? 0 : n > kTileTokens ? kTileTokens : n);
}

// The next tile's keys, when they lie in one stretch; asked for while `steps` rows of values are added. Their
// scales are few, and asked for at once.
template <class T>
Upcoming upcoming_keys(const AttentionArgs& a, int64_t tile, int64_t tiles, int steps) {
  if (tile >= tiles || a.page_size != kTileTokens) return {};
  const TilePiece& piece = a.pieces[a.tile_begin[tile]];
  if constexpr (kScaled<T>) {
    constexpr int kLines = kTileTokens * sizeof(F16) / 64;
    Upcoming{in_page<char>(piece, a.k_scales), kLines * a.key_blocks}.ask(0);
    Upcoming{in_page<char>(piece, a.v_scales), kLines}.ask(0);
  }
  const auto bytes = static_cast<int>(a.head_dim * kTileTokens * sizeof(T));
  return {in_page<char>(piece, a.k_offset), bytes / 64 / steps};
}

template <class T>
void load_queries(const AttentionArgs& a, const Scratch<T>& scratch) {
  float* to = scratch.queries;
  for (int64_t i = 0; i < a.positions; ++i) {
    const float* from = a.q + (a.first_position + i) * a.q_stride;
    for (int j = 0; j < a.group * a.head_dim; ++j) *to++ = from[j] * a.scale;
  }
}

// Turns one row's scores into weights relative to the running maximum, and rescales what was summed before.
void absorb_scores(float* scores, int visible, RowStates s, int64_t row, int v_stride) {
  F32 tile[kTileVectors];
  F32 largest = splat(kMinusInfinity);
  for (int c = 0; c < kTileVectors; ++c) {
    const int n = visible - 16 * c;
    tile[c] = load(scores + 16 * c);
    if (n < 16) tile[c] = merge_n(tile[c], splat(kMinusInfinity), n < 0 ? 0 : n);
    largest = max(largest, tile[c]);
  }
  const float tile_max = reduce_max(largest);
  if (tile_max > s.max[row]) {
    if (s.max[row] != kMinusInfinity) {
      const float factor = exp_one(s.max[row] - tile_max);
      s.sum[row] *= factor;
      scale_row(s.values + row * v_stride, v_stride, factor);
    }
    s.max[row] = tile_max;
  }
  const F32 reference = splat(s.max[row] == kMinusInfinity ? 0.0f : s.max[row]);
  F32 sum = splat(0.0f);
  for (int c = 0; c < kTileVectors; ++c) {
    const F32 weight = exp(tile[c] - reference);
    store(scores + 16 * c, weight);
    sum = sum + weight;
  }
  s.sum[row] += reduce_add(sum);
}

// values += weights x V. Rows of a block share the tokens all of them see; what only later rows see is added
// row by row, so that nothing a row does not see can reach it, not even as 0 * NaN.
template <class Rows>
void add_values(const AttentionArgs& a, const float* weights, Rows values, int64_t start, RowStates s,
                int64_t first_row, Upcoming upcoming) {
  const int vectors = a.v_stride / 16;
  const int64_t rows = row_count(a);
  for (int64_t r0 = first_row; r0 < rows; r0 += kTileRows) {
    const int n = static_cast<int>(rows - r0 < kTileRows ? rows - r0 : kTileRows);
    const int common = visible_in_tile(a, r0, start);
    multiply_rows<kTileRows>(n, weights + r0 * kTileTokens, kTileTokens, values, common,
                             s.values + r0 * a.v_stride, a.v_stride, vectors, true,
                             r0 == first_row ? upcoming : Upcoming{});
    for (int64_t r = r0; r < r0 + n; ++r) {
      const int more = visible_in_tile(a, r, start) - common;
      if (more > 0)
        multiply_rows<1>(1, weights + r * kTileTokens + common, kTileTokens, values.from(common), more,
                         s.values + r * a.v_stride, a.v_stride, vectors, true, Upcoming{});
    }
  }
}

// Sums over blocks of dims, each times its scale, in place of the first block's.
void scale_scores(const AttentionArgs& a, const TileScales& scales, float* scores, int64_t first_row) {
  const int64_t rows = row_count(a);
  for (int b = 0; b < a.key_blocks; ++b)
    for (int t = 0; t < kTileTokens; t += 16) {
      const F32 scale = load(scales.keys + b * scales.key_stride + t);
      for (int64_t r = first_row; r < rows; ++r) {
        float* sum = scores + r * kTileTokens + t;
        const F32 part = load(sum + b * rows * kTileTokens) * scale;
        store(sum, b == 0 ? part : load(sum) + part);
      }
    }
}

// A value's scale goes into its weight, which every one of its dims is multiplied by.
void scale_weights(const TileScales& scales, float* weights) {
  for (int t = 0; t < kTileTokens; t += 16) store(weights + t, load(weights + t) * load(scales.values + t));
}

template <class T>
void attend_keys(const AttentionArgs& a, const KvTile<T>& kv, int64_t start, float* scores,
                 const float* queries, int64_t first_row, RowStates s, Upcoming values, Upcoming next_keys) {
  const int64_t rows = row_count(a);
  const int block_dims = a.key_blocks == 1 ? a.head_dim : kScaleDims;
  for (int64_t r = first_row; r < rows; r += kTileRows)
    for (int b = 0, d = 0; b < a.key_blocks; ++b, d += block_dims)
      multiply_rows<kTileRows>(
          static_cast<int>(rows - r < kTileRows ? rows - r : kTileRows), queries + r * a.head_dim + d,
          a.head_dim, StridedRows<T>{kv.keys + d * kv.key_stride, kv.key_stride},
          a.head_dim - d < block_dims ? a.head_dim - d : block_dims, scores + (b * rows + r) * kTileTokens,
          kTileTokens, kTileVectors, false, r == first_row ? values.from(d) : Upcoming{});
  const bool scaled = kv.scales.keys != nullptr;
  if (scaled) scale_scores(a, kv.scales, scores, first_row);
  for (int64_t r = first_row; r < rows; ++r) {
    absorb_scores(scores + r * kTileTokens, visible_in_tile(a, r, start), s, r, a.v_stride);
    if (scaled) scale_weights(kv.scales, scores + r * kTileTokens);
  }
  if (kv.value_rows != nullptr)
    add_values(a, scores, ListedRows<T>{kv.value_rows}, start, s, first_row, next_keys);
  else
    add_values(a, scores, StridedRows<T>{kv.values, a.v_stride}, start, s, first_row, next_keys);
}

template <class T>
void attend_tile(const AttentionArgs& a, int64_t tile, int64_t tiles, const Scratch<T>& scratch,
                 RowStates s) {
  const int64_t start = tile * kTileTokens;
  const int64_t unseen = start + 1 - visible_tokens(a, 0);  // positions before the tile's first token
  const int64_t first_row = unseen > 0 ? unseen * a.group : 0;
  if (first_row >= row_count(a)) return;
  const KvTile<T> kv = locate_tile<T>(a, tile, scratch);
  const auto tokens =
      static_cast<int>(a.num_tokens - start < kTileTokens ? a.num_tokens - start : kTileTokens);
  const Upcoming next_keys = upcoming_keys<T>(a, tile + 1, tiles, kTileTokens);
  if (sizeof(T) < sizeof(float) && row_count(a) - first_row > kTileRows)
    return attend_keys(a, widen_tile(a, kv, tokens, scratch), start, scratch.scores, scratch.queries,
                       first_row, s, {}, next_keys);
  const Upcoming values{a.v_stride == 0 ? nullptr : reinterpret_cast<const char*>(kv.values),
                        static_cast<int>(kTileTokens * sizeof(T) / 64)};
  attend_keys(a, kv, start, scratch.scores, scratch.queries, first_row, s, values, next_keys);
}

template <class T>
void partial_of_type(const AttentionArgs& a, int64_t partial, float* partial_out, void* memory) {
  const int64_t rows = row_count(a);
  const RowStates s(partial_out, rows);
  for (int64_t r = 0; r < rows; ++r) s.max[r] = kMinusInfinity;
  std::memset(s.sum, 0, sizeof(float) * static_cast<size_t>(rows * (1 + a.v_stride)));
  const Scratch<T> scratch(memory, a);
  load_queries(a, scratch);
  const int64_t tiles = (a.num_tokens + kTileTokens - 1) / kTileTokens;
  const int64_t begin = partial * a.tiles_per_partial;
  const int64_t end = begin + a.tiles_per_partial < tiles ? begin + a.tiles_per_partial : tiles;
  for (int64_t tile = begin; tile < end; ++tile) attend_tile<T>(a, tile, tiles, scratch, s);
}

}  // namespace

namespace EV_ISA {

void attention_partial(const AttentionArgs& a, int64_t partial, float* partial_out, void* scratch) {
  switch (a.type) {
    case KvType::kF16: return partial_of_type<F16>(a, partial, partial_out, scratch);
    case KvType::kF32: return partial_of_type<float>(a, partial, partial_out, scratch);
    case KvType::kI8: return partial_of_type<int8_t>(a, partial, partial_out, scratch);
  }
}

void attention_join(const AttentionArgs& a, int64_t partial, const float* partial_in, float* state) {
  const int64_t rows = row_count(a);
  if (partial == 0) {
    std::memcpy(state, partial_in, sizeof(float) * static_cast<size_t>(rows * (2 + a.v_stride)));
    return;
  }
  const RowStates old(state, rows);
  const RowStates more(const_cast<float*>(partial_in), rows);
  for (int64_t r = 0; r < rows; ++r) {
    if (more.sum[r] == 0.0f) continue;  // nothing seen there
    const float top = more.max[r] > old.max[r] ? more.max[r] : old.max[r];
    const float reference = top == kMinusInfinity ? 0.0f : top;
    const float keep = exp_one(old.max[r] - reference);
    const float take = exp_one(more.max[r] - reference);
    old.max[r] = top;
    old.sum[r] = old.sum[r] * keep + more.sum[r] * take;
    float* to = old.values + r * a.v_stride;
    const float* from = more.values + r * a.v_stride;
    for (int i = 0; i < a.v_stride; i += 16)
      store(to + i, fma(load(from + i), splat(take), load(to + i) * splat(keep)));
  }
}

void attention_finish(const AttentionArgs& a, const float* state) {
  const int64_t rows = row_count(a);
  const RowStates s(const_cast<float*>(state), rows);
  for (int64_t r = 0; r < rows; ++r) {
    float* out = a.out + (a.first_position + r / a.group) * a.out_stride + r % a.group * a.head_dim;
    const float* values = s.values + r * a.v_stride;
    for (int i = 0; i < a.head_dim; i += 16) {
      const int n = a.head_dim - i < 16 ? a.head_dim - i : 16;
      store_n(out + i, load(values + i) / splat(s.sum[r]), n);
    }
  }
}

}  // namespace EV_ISA
}  // namespace ev::ops
