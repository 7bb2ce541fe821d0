#include "decoder/config.h"

#include <cmath>
#include <cstring>

namespace ev::decoder {
namespace {

// Larger than any model of this family; keeps every product below in 64 bits.
constexpr uint64_t kMaxDim = 1u << 20;
constexpr uint64_t kMaxLayers = 1024;
constexpr uint64_t kMaxHeadDim = 512;
constexpr uint64_t kMaxContext = 1u << 24;
// Scratch memory grows with the widest row; no real model's is wider than this many times its embedding.
constexpr uint64_t kMaxWidening = 32;

[[noreturn]] void bad(const std::string& what) {
  throw Error(ErrorCode::kBadModel, what);
}
[[noreturn]] void unsupported(const std::string& what) {
  throw Error(ErrorCode::kUnsupported, what);
}

class Keys {
 public:
  Keys(const io::GgufFile& file, std::string prefix) : file_(file), prefix_(std::move(prefix)) {}

  std::string name(const char* key) const { return prefix_ + "." + key; }
  bool has(const char* key) const { return file_.find(name(key)) != nullptr; }
  double number(const char* key, double fallback) const { return file_.get_float(name(key), fallback); }

  uint32_t size(const char* key, uint64_t max) const { return checked(key, file_.get_uint(name(key)), max); }
  uint32_t size(const char* key, uint64_t max, uint64_t fallback) const {
    return checked(key, file_.get_uint(name(key), fallback), max);
  }

  std::string text(const char* key, const char* fallback) const {
    return has(key) ? file_.get_string(name(key)) : std::string(fallback);
  }

 private:
  uint32_t checked(const char* key, uint64_t value, uint64_t max) const {
    if (value == 0 || value > max)
      bad(name(key) + " is " + std::to_string(value) + ", outside 1.." + std::to_string(max));
    return static_cast<uint32_t>(value);
  }

  const io::GgufFile& file_;
  std::string prefix_;
};

void refuse_unimplemented(const Keys& keys, const io::GgufFile& file) {
  if (file.get_uint(keys.name("expert_count"), 0) > 0)
    unsupported("mixture-of-experts models are not supported");
  if (file.get_uint(keys.name("attention.sliding_window"), 0) > 0)
    unsupported("sliding-window attention is not supported");
  for (const char* key : {"logit_scale", "embedding_scale", "residual_scale", "attention.scale"}) {
    if (keys.number(key, 0.0) != 0.0) unsupported(keys.name(key) + " is not supported");
  }
}

// Divisors of the frequencies by Llama 3.1's rule, for files that give its parameters instead of a tensor.
std::vector<float> llama3_factors(const Keys& keys, uint32_t head_dim, double base) {
  const double factor = keys.number("rope.scaling.factor", 8.0);
  const double low = keys.number("rope.scaling.low_freq_factor", 1.0);
  const double high = keys.number("rope.scaling.high_freq_factor", 4.0);
  const double context = keys.size("rope.scaling.original_context_length", kMaxContext, 8192);
  if (!(factor >= 1.0) || !(low > 0.0) || !(high > low))
    bad("the rope.scaling factors contradict each other");
  return ops::llama3_rope_factors(static_cast<int>(head_dim), base, factor, low, high, context);
}

std::vector<float> factor_tensor(const io::GgufTensor& tensor, uint32_t head_dim) {
  if (tensor.type != DType::kF32 || tensor.cols() != head_dim / 2 || tensor.rows() != 1)
    bad("rope_freqs.weight is not F32 [head_dim / 2]");
  std::vector<float> factors(head_dim / 2);
  std::memcpy(factors.data(), tensor.data, factors.size() * sizeof(float));
  for (const float f : factors) {
    if (!(f > 0.0f) || !std::isfinite(f)) bad("rope_freqs.weight holds a value that is not positive");
  }
  return factors;
}

std::vector<float> rope_frequencies(const Keys& keys, const io::GgufFile& file, uint32_t head_dim) {
  const double base = keys.number("rope.freq_base", 10000.0);
  if (base <= 1.0) bad(keys.name("rope.freq_base") + " must be above 1");

  std::vector<float> factors(head_dim / 2, 1.0f);
  const std::string scaling = keys.text("rope.scaling.type", "none");
  if (scaling == "linear") {
    const double factor = keys.number("rope.scaling.factor", 1.0);
    if (factor <= 0.0) bad("rope.scaling.factor must be positive");
    factors.assign(factors.size(), static_cast<float>(factor));
  } else if (scaling == "llama3") {
    factors = llama3_factors(keys, head_dim, base);
  } else if (scaling != "none") {
    unsupported("rope scaling '" + scaling + "' is not supported");
  }
  if (const auto* tensor = file.find_tensor("rope_freqs.weight")) factors = factor_tensor(*tensor, head_dim);
  return ops::rope_inv_freq(static_cast<int>(head_dim), base, factors.data());
}

}  // namespace

ModelConfig read_config(const io::GgufFile& file) {
  ModelConfig c;
  c.architecture = file.get_string("general.architecture");
  if (c.architecture != "llama" && c.architecture != "qwen2")
    unsupported("architecture '" + c.architecture + "' is not supported (llama and qwen2 are)");
  const Keys keys(file, c.architecture);
  refuse_unimplemented(keys, file);

  c.n_layers = keys.size("block_count", kMaxLayers);
  c.hidden = keys.size("embedding_length", kMaxDim);
  c.n_ff = keys.size("feed_forward_length", kMaxDim);
  c.n_heads = keys.size("attention.head_count", c.hidden);
  c.n_kv_heads = keys.size("attention.head_count_kv", c.n_heads, c.n_heads);
  c.context_length = keys.size("context_length", kMaxContext);
  if (c.n_heads % c.n_kv_heads != 0) bad("the number of heads is not a multiple of the number of KV heads");
  if (!keys.has("attention.key_length") && c.hidden % c.n_heads != 0)
    bad("embedding_length is not a multiple of head_count");

  c.head_dim = keys.size("attention.key_length", kMaxHeadDim, c.hidden / c.n_heads);
  if (keys.size("attention.value_length", kMaxHeadDim, c.head_dim) != c.head_dim)
    unsupported("keys and values of different length are not supported");
  if (keys.size("rope.dimension_count", kMaxHeadDim, c.head_dim) != c.head_dim)
    unsupported("rotating only a part of each head is not supported");
  if (c.head_dim % 2 != 0) bad("head_dim is odd");

  if (c.n_ff > kMaxWidening * c.hidden || c.q_dim() > kMaxWidening * c.hidden)
    bad("feed_forward_length or the heads are out of proportion to embedding_length");

  c.rms_eps = static_cast<float>(keys.number("attention.layer_norm_rms_epsilon", 1e-5));
  if (c.rms_eps <= 0.0f || c.rms_eps >= 1.0f) bad("attention.layer_norm_rms_epsilon is outside (0, 1)");
  c.rope_layout = c.architecture == "llama" ? ops::RopeLayout::kInterleaved : ops::RopeLayout::kHalf;
  c.rope_inv_freq = rope_frequencies(keys, file, c.head_dim);

  const uint64_t vocab = file.tensor("token_embd.weight").rows();
  if (vocab == 0 || vocab > kMaxDim * 4) bad("token_embd.weight has " + std::to_string(vocab) + " rows");
  c.vocab = static_cast<uint32_t>(vocab);
  return c;
}

}  // namespace ev::decoder
