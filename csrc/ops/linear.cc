// Kernel of ops/linear.h, compiled per ISA. A micro-kernel keeps kRows rows of x against one panel of 16
// weight rows and walks k once; weights stream from memory, unpacked once per kRows rows.
#include "ops/kernels.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

constexpr int64_t kNibbleBlockBytes = kPanelRows * kBlockWidth / 2;
constexpr int64_t kByteBlockBytes = kPanelRows * kBlockWidth;
constexpr int kGroups = 8;  // of 4 codes in a block

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

// Scales in memory: d then m, 16 lanes each.
template <int kRows, class Scale>
void nibble_tile(const LinearArgs& a, Tile t) {
  const uint8_t* w = static_cast<const uint8_t*>(a.weights) + t.panel * a.blocks * kNibbleBlockBytes;
  const Scale* scale = static_cast<const Scale*>(a.scales) + t.panel * a.blocks * 2 * kPanelRows;
  const int64_t padded_k = a.blocks * kBlockWidth;
  const int8_t* x = a.codes + t.row * padded_k;
  const float* x_scale = a.x_scales + t.row * a.blocks;
  const float* x_sum = a.x_scaled_sums + t.row * a.blocks;
  F32 sums[kRows];
  for (F32& s : sums) s = splat(0.0f);
  for (int64_t b = 0; b < a.blocks; ++b) {
    NibbleDot dots[kRows];
    for (int g = 0; g < kGroups / 2; ++g) {
      const Codes both = load_codes(w + 64 * g);
      const Codes low = low_nibbles(both);
      const Codes high = high_nibbles(both);
      for (int r = 0; r < kRows; ++r) {
        dots[r].add(low, splat_codes(x + r * padded_k + 4 * g));
        dots[r].add(high, splat_codes(x + r * padded_k + 16 + 4 * g));
      }
    }
    const F32 d = load(scale);
    const F32 m = load(scale + kPanelRows);
    for (int r = 0; r < kRows; ++r) {
      sums[r] = fma(to_float(dots[r].total()), d * splat(x_scale[r * a.blocks + b]), sums[r]);
      sums[r] = fma(m, splat(x_sum[r * a.blocks + b]), sums[r]);
    }
    w += kNibbleBlockBytes;
    scale += 2 * kPanelRows;
    x += kBlockWidth;
  }
  store_tile<kRows>(a, t, sums);
}

// kParts scales per block: one for all 32 codes, or one for each 16.
template <int kRows, int kParts, class Scale>
void byte_tile(const LinearArgs& a, Tile t) {
  const uint8_t* w = static_cast<const uint8_t*>(a.weights) + t.panel * a.blocks * kByteBlockBytes;
  const Scale* scale = static_cast<const Scale*>(a.scales) + t.panel * a.blocks * kParts * kPanelRows;
  const int64_t padded_k = a.blocks * kBlockWidth;
  const int8_t* x = a.codes + t.row * padded_k;
  const float* x_scale = a.x_scales + t.row * a.blocks;
  const int32_t* x_sums = a.x_sums + t.row * a.blocks * 2;
  F32 sums[kRows];
  for (F32& s : sums) s = splat(0.0f);
  for (int64_t b = 0; b < a.blocks; ++b) {
    for (int part = 0; part < kParts; ++part) {
      constexpr int kPartGroups = kGroups / kParts;
      ByteDot dots[kRows];
      for (int r = 0; r < kRows; ++r) {
        const int32_t* halves = x_sums + (r * a.blocks + b) * 2;
        dots[r].start(kParts == 1 ? halves[0] + halves[1] : halves[part]);
      }
      for (int g = part * kPartGroups; g < (part + 1) * kPartGroups; ++g) {
        const Codes codes = load_codes(w + 64 * g);
        for (int r = 0; r < kRows; ++r) dots[r].add(codes, splat_codes(x + r * padded_k + 4 * g));
      }
      const F32 d = load(scale + part * kPanelRows);
      for (int r = 0; r < kRows; ++r)
        sums[r] = fma(to_float(dots[r].total()), d * splat(x_scale[r * a.blocks + b]), sums[r]);
    }
    w += kByteBlockBytes;
    scale += kParts * kPanelRows;
    x += kBlockWidth;
  }
  store_tile<kRows>(a, t, sums);
}

template <int kRows, class Weight>
void float_tile(const LinearArgs& a, Tile t) {
  const Weight* w = static_cast<const Weight*>(a.weights) + t.panel * a.k * kPanelRows;
  const float* x = a.x + t.row * a.x_stride;
  F32 sums[kRows];
  for (F32& s : sums) s = splat(0.0f);
  for (int64_t i = 0; i < a.k; ++i) {
    const F32 weights = load(w + i * kPanelRows);
    for (int r = 0; r < kRows; ++r) sums[r] = fma(splat(x[r * a.x_stride + i]), weights, sums[r]);
  }
  store_tile<kRows>(a, t, sums);
}

template <int kRows>
void tile_of_kind(const LinearArgs& a, Tile t) {
  switch (a.kind) {
    case WeightKind::kF32: return float_tile<kRows, float>(a, t);
    case WeightKind::kF16: return float_tile<kRows, F16>(a, t);
    case WeightKind::kBF16: return float_tile<kRows, BF16>(a, t);
    case WeightKind::kNibbles: return nibble_tile<kRows, F16>(a, t);
    case WeightKind::kNibblesWide: return nibble_tile<kRows, float>(a, t);
    case WeightKind::kBytes: return byte_tile<kRows, 1, F16>(a, t);
    case WeightKind::kBytesHalf: return byte_tile<kRows, 2, float>(a, t);
  }
}

// Turns a run-time row count into a template argument.
template <int kRows>
void tile_of_rows(const LinearArgs& a, Tile t, int64_t rows) {
  if (rows == kRows) return tile_of_kind<kRows>(a, t);
  if constexpr (kRows > 1) tile_of_rows<kRows - 1>(a, t, rows);
}

}  // namespace

namespace EV_ISA {

void linear(const LinearArgs& args, int64_t panel_begin, int64_t panel_end) {
  // Rows are dealt evenly: 13 rows are 7 + 6, not 12 + 1.
  const int64_t steps = (args.m + kDotRows - 1) / kDotRows;
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    for (int64_t s = 0; s < steps; ++s) {
      const int64_t row = args.m * s / steps;
      tile_of_rows<kDotRows>(args, {panel, row}, args.m * (s + 1) / steps - row);
    }
  }
}

}  // namespace EV_ISA
}  // namespace ev::ops
