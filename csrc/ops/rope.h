// Rotary position embedding (Su et al. 2021, arXiv 2104.09864). Pair i of a head is turned by the angle
// position * inv_freq[i]:  (a, b) -> (a cos - b sin, a sin + b cos).
//
//   kInterleaved (GGUF "norm": llama)   pairs (x[2i], x[2i + 1])
//   kHalf        (GGUF "neox": qwen2)   pairs (x[i], x[i + rotary_dim / 2])
//
// Elements of a head beyond rotary_dim stay as they are.
#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"
#include "base/thread_pool.h"

namespace ev::ops {

enum class RopeLayout { kInterleaved, kHalf };

// base^(-2i / rotary_dim) / factors[i], i < rotary_dim / 2. `factors` (GGUF tensor rope_freqs.weight,
// [rotary_dim / 2]) may be null. Throws Error(kInvalidArgument) unless rotary_dim is positive and even and
// base > 0.
std::vector<float> rope_inv_freq(int rotary_dim, double base, const float* factors);

// The factors of Llama 3.1's scaling (Hugging Face rope_type "llama3"): 1 for wavelengths shorter than
// context / high_freq, `factor` for those longer than context / low_freq, smooth between.
std::vector<float> llama3_rope_factors(int rotary_dim, double base, double factor, double low_freq,
                                       double high_freq, double original_context);

// cos and sin for the positions of one step, shared by all layers.
class RopeTable {
 public:
  explicit RopeTable(std::vector<float> inv_freq) : inv_freq_(std::move(inv_freq)) {}
  // Angles are formed in double, so a position of a million is as exact as a position of ten.
  void set_positions(const int32_t* positions, int64_t m);
  // Takes cosines and sines made elsewhere, [m, rotary_dim / 2].
  void set(const float* cos, const float* sin, int64_t m);

  int64_t rows() const { return rows_; }
  int rotary_dim() const { return static_cast<int>(2 * inv_freq_.size()); }
  const float* cos() const { return cos_.data(); }  // [m, rotary_dim / 2]
  const float* sin() const { return sin_.data(); }

 private:
  std::vector<float> inv_freq_;
  std::vector<float> cos_, sin_;
  int64_t rows_ = 0;
};

// In place on x [m, num_heads * head_dim]. Throws Error(kInvalidArgument) when shapes disagree.
void rope(MatrixRef<float> x, int num_heads, int head_dim, const RopeTable& table, RopeLayout layout,
          ThreadPool& pool);

}  // namespace ev::ops
