// Kernel of ops/linear.h, compiled per ISA. A tile is a few rows of x against one or two panels of 16 weight
// rows; it walks k once, with every sum in a register. Weights stream from memory and are unpacked once per
// tile.
#include "ops/kernels.h"
#include "ops/simd/row_tiles.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

constexpr int64_t kNibbleBlockBytes = kPanelRows * kBlockWidth / 2;
constexpr int64_t kByteBlockBytes = kPanelRows * kBlockWidth;
constexpr int kGroups = 8;             // of 4 codes in a block
constexpr int64_t kFetchAhead = 2048;  // bytes; past the page the hardware's prefetcher stops at

struct Tile {
  int64_t panel, row;
};

template <int kRows>
void store_tile(const LinearArgs& a, Tile t, const F32 (&sums)[kRows]) {
  const int64_t first = t.panel * kPanelRows;
  const int valid = static_cast<int>(a.rows - first < kPanelRows ? a.rows - first : kPanelRows);
  const F32 bias = a.bias == nullptr ? splat(0.0f) : load_n(a.bias + first, valid);
  for (int r = 0; r < kRows; ++r) {
    float* y = a.y + (t.row + r) * a.y_stride + first;
    const F32 value = a.bias == nullptr ? sums[r] : sums[r] + bias;
    if (valid == kPanelRows) {
      store(y, value);
    } else {
      store_n(y, value, valid);
    }
  }
}

// The activations of a tile; advances block by block.
template <int kRows>
struct Activations {
  const int8_t* codes;
  const float* scales;
  const float* scaled_sums;
  const int32_t* sums;

  Activations(const LinearArgs& a, int64_t row)
      : codes(a.codes + row * a.blocks * kBlockWidth),
        scales(a.x_scales + row * a.blocks),
        scaled_sums(a.x_scaled_sums + row * a.blocks),
        sums(a.x_sums + row * a.blocks * 2) {}

  Codes group(int row, int at) const { return splat_codes(codes + row * kBlockWidth + at); }

  void next_block() {
    codes += kRows * kBlockWidth;
    scales += kRows;
    scaled_sums += kRows;
    sums += kRows * 2;
  }
};

// Scales in memory: d then m, 16 lanes each.
template <int kRows, int kPanels, class Scale>
void nibble_tile(const LinearArgs& a, Tile t) {
  const int64_t panel_bytes = a.blocks * kNibbleBlockBytes;
  const int64_t panel_scales = a.blocks * 2 * kPanelRows;
  const uint8_t* w = static_cast<const uint8_t*>(a.weights) + t.panel * panel_bytes;
  const Scale* scale = static_cast<const Scale*>(a.scales) + t.panel * panel_scales;
  Activations<kRows> x(a, t.row);
  F32 sums[kPanels][kRows];
  for (auto& panel : sums)
    for (F32& s : panel) s = splat(0.0f);
  for (int64_t b = 0; b < a.blocks; ++b) {
    NibbleDot dots[kPanels][kRows];
    for (int g = 0; g < kGroups / 2; ++g) {
      Codes low[kPanels];
      Codes high[kPanels];
      for (int p = 0; p < kPanels; ++p) {
        const uint8_t* at = w + p * panel_bytes + 64 * g;
        prefetch(at + kFetchAhead);
        const Codes both = load_codes(at);
        low[p] = low_nibbles(both);
        high[p] = high_nibbles(both);
      }
      for (int r = 0; r < kRows; ++r) {
        const Codes x_low = x.group(r, 4 * g);
        const Codes x_high = x.group(r, 16 + 4 * g);
        for (int p = 0; p < kPanels; ++p) {
          dots[p][r].add(low[p], x_low);
          dots[p][r].add(high[p], x_high);
        }
      }
    }
    for (int p = 0; p < kPanels; ++p) {
      const F32 d = load(scale + p * panel_scales);
      const F32 m = load(scale + p * panel_scales + kPanelRows);
      for (int r = 0; r < kRows; ++r) {
        sums[p][r] = fma(to_float(dots[p][r].total()), d * splat(x.scales[r]), sums[p][r]);
        sums[p][r] = fma(m, splat(x.scaled_sums[r]), sums[p][r]);
      }
    }
    w += kNibbleBlockBytes;
    scale += 2 * kPanelRows;
    x.next_block();
  }
  for (int p = 0; p < kPanels; ++p) store_tile<kRows>(a, {t.panel + p, t.row}, sums[p]);
}

// kParts scales per block: one for all 32 codes, or one for each 16.
template <int kRows, int kPanels, int kParts, class Scale>
void byte_tile(const LinearArgs& a, Tile t) {
  constexpr int kPartGroups = kGroups / kParts;
  const int64_t panel_bytes = a.blocks * kByteBlockBytes;
  const int64_t panel_scales = a.blocks * kParts * kPanelRows;
  const uint8_t* w = static_cast<const uint8_t*>(a.weights) + t.panel * panel_bytes;
  const Scale* scale = static_cast<const Scale*>(a.scales) + t.panel * panel_scales;
  Activations<kRows> x(a, t.row);
  F32 sums[kPanels][kRows];
  for (auto& panel : sums)
    for (F32& s : panel) s = splat(0.0f);
  for (int64_t b = 0; b < a.blocks; ++b) {
    for (int part = 0; part < kParts; ++part) {
      ByteDot dots[kPanels][kRows];
      for (int r = 0; r < kRows; ++r)
        for (auto& panel : dots)
          panel[r].start(kParts == 1 ? x.sums[2 * r] + x.sums[2 * r + 1] : x.sums[2 * r + part]);
      for (int g = part * kPartGroups; g < (part + 1) * kPartGroups; ++g) {
        Codes codes[kPanels];
        for (int p = 0; p < kPanels; ++p) {
          prefetch(w + p * panel_bytes + 64 * g + kFetchAhead);
          codes[p] = load_codes(w + p * panel_bytes + 64 * g);
        }
        for (int r = 0; r < kRows; ++r)
          for (int p = 0; p < kPanels; ++p) dots[p][r].add(codes[p], x.group(r, 4 * g));
      }
      for (int p = 0; p < kPanels; ++p) {
        const F32 d = load(scale + p * panel_scales + part * kPanelRows);
        for (int r = 0; r < kRows; ++r)
          sums[p][r] = fma(to_float(dots[p][r].total()), d * splat(x.scales[r]), sums[p][r]);
      }
    }
    w += kByteBlockBytes;
    scale += kParts * kPanelRows;
    x.next_block();
  }
  for (int p = 0; p < kPanels; ++p) store_tile<kRows>(a, {t.panel + p, t.row}, sums[p]);
}

template <int kRows, int kPanels, class Weight>
void float_tile(const LinearArgs& a, Tile t) {
  const int64_t panel_weights = a.k * kPanelRows;
  const Weight* w = static_cast<const Weight*>(a.weights) + t.panel * panel_weights;
  const float* x = a.x + t.row * a.x_stride;
  F32 sums[kPanels][kRows];
  for (auto& panel : sums)
    for (F32& s : panel) s = splat(0.0f);
  for (int64_t i = 0; i < a.k; ++i) {
    F32 weights[kPanels];
    for (int p = 0; p < kPanels; ++p) weights[p] = load(w + p * panel_weights + i * kPanelRows);
    for (int r = 0; r < kRows; ++r) {
      const F32 factor = splat(x[r * a.x_stride + i]);
      for (int p = 0; p < kPanels; ++p) sums[p][r] = fma(factor, weights[p], sums[p][r]);
    }
  }
  for (int p = 0; p < kPanels; ++p) store_tile<kRows>(a, {t.panel + p, t.row}, sums[p]);
}

template <int kRows, int kPanels>
void tile_of_kind(const LinearArgs& a, Tile t) {
  switch (a.kind) {
    case WeightKind::kF32: return float_tile<kRows, kPanels, float>(a, t);
    case WeightKind::kF16: return float_tile<kRows, kPanels, F16>(a, t);
    case WeightKind::kBF16: return float_tile<kRows, kPanels, BF16>(a, t);
    case WeightKind::kNibbles: return nibble_tile<kRows, kPanels, F16>(a, t);
    case WeightKind::kNibblesWide: return nibble_tile<kRows, kPanels, float>(a, t);
    case WeightKind::kBytes: return byte_tile<kRows, kPanels, 1, F16>(a, t);
    case WeightKind::kBytesHalf: return byte_tile<kRows, kPanels, 2, float>(a, t);
  }
}

// Turns a run-time number of rows into a template argument.
template <int kRows, int kPanels>
void tile_of_rows(const LinearArgs& a, Tile t, int64_t rows) {
  if (rows == kRows) return tile_of_kind<kRows, kPanels>(a, t);
  if constexpr (kRows > 1) tile_of_rows<kRows - 1, kPanels>(a, t, rows);
}

}  // namespace

namespace EV_ISA {

void linear(const LinearArgs& args, int64_t panel_begin, int64_t panel_end) {
  const int64_t row_tiles = row_tile_count(args.m);
  for (int64_t panel = panel_begin; panel < panel_end;) {
    const bool together = panel + kDotPanels <= panel_end;
    for (int64_t i = 0; i < row_tiles; ++i) {
      const RowTile rows = row_tile(args.m, i);
      if (together) {
        tile_of_rows<kDotRows, kDotPanels>(args, {panel, rows.first}, rows.rows);
      } else {
        tile_of_rows<kDotRows, 1>(args, {panel, rows.first}, rows.rows);
      }
    }
    panel += together ? kDotPanels : 1;
  }
}

}  // namespace EV_ISA
}  // namespace ev::ops
