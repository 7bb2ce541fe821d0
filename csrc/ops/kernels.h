// The boundary between an op's public function, compiled once, and its kernel, compiled per ISA: plain
// structs and a table of function pointers. Kernels check nothing, allocate nothing, use one thread and do
// not throw. Included by code of every ISA, so nothing here may have a body.
#pragma once

#include <cstdint>

namespace ev::ops {

constexpr int64_t kPanelRows = 16;   // weight rows side by side in a vector's lanes
constexpr int64_t kBlockWidth = 32;  // weights and activations that share a scale
constexpr int kTileTokens = 64;
constexpr int kScaleDims = 32;  // of a key in int8, that share a scale
constexpr int kGatherStride =
    kTileTokens + 16;  // of a tile's keys when copied together in steps of 16 tokens

// What keys and values are kept as (ops/kv_pages.h).
enum class KvType : int32_t { kF16, kF32, kI8 };

enum class WeightKind : int32_t {
  kF32,
  kF16,
  kBF16,
  kNibbles,      // 4-bit codes, f16 scale and min
  kNibblesWide,  // 4-bit codes, f32 scale and min
  kBytes,        // 8-bit codes, f16 scale
  kBytesHalf,    // 8-bit codes, f32 scale per 16 codes
};

struct QuantizeArgs {
  const float* x;  // [m, k], k a multiple of kBlockWidth
  int64_t x_stride, m, k;
  int8_t* codes;  // these four in the order of ops/simd/row_tiles.h
  float* scales;
  float* scaled_sums;
  int32_t* sums;
};

struct LinearArgs {
  WeightKind kind;
  const void* weights;  // see ops/linear.h for the layouts
  const void* scales;
  int64_t rows, k, blocks;
  int64_t m;
  const float* x;  // read by float kinds
  int64_t x_stride;
  const int8_t* codes;  // read by the others
  const float* x_scales;
  const float* x_scaled_sums;
  const int32_t* x_sums;
  const float* bias;  // may be null
  float* y;
  int64_t y_stride;
};

struct RmsNormArgs {
  float* x;  // read; written when delta is set
  int64_t x_stride;
  const float* delta;  // null: plain norm
  int64_t delta_stride;
  const float* weight;
  float eps;
  float* out;
  int64_t out_stride, cols;
};

struct RopeArgs {
  float* x;  // [m, heads, head_dim]
  int64_t x_stride;
  int heads, head_dim, rotary_dim;
  const float* cos;  // [m, rotary_dim / 2]
  const float* sin;
  bool interleaved;
};

struct SwigluArgs {
  const float* gate_up;  // [m, 2 cols]
  int64_t gate_up_stride;
  float* out;
  int64_t out_stride, cols;
};

// `count` tokens into slots [first, ...) of one layer's planes of one page.
struct KvAppendArgs {
  KvType type;
  void* k_plane;
  void* v_plane;
  void* k_scales;  // of kI8: f16 [num_kv_heads, key_scales, page_size]
  void* v_scales;  // f16 [num_kv_heads, page_size]
  int num_kv_heads, head_dim, page_size, v_stride, key_scales;
  const float* k;  // rows [count, num_kv_heads * head_dim]
  const float* v;
  int64_t k_stride, v_row_stride;
};

struct TilePiece {
  const void* page;
  int32_t first, count, at;
};

// The rows of a unit are (position, query head of the group) pairs, position-major.
struct AttentionArgs {
  KvType type;
  int head_dim, v_stride, page_size;
  int key_blocks;                                  // runs of dims that share a scale; 1 without scales
  int64_t k_offset, v_offset, k_scales, v_scales;  // of this KV head, in bytes from the page's start
  const TilePiece* pieces;
  const int32_t* tile_begin;
  int64_t num_tokens, num_rows;  // of the whole plan; no rows: every position sees every token
  const float* q;                // first query head of the group, row 0
  float* out;
  int64_t q_stride, out_stride;
  int group;  // query heads per KV head
  float scale;
  int64_t first_position, positions;  // this unit's rows among the m
  int tiles_per_partial;
};

struct HashArgs {
  const float* keys;  // [n, dims]
  int64_t key_stride, dims;
  const float* centre;   // [dims]
  const int16_t* pairs;  // [pair of dims, 32 planes, 2]: +-1, for dims rounded up to 16
  uint32_t* codes;
};

struct AssignArgs {
  const uint32_t* codes;
  int64_t n;
  uint32_t threshold;
  int64_t capacity, open;  // open <= capacity < 2^24
  uint32_t* leaders;       // room for capacity
  int32_t* ids;
};

// The rows are (position, query head of the group) pairs, position-major.
// What the spread of a cluster's keys may add to a score (ops/cluster_scores.h).
constexpr float kMostSpread = 1.0f;
// A weight relative to a row's highest below which a cluster is not estimated (ops/cluster_estimate.h).
constexpr float kLeastWeight = 0x1p-22f;

struct RoundArgs {
  const float* q;  // first query head of the group
  int64_t q_stride, rows;
  int group, head_dim;
  float scale;
  const float* weights;  // [head_dim], or null: no terms
  int8_t* codes;         // [rows, code_stride], a multiple of 16
  int64_t code_stride;
  float *scales, *terms;  // [rows]
  int32_t* sums;          // [rows]
};

struct ScoreArgs {
  const int8_t* codes;  // [rows, code_stride], 0 past head_dim
  int64_t code_stride, rows;
  int head_dim;
  const float *row_scales, *terms;  // [rows]
  const int32_t* sums;              // [rows]
  const int8_t* means;              // [head_dim, stride]
  const float *scales, *spreads;    // [stride]; spreads may be null
  int32_t clusters, stride;
  float* out;
  int64_t out_stride;
};

struct EstimateArgs {
  float* densities;  // [rows, stride]; become factors of the means
  int64_t density_stride, rows, stride;
  const float* counts;  // [stride]; 0: not to be estimated
  const int8_t* means;  // [stride, v_stride]
  const float* scales;  // [stride]
  int64_t v_stride;
  float* sum;     // [rows]
  float* values;  // [rows, v_stride]
  int64_t value_stride;
};

struct ConvArgs {
  const int8_t* x;  // [rows, in_channels], dense
  int64_t in_channels, taps, stride, dilation;
  const int8_t* weights;  // [panel of 16 outputs][tap][in_channels / 4, rounded up][output][4]
  const int32_t* sums;    // [outputs rounded up to a panel]: of an output's weights
  const int32_t* bias;    // [outputs rounded up to a panel], as the next two
  const float* scales;
  float floor;  // of the scaled sum: 0 for ReLU, -127 without
  int8_t* out;  // [rows, out_channels], dense
  int64_t out_channels;
};

// Relative to `top`, the highest score.
struct RowMass {
  float top, resident, total;
};

struct Kernels {
  void (*quantize)(const QuantizeArgs&, int64_t row_begin, int64_t row_end);
  void (*linear)(const LinearArgs&, int64_t panel_begin, int64_t panel_end);
  void (*rms_norm)(const RmsNormArgs&, int64_t row_begin, int64_t row_end);
  void (*rope)(const RopeArgs&, int64_t row_begin, int64_t row_end);
  void (*swiglu)(const SwigluArgs&, int64_t row_begin, int64_t row_end);
  void (*kv_append)(const KvAppendArgs&, int32_t first, int32_t count);
  // One unit's attention over the tiles of one partial: `partial_out` is [rows] maxima, [rows] sums of
  // weights, [rows, v_stride] sums of weighted values. `scratch` holds attention_scratch_bytes(), 64-byte
  // aligned.
  void (*attention_partial)(const AttentionArgs&, int64_t partial, float* partial_out, void* scratch);
  // Joins the next partial, in order, into `state` of the same layout; the first one initialises it.
  void (*attention_join)(const AttentionArgs&, int64_t partial, const float* partial_in, float* state);
  // Divides by the sums and writes the unit's rows of `out`.
  void (*attention_finish)(const AttentionArgs&, const float* state);
  void (*hash_codes)(const HashArgs&, int64_t row_begin, int64_t row_end);
  int64_t (*cluster_assign)(const AssignArgs&);  // clusters open afterwards
  void (*round_queries)(const RoundArgs&);
  void (*cluster_scores)(const ScoreArgs&);
  void (*cluster_estimate)(const EstimateArgs&);
  // Turns a row's scores into densities, exp(score - the highest); masses are relative to that too.
  RowMass (*mass_row)(float* scores, const float* counts, int64_t n, float resident_max, float resident_sum);
  void (*add_scaled)(float* to, const float* from, float factor, int64_t n);  // to += factor * from
  // to = densities * min(1, row * clusters)
  void (*doubt_row)(float* to, const float* densities, const float* clusters, float row, int64_t n);
  void (*square_roots)(float* to, const float* from, int64_t n);
  void (*conv1d_int8)(const ConvArgs&, int64_t row_begin, int64_t row_end);
};

}  // namespace ev::ops
