// Kernel of ops/conv1d_int8.h, compiled per ISA. A tile is a few rows of y against one or two panels of 16
// outputs; it walks taps and channels once, with every sum in a register.
#include "ops/kernels.h"
#include "ops/simd/vec.h"

namespace ev::ops {
namespace {

constexpr int kLanes = 16;
constexpr float kMost = 127.0f;

// The last channels of a row, fewer than four.
Codes splat_some(const int8_t* x, int64_t n) {
  int8_t four[4] = {};
  for (int64_t i = 0; i < n; ++i) four[i] = x[i];
  return splat_codes(four);
}

void store_row(const ConvArgs& a, I32 sum, int64_t row, int64_t first) {
  const F32 scaled = to_float(sum + load_ints(a.bias + first)) * load(a.scales + first);
  int8_t lanes[kLanes];
  store_codes(lanes, round_to_int(min(max(scaled, splat(a.floor)), splat(kMost))));
  const int64_t valid = a.out_channels - first < kLanes ? a.out_channels - first : kLanes;
  std::memcpy(a.out + row * a.out_channels + first, lanes, static_cast<size_t>(valid));
}

// Adds four channels' products; `four(r)` are those of row r.
template <int kRows, int kPanels, class Four>
void add_group(SignedDot (&dots)[kPanels][kRows], const uint8_t* w, int64_t panel_bytes, const Four& four) {
  Codes codes[kPanels];
  for (int p = 0; p < kPanels; ++p) codes[p] = load_codes(w + p * panel_bytes);
  for (int r = 0; r < kRows; ++r) {
    const Codes x = four(r);
    for (int p = 0; p < kPanels; ++p) dots[p][r].add(codes[p], x);
  }
}

template <int kRows, int kPanels>
void tile(const ConvArgs& a, int64_t row, int64_t panel) {
  const int64_t groups = (a.in_channels + 3) / 4;
  const int64_t panel_bytes = a.taps * groups * 4 * kLanes;
  const int64_t step = a.stride * a.in_channels;
  const auto* w = reinterpret_cast<const uint8_t*>(a.weights) + panel * panel_bytes;
  SignedDot dots[kPanels][kRows];
  for (int p = 0; p < kPanels; ++p)
    for (SignedDot& dot : dots[p]) dot.start(load_ints(a.sums + (panel + p) * kLanes));
  for (int64_t k = 0; k < a.taps; ++k) {
    const int8_t* x = a.x + (row * a.stride + k * a.dilation) * a.in_channels;
    int64_t c = 0;
    for (; c + 4 <= a.in_channels; c += 4, w += 4 * kLanes)
      add_group(dots, w, panel_bytes, [&](int r) { return splat_codes(x + r * step + c); });
    if (c < a.in_channels) {
      add_group(dots, w, panel_bytes, [&](int r) { return splat_some(x + r * step + c, a.in_channels - c); });
      w += 4 * kLanes;
    }
  }
  for (int p = 0; p < kPanels; ++p)
    for (int r = 0; r < kRows; ++r) store_row(a, dots[p][r].total(), row + r, (panel + p) * kLanes);
}

template <int kRows>
void row_tile(const ConvArgs& a, int64_t row) {
  const int64_t panels = (a.out_channels + kLanes - 1) / kLanes;
  int64_t panel = 0;
  for (; panel + kConvPanels <= panels; panel += kConvPanels) tile<kRows, kConvPanels>(a, row, panel);
  for (; panel < panels; ++panel) tile<kRows, 1>(a, row, panel);
}

}  // namespace

namespace EV_ISA {

void conv1d_int8(const ConvArgs& a, int64_t row_begin, int64_t row_end) {
  int64_t row = row_begin;
  for (; row + kConvRows <= row_end; row += kConvRows) row_tile<kConvRows>(a, row);
  for (; row < row_end; ++row) row_tile<1>(a, row);
}

}  // namespace EV_ISA
}  // namespace ev::ops
