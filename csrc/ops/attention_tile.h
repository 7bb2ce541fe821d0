// How a tile of 64 tokens is brought together from KV pages, for the kernels of paged_attention.cc; compiled
// per ISA.
#pragma once

#include "ops/kernels.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

inline int64_t row_count(const AttentionArgs& a) {
  return a.positions * a.group;
}

// Of int8 codes; null without.
struct TileScales {
  const F16* keys = nullptr;  // [key_blocks, key_stride], 64 tokens wide
  int64_t key_stride = 0;
  const F16* values = nullptr;  // [64]
};

template <class T>
struct KvTile {
  const T* keys;  // [head_dim, key_stride], 64 tokens wide
  int64_t key_stride;
  const T* values;             // [64, v_stride]; or null, and
  const T* const* value_rows;  // [tokens], each [v_stride]
  TileScales scales;
};

template <class T>
constexpr bool kScaled = sizeof(T) == 1;

template <class T>
struct Scratch {
  const T** value_rows;  // [64]
  float* queries;        // [rows, head_dim], scaled
  float* scores;         // [key_blocks, rows, 64], later the weights
  T* keys;               // [head_dim, kGatherStride]
  F16* key_scales;       // [key_blocks, kGatherStride]
  F16* value_scales;     // [kGatherStride]
  float* wide;           // keys and values again
  Scratch(void* memory, const AttentionArgs& a)
      : value_rows(static_cast<const T**>(memory)),
        queries(reinterpret_cast<float*>(value_rows + kTileTokens)),
        scores(queries + row_count(a) * a.head_dim),
        keys(reinterpret_cast<T*>(scores + a.key_blocks * row_count(a) * kTileTokens)),
        key_scales(reinterpret_cast<F16*>(keys + int64_t{a.head_dim} * kGatherStride)),
        value_scales(key_scales + int64_t{a.key_blocks} * kGatherStride),
        wide(reinterpret_cast<float*>(value_scales + kGatherStride)) {}
};

template <class T>
const T* in_page(const TilePiece& piece, int64_t offset) {
  return reinterpret_cast<const T*>(static_cast<const char*>(piece.page) + offset);
}

// Pieces are short and many, so they are copied in whole vectors where the page allows; what that writes past
// a piece the next one overwrites.
template <class T>
void gather_lines(const T* from, int lines, int page_size, const TilePiece& piece, T* to) {
  const int vectors = (piece.count + 15) / 16;
  if (piece.first + 16 * vectors > page_size) {
    for (int i = 0; i < lines; ++i)
      std::memcpy(to + i * kGatherStride, from + int64_t{i} * page_size,
                  static_cast<size_t>(piece.count) * sizeof(T));
    return;
  }
  for (int i = 0; i < lines; ++i)
    for (int v = 0; v < vectors; ++v)
      std::memcpy(to + i * kGatherStride + 16 * v, from + int64_t{i} * page_size + 16 * v, 16 * sizeof(T));
}

// A tile that lies in one page is read where it is (slots past its tokens hold anything and are never used).
// Of pieces of several pages the keys, which lie across, are copied together first; values are read where
// they are, and asked for here as there is work before that.
template <class T>
KvTile<T> locate_tile(const AttentionArgs& a, int64_t tile, const Scratch<T>& scratch) {
  const TilePiece* piece = a.pieces + a.tile_begin[tile];
  const TilePiece* end = a.pieces + a.tile_begin[tile + 1];
  const auto keys_of = [&](const TilePiece& p) { return in_page<T>(p, a.k_offset) + p.first; };
  const auto values_of = [&](const TilePiece& p) {
    return in_page<T>(p, a.v_offset) + int64_t{p.first} * a.v_stride;
  };
  const auto key_scales_of = [&](const TilePiece& p) { return in_page<F16>(p, a.k_scales) + p.first; };
  const auto value_scales_of = [&](const TilePiece& p) { return in_page<F16>(p, a.v_scales) + p.first; };
  if (end - piece == 1 && piece->first + kTileTokens <= a.page_size) {
    KvTile<T> here{keys_of(*piece), a.page_size, values_of(*piece), nullptr, {}};
    if constexpr (kScaled<T>) here.scales = {key_scales_of(*piece), a.page_size, value_scales_of(*piece)};
    return here;
  }
  for (; piece != end; ++piece) {
    constexpr auto kLine = static_cast<int64_t>(64 / sizeof(T));
    gather_lines(keys_of(*piece), a.head_dim, a.page_size, *piece, scratch.keys + piece->at);
    for (int i = 0; i < piece->count; ++i) {
      const T* row = values_of(*piece) + int64_t{i} * a.v_stride;
      scratch.value_rows[piece->at + i] = row;
      for (int64_t line = 0; line < a.v_stride; line += kLine) prefetch(row + line);
    }
    if constexpr (kScaled<T>) {
      gather_lines(key_scales_of(*piece), a.key_blocks, a.page_size, *piece, scratch.key_scales + piece->at);
      std::memcpy(scratch.value_scales + piece->at, value_scales_of(*piece),
                  static_cast<size_t>(piece->count) * sizeof(F16));
    }
  }
  KvTile<T> gathered{scratch.keys, kGatherStride, nullptr, scratch.value_rows, {}};
  if constexpr (kScaled<T>) gathered.scales = {scratch.key_scales, kGatherStride, scratch.value_scales};
  return gathered;
}

// The tile in f32, for more rows than one pass of multiply_rows takes: converted once instead of by each
// pass.
template <class T>
KvTile<float> widen_tile(const AttentionArgs& a, const KvTile<T>& tile, int tokens,
                         const Scratch<T>& scratch) {
  float* keys = scratch.wide;
  for (int d = 0; d < a.head_dim; ++d)
    for (int t = 0; t < kTileTokens; t += 16)
      store(keys + d * kTileTokens + t, load(tile.keys + d * tile.key_stride + t));
  float* values = keys + int64_t{a.head_dim} * kTileTokens;
  for (int t = 0; t < tokens; ++t) {
    const T* row = tile.value_rows != nullptr ? tile.value_rows[t] : tile.values + int64_t{t} * a.v_stride;
    for (int i = 0; i < a.v_stride; i += 16) store(values + t * a.v_stride + i, load(row + i));
  }
  return {keys, kTileTokens, values, nullptr, tile.scales};
}

}  // namespace
}  // namespace ev::ops
