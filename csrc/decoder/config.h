// What a llama-family model file says about its shape, checked for consistency before anything is allocated.
//
// Reads the metadata of GGUF files of the architectures `llama` (Llama 2/3, SmolLM2, Mistral's dense models)
// and `qwen2`. Anything that would change the arithmetic and is not implemented here (experts, YaRN, partial
// rotary, sliding windows) is refused, never ignored.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/gguf.h"
#include "ops/rope.h"

namespace ev::decoder {

struct ModelConfig {
  std::string architecture;
  uint32_t n_layers = 0;
  uint32_t hidden = 0;
  uint32_t n_ff = 0;
  uint32_t n_heads = 0;
  uint32_t n_kv_heads = 0;
  uint32_t head_dim = 0;
  uint32_t vocab = 0;
  uint32_t context_length = 0;  // tokens the model was trained on
  float rms_eps = 1e-5f;
  ops::RopeLayout rope_layout = ops::RopeLayout::kInterleaved;  // kHalf in qwen2 files
  std::vector<float> rope_inv_freq;  // [head_dim / 2], radians per position, scaling included

  uint32_t q_dim() const { return n_heads * head_dim; }
  uint32_t kv_dim() const { return n_kv_heads * head_dim; }
};

// Throws Error(kBadModel) when the metadata is missing or contradicts itself, Error(kUnsupported) when the
// model needs something that is not implemented.
ModelConfig read_config(const io::GgufFile& file);

}  // namespace ev::decoder
