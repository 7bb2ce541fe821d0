#include "decoder/weights.h"

#include <cmath>
#include <cstring>
#include <string>
#include <unordered_set>

namespace ev::decoder {
namespace {

class Loader {
 public:
  Loader(const io::GgufFile& file, const ModelConfig& config, ops::Precision precision, ThreadPool& pool)
      : file_(file), config_(config), precision_(precision), pool_(pool) {}

  Weights load() {
    Weights w;
    w.embedding = matrix("token_embd.weight", config_.vocab, config_.hidden);
    for (uint32_t i = 0; i < config_.n_layers; ++i)
      w.layers.push_back(layer("blk." + std::to_string(i) + "."));
    w.output_norm = vector("output_norm.weight", config_.hidden);
    const bool tied = file_.find_tensor("output.weight") == nullptr;
    w.head = pack({tied ? w.embedding : matrix("output.weight", config_.vocab, config_.hidden)});
    used_.insert("rope_freqs.weight");  // read by read_config()
    refuse_unused();
    return w;
  }

 private:
  LayerWeights layer(const std::string& p) {
    const uint64_t hidden = config_.hidden, q = config_.q_dim(), kv = config_.kv_dim(), ff = config_.n_ff;
    LayerWeights w;
    w.attn_norm = vector(p + "attn_norm.weight", hidden);
    w.qkv = pack({matrix(p + "attn_q.weight", q, hidden), matrix(p + "attn_k.weight", kv, hidden),
                  matrix(p + "attn_v.weight", kv, hidden)});
    if (file_.find_tensor(p + "attn_q.bias") != nullptr) {
      w.qkv_bias = vector(p + "attn_q.bias", q);
      for (const char* name : {"attn_k.bias", "attn_v.bias"}) {
        const std::vector<float> bias = vector(p + name, kv);
        w.qkv_bias.insert(w.qkv_bias.end(), bias.begin(), bias.end());
      }
    }
    w.attn_output = pack({matrix(p + "attn_output.weight", hidden, q)});
    w.ffn_norm = vector(p + "ffn_norm.weight", hidden);
    w.gate_up = pack({matrix(p + "ffn_gate.weight", ff, hidden), matrix(p + "ffn_up.weight", ff, hidden)});
    w.down = pack({matrix(p + "ffn_down.weight", hidden, ff)});
    return w;
  }

  ops::WeightSource matrix(const std::string& name, uint64_t rows, uint64_t cols) {
    const io::GgufTensor& t = file_.tensor(name);
    if (t.cols() != cols || t.rows() != rows)
      throw Error(ErrorCode::kBadModel, name + " is [" + std::to_string(t.rows()) + ", " +
                                            std::to_string(t.cols()) + "], not [" + std::to_string(rows) +
                                            ", " + std::to_string(cols) + "]");
    used_.insert(name);
    return {t.type, t.data, static_cast<int64_t>(rows), static_cast<int64_t>(cols)};
  }

  std::vector<float> vector(const std::string& name, uint64_t size) {
    const ops::WeightSource m = matrix(name, 1, size);
    if (m.type != DType::kF32)
      throw Error(ErrorCode::kBadModel, name + " is " + dtype_name(m.type) + ", not F32");
    std::vector<float> values(size);
    std::memcpy(values.data(), m.data, size * sizeof(float));
    return values;
  }

  ops::PackedMatrix pack(const std::vector<ops::WeightSource>& stacked) {
    return ops::PackedMatrix::pack(stacked, precision_, pool_);
  }

  void refuse_unused() const {
    for (const io::GgufTensor& t : file_.tensors()) {
      if (used_.count(t.name) == 0)
        throw Error(ErrorCode::kBadModel, "tensor " + t.name + " has no place in this architecture");
    }
  }

  const io::GgufFile& file_;
  const ModelConfig& config_;
  const ops::Precision precision_;
  ThreadPool& pool_;
  std::unordered_set<std::string> used_;
};

}  // namespace

Weights load_weights(const io::GgufFile& file, const ModelConfig& config, ops::Precision precision,
                     ThreadPool& pool) {
  return Loader(file, config, precision, pool).load();
}

}  // namespace ev::decoder
