// How rows of activations are dealt to the register tiles of linear: evenly, at most kDotRows each, so that
// 13 rows are 7 + 6 rather than 8 + 5. Quantised activations are stored tile by tile, so that a tile walks k
// with one pointer:
//
//   codes  [tile][block][row of the tile][32]      scales, sums  [tile][block][row of the tile]
//
// A tile's part begins where its first row would begin in a plain [row][block] layout.
#pragma once

#include "ops/kernels.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

struct RowTile {
  int64_t first, rows;
};

inline int64_t row_tile_count(int64_t m) {
  return (m + kDotRows - 1) / kDotRows;
}

inline RowTile row_tile(int64_t m, int64_t index) {
  const int64_t tiles = row_tile_count(m);
  const int64_t first = m * index / tiles;
  return {first, m * (index + 1) / tiles - first};
}

inline RowTile row_tile_of(int64_t m, int64_t row) {
  return row_tile(m, ((row + 1) * row_tile_count(m) - 1) / m);
}

}  // namespace
}  // namespace ev::ops
