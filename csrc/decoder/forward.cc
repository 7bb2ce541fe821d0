#include "decoder/forward.h"

#include <chrono>
#include <cmath>
#include <numeric>

#include "ops/kv_pages.h"
#include "ops/paged_attention.h"
#include "ops/rms_norm.h"
#include "ops/swiglu.h"

namespace ev::decoder {
namespace {

// A selection's step, ended however it ends.
class StepOf {
 public:
  StepOf(kv::Selection& selection, const kv::KvCache& cache) : selection_(selection) {
    selection_.begin_step(cache);
  }
  ~StepOf() { selection_.end_step(); }
  StepOf(const StepOf&) = delete;
  StepOf& operator=(const StepOf&) = delete;

 private:
  kv::Selection& selection_;
};

}  // namespace

Forward::Forward(const ModelConfig& config, const Weights& weights, uint32_t max_rows, ThreadPool& threads)
    : config_(config),
      weights_(weights),
      threads_(threads),
      x_(max_rows, config.hidden),
      normed_(max_rows, config.hidden),
      delta_(max_rows, config.hidden),
      qkv_(max_rows, config.q_dim() + 2 * config.kv_dim()),
      attended_(max_rows, config.q_dim()),
      gate_up_(max_rows, 2 * uint64_t{config.n_ff}),
      hidden_(max_rows, config.n_ff),
      rope_(config.rope_inv_freq) {}

void Forward::run(const kv::KvCache& cache, kv::Selection& selection, const RunLimits& limits) {
  begin(cache);
  attention_ns_ = 0;
  const StepOf step(selection, cache);
  const MatrixRef<float> x = x_.rows(m_), normed = normed_.rows(m_), delta = delta_.rows(m_);
  for (uint32_t i = 0; i < config_.n_layers; ++i) {
    limits.check();
    const LayerWeights& layer = weights_.layers[i];
    // The residual that the block before left in delta is added on the way into the norm.
    if (i == 0)
      ops::rms_norm(x, layer.attn_norm.data(), config_.rms_eps, normed, threads_);
    else
      ops::add_rms_norm(x, delta, layer.attn_norm.data(), config_.rms_eps, normed, threads_);
    attend(i, cache, selection);
    ops::add_rms_norm(x, delta, layer.ffn_norm.data(), config_.rms_eps, normed, threads_);
    feed_forward(i);
  }
}

void Forward::logits(MatrixRef<float> out) {
  const int64_t first = m_ - out.rows;
  const MatrixRef<float> normed = normed_.rows(m_).slice(first, out.rows);
  ops::add_rms_norm(x_.rows(m_).slice(first, out.rows), delta_.rows(m_).slice(first, out.rows),
                    weights_.output_norm.data(), config_.rms_eps, normed, threads_);
  apply(weights_.head, normed, {}, out);
}

void Forward::begin(const kv::KvCache& cache) {
  m_ = cache.pending();
  positions_.resize(m_);
  std::iota(positions_.begin(), positions_.end(), static_cast<int32_t>(cache.length()));
  rope_.set_positions(positions_.data(), m_);
  slots_.clear();
  cache.add_extents(cache.kept(), m_, slots_);
}

void Forward::attend(uint32_t index, const kv::KvCache& cache, kv::Selection& selection) {
  const LayerWeights& layer = weights_.layers[index];
  const auto n_heads = static_cast<int>(config_.n_heads), n_kv_heads = static_cast<int>(config_.n_kv_heads);
  const auto head_dim = static_cast<int>(config_.head_dim);
  const MatrixRef<float> qkv = qkv_.rows(m_), attended = attended_.rows(m_);
  apply(layer.qkv, normed_.rows(m_), layer.qkv_bias, qkv);

  const MatrixRef<float> q = qkv.columns(0, config_.q_dim());
  const MatrixRef<float> k = qkv.columns(config_.q_dim(), config_.kv_dim());
  const MatrixRef<float> v = qkv.columns(config_.q_dim() + config_.kv_dim(), config_.kv_dim());
  ops::rope(q, n_heads, head_dim, rope_, config_.rope_layout, threads_);
  ops::rope(k, n_kv_heads, head_dim, rope_, config_.rope_layout, threads_);

  ops::kv_append(cache.layout().layer(index), k, v, slots_, threads_);
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  const auto began = std::chrono::steady_clock::now();
  const kv::Plans& plans = selection.plans(index, q, threads_);
  ops::paged_attention(q, n_heads, plans.layer, plans.heads, plans.rest, scale, attended, threads_);
  attention_ns_ +=
      static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now() - began).count());
  apply(layer.attn_output, attended, {}, delta_.rows(m_));
}

void Forward::feed_forward(uint32_t index) {
  const LayerWeights& layer = weights_.layers[index];
  apply(layer.gate_up, normed_.rows(m_), {}, gate_up_.rows(m_));
  ops::swiglu(gate_up_.rows(m_), hidden_.rows(m_), threads_);
  apply(layer.down, hidden_.rows(m_), {}, delta_.rows(m_));
}

void Forward::apply(const ops::PackedMatrix& w, MatrixRef<const float> in, const std::vector<float>& bias,
                    MatrixRef<float> out) {
  linear_input_.set(in, w.uses_codes(), threads_);
  ops::linear(w, linear_input_, bias.empty() ? nullptr : bias.data(), out, threads_);
}

}  // namespace ev::decoder
