// A llama of two layers with random F32 weights, in memory: enough for every path of Decoder and Sequence.
#pragma once

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "decoder/decoder.h"
#include "tests/decoder/small_vocabulary.h"

namespace ev::testing {

struct SmallModel {
  static constexpr uint32_t kLayers = 2, kHidden = 32, kHeads = 4, kKvHeads = 2, kFf = 48, kContext = 256;

  // The decoder reads its embedding from `bytes`, which must outlive it.
  static std::string bytes() {
    const SmallVocabulary vocabulary;
    const uint64_t vocab = 256 + vocabulary.merges.size() + vocabulary.special.size();
    GgufBuilder b = vocabulary.file();
    b.add("general.architecture", std::string("llama")).add("llama.block_count", kLayers);
    b.add("llama.embedding_length", kHidden).add("llama.feed_forward_length", kFf);
    b.add("llama.attention.head_count", kHeads).add("llama.attention.head_count_kv", kKvHeads);
    b.add("llama.context_length", kContext);
    uint64_t floats = 0;
    const auto add = [&](const std::string& name, const std::vector<uint64_t>& dims) {
      uint64_t count = 1;
      for (const uint64_t d : dims) count *= d;
      b.tensor(name, 0, dims, count * 4);
      floats += count;
    };
    add("token_embd.weight", {kHidden, vocab});
    add("output_norm.weight", {kHidden});
    const uint64_t kv = kHidden / kHeads * kKvHeads;
    for (uint32_t i = 0; i < kLayers; ++i) {
      const std::string p = "blk." + std::to_string(i) + ".";
      add(p + "attn_norm.weight", {kHidden});
      add(p + "attn_q.weight", {kHidden, kHidden});
      add(p + "attn_k.weight", {kHidden, kv});
      add(p + "attn_v.weight", {kHidden, kv});
      add(p + "attn_output.weight", {kHidden, kHidden});
      add(p + "ffn_norm.weight", {kHidden});
      add(p + "ffn_gate.weight", {kHidden, kFf});
      add(p + "ffn_up.weight", {kHidden, kFf});
      add(p + "ffn_down.weight", {kFf, kHidden});
    }
    std::string out =
        b.bytes();  // every tensor here fills whole alignment units: the floats are the file's end
    std::vector<float> values(floats);
    std::mt19937 random(11);
    std::normal_distribution<float> normal(0.0f, 0.3f);
    for (float& v : values) v = normal(random);
    std::memcpy(out.data() + out.size() - floats * 4, values.data(), floats * 4);
    return out;
  }

  static std::shared_ptr<const decoder::Decoder> load(const std::string& bytes,
                                                      decoder::DecoderOptions options) {
    return std::make_shared<const decoder::Decoder>(parse(bytes), options);
  }
};

}  // namespace ev::testing
