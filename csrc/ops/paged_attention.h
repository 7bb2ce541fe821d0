// Grouped-query attention of m new rows over a list of tokens in KV pages.
//
//   tokens, in the order of the extents:   t0 t1 ... t(past-1) | t(past) ... t(past+m-1)
//   row i sees                             all of the past     | and t(past) ... t(past+i)   (causal)
//
// The m rows' own keys and values are the last m tokens of the list: append first (kv_append), then attend.
// The past may be any choice of tokens, in any order of pages and slots: a whole cache, sinks and a window,
// or the clusters a retrieval picked, which may differ from one KV head to the next.
//
// Numbers. out[i, h] = sum_t softmax_t(scale * <q[i, h], k[t]>) v[t], all in f32. One online softmax (Milakov
// & Gimelshein 2018; tiles as in FlashAttention) runs over tiles of 64 tokens, counted from the start of the
// list; every 4 tiles it is closed into a partial result, and partials are joined in order. So a row's result
// depends only on its query and its list of tokens: not on m, the page size, the placement of tokens in pages
// or the number of threads. Tokens a row does not see never touch it, whatever they hold; a NaN it does see
// gives NaN. Scores of -inf have no weight; a row with no weight at all gives NaN. Of int8 keys and
// values the codes are multiplied and summed, a key's scales then multiply its score, a value's scale its
// weight.
#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"
#include "base/thread_pool.h"
#include "ops/kernels.h"
#include "ops/kv_pages.h"

namespace ev::ops {

// A token list cut into tiles; made once per step and shared by all layers that see the same tokens.
class AttentionPlan {
 public:
  // The extents name all tokens, the m new ones last. Throws Error(kInvalidArgument) when an extent leaves
  // the pool or there are fewer than m tokens.
  void set(const std::vector<Extent>& extents, int64_t m, const KvShape& shape);
  // The extents name tokens that all of the m rows see, the rows' own not among them; there may be none.
  void set_past(const std::vector<Extent>& extents, int64_t m, const KvShape& shape);

  int64_t num_tokens() const { return num_tokens_; }
  int64_t num_rows() const { return num_rows_; }
  bool holds_rows() const { return holds_rows_; }  // the rows' own tokens are the last ones
  int64_t num_tiles() const { return static_cast<int64_t>(tile_begin_.size()) - 1; }
  const TilePiece* pieces() const { return pieces_.data(); }
  const int32_t* tile_begin() const { return tile_begin_.data(); }  // [num_tiles + 1], indices into pieces

 private:
  void cut(const std::vector<Extent>& extents, const KvShape& shape);

  std::vector<TilePiece> pieces_;
  std::vector<int32_t> tile_begin_{0};
  int64_t num_tokens_ = 0;
  int64_t num_rows_ = 0;
  bool holds_rows_ = true;
};

// Beside a plan: what tokens that it does not name add to each row (position, query head of the group) of one
// KV head, as a softmax partial result: the sum of their weights relative to `max`, and of weighted values.
struct AttentionRest {
  const float* max;     // [m * group]
  const float* sum;     // [m * group]; 0: nothing
  const float* values;  // [m * group, v_stride]
};

// q and out [m, num_q_heads * head_dim]; num_q_heads is a multiple of num_kv_heads, query head h reads KV
// head h / (num_q_heads / num_kv_heads). `plans` holds one plan for all KV heads or one per KV head, all with
// m rows; `rest` nothing, or one per KV head, joined last. Throws Error(kInvalidArgument) when shapes
// disagree. m = 0 does nothing. Thread-safe for distinct out.
void paged_attention(MatrixRef<const float> q, int num_q_heads, const KvLayer& layer,
                     const std::vector<const AttentionPlan*>& plans, const std::vector<AttentionRest>& rest,
                     float scale, MatrixRef<float> out, ThreadPool& pool);

// The same attention before it is divided: per row the maximum of its scores, the sum of exp(score - max),
// both [num_kv_heads, m * group], rows (position, query head of the group), and, unless `values` is null, the
// sum of values times these, [num_kv_heads, m * group, v_stride]. One plan serves all KV heads.
void attention_mass(MatrixRef<const float> q, int num_q_heads, const KvLayer& layer,
                    const AttentionPlan& plan, float scale, float* max, float* sum, float* values,
                    ThreadPool& pool);

}  // namespace ev::ops
