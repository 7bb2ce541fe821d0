// The weights of a llama-family model, packed for csrc/ops. Every tensor of the file is checked against the
// configuration before it is used, and a tensor that nothing here uses is an error: ignoring it would run
// another model than the one in the file.
#pragma once

#include <vector>

#include "decoder/config.h"
#include "io/gguf.h"
#include "ops/linear.h"

namespace ev::decoder {

// Names as in GGUF files: blk.<i>.<name>.
struct LayerWeights {
  std::vector<float> attn_norm;   // [hidden]
  ops::PackedMatrix qkv;          // attn_q, attn_k, attn_v stacked: [q_dim + 2 kv_dim, hidden]
  std::vector<float> qkv_bias;    // [q_dim + 2 kv_dim], or empty
  ops::PackedMatrix attn_output;  // [hidden, q_dim]
  std::vector<float> ffn_norm;    // [hidden]
  ops::PackedMatrix gate_up;      // ffn_gate, ffn_up stacked: [2 n_ff, hidden]
  ops::PackedMatrix down;         // ffn_down: [hidden, n_ff]
};

struct Weights {
  ops::WeightSource embedding;  // token_embd [vocab, hidden], in the file's mapping
  std::vector<LayerWeights> layers;
  std::vector<float> output_norm;  // [hidden]
  ops::PackedMatrix head;          // output, or token_embd when the file ties them: [vocab, hidden]
};

// `file` must outlive the result (the embedding stays in it). Throws Error(kBadModel) for a tensor that is
// missing, of a wrong shape or unknown.
Weights load_weights(const io::GgufFile& file, const ModelConfig& config, ops::Precision precision,
                     ThreadPool& pool);

}  // namespace ev::decoder
