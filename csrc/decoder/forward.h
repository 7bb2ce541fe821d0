// The forward pass, whole.
//
//   x ──┬─ norm ─ qkv ─ rope ─ append to cache ─ attend ─ output ─ + ─┬─ norm ─ gate,up ─ swiglu ─ down ─ +
//   ── x
//       └────────────────────────────────────────────────────────────┘└──────────────────────────────────┘
//
// Reference: Llama (Touvron et al. 2023, arXiv 2302.13971), Qwen2 (arXiv 2407.10671).
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cancel.h"
#include "base/thread_pool.h"
#include "decoder/config.h"
#include "decoder/weights.h"
#include "kv/cache.h"
#include "kv/selection.h"
#include "ops/linear.h"
#include "ops/rope.h"

namespace ev::decoder {

// Scratch memory for steps of up to max_rows rows, and the pass that uses it. One step at a time.
class Forward {
 public:
  Forward(const ModelConfig& config, const Weights& weights, uint32_t max_rows, ThreadPool& threads);

  // Where the caller puts the step's embedding rows, [m, hidden]; m <= max_rows.
  MatrixRef<float> input(uint32_t m) { return x_.rows(m); }

  // Runs the rows of input() through all layers. The cache holds m = cache.pending() rows to be filled; their
  // positions follow cache.length(). Polls `limits` before each layer.
  void run(const kv::KvCache& cache, kv::Selection& selection, const RunLimits& limits);

  // Nanoseconds that run() spent choosing what to attend and attending it.
  uint64_t attention_ns() const { return attention_ns_; }

  // Logits of the last out.rows rows of the step that was run, [out.rows, vocab]; once per step.
  void logits(MatrixRef<float> out);

 private:
  // A row-major f32 buffer of which a step uses the first m rows.
  struct Buffer {
    Buffer(uint32_t max_rows, uint64_t columns)
        : memory(max_rows * columns * sizeof(float)), cols(static_cast<int64_t>(columns)) {}
    MatrixRef<float> rows(uint32_t m) const { return {memory.as<float>(), m, cols}; }
    AlignedBuffer memory;
    int64_t cols;
  };

  void begin(const kv::KvCache& cache);
  void attend(uint32_t index, const kv::KvCache& cache, kv::Selection& selection);
  void feed_forward(uint32_t index);
  void apply(const ops::PackedMatrix& w, MatrixRef<const float> in, const std::vector<float>& bias,
             MatrixRef<float> out);

  const ModelConfig& config_;
  const Weights& weights_;
  ThreadPool& threads_;
  uint32_t m_ = 0;
  uint64_t attention_ns_ = 0;
  Buffer x_;         // the residual stream [m, hidden]
  Buffer normed_;    // [m, hidden]
  Buffer delta_;     // what the last block adds to x [m, hidden]
  Buffer qkv_;       // [m, q_dim + 2 kv_dim]
  Buffer attended_;  // [m, q_dim]
  Buffer gate_up_;   // [m, 2 n_ff]
  Buffer hidden_;    // [m, n_ff]
  ops::LinearInput linear_input_;
  ops::RopeTable rope_;
  std::vector<int32_t> positions_;
  std::vector<ops::Extent> slots_;  // where the step's keys and values go
};

}  // namespace ev::decoder
