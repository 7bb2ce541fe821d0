// Where attention goes: the share of it that each kept token gets, of all layers, query heads and rows
// together, and the most that any one of these gives it. The most tells what was looked up: a few heads do
// that, and give nearly all of their attention (retrieval heads, Wu et al., arXiv 2404.15574), which does not
// show in the whole.
//
// Tokens that are not sealed get their exact share. A sealed cluster's share is estimated from its mean key
// and the spread around it, as retrieval estimates it (ops/cluster_scores.h), and dealt evenly over its
// tokens, whether it is attended or not; nothing is read from session files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kv/selection.h"

namespace ev::kv {

// Attends like `inner` and counts. Costs about three times the step where much is not sealed.
class AttendedMass final : public Selection {
 public:
  explicit AttendedMass(std::unique_ptr<Selection> inner) : inner_(std::move(inner)) {}
  std::string name() const override { return inner_->name(); }
  void begin_step(const KvCache& cache) override;
  const Plans& plans(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads) override;
  void end_step() noexcept override { inner_->end_step(); }
  // A fork does not count.
  std::unique_ptr<Selection> clone() const override { return inner_->clone(); }
  const Selection* wrapped() const override { return inner_.get(); }

  // Of each kept token, the last step's rows included; 0 before the first step.
  std::vector<float> shares() const;  // they sum to 1
  std::vector<float> peaks() const;   // a sealed token's: its cluster's

 private:
  // The tokens that are not sealed, in one layer.
  struct Unsealed {
    std::vector<uint32_t> tokens;  // among the kept
    std::vector<float> keys;       // [tokens, num_kv_heads * head_dim]
  };

  // Of one KV head's query heads.
  struct Counts {
    std::vector<double> sums;   // [kept tokens]
    std::vector<double> peaks;  // [kept tokens]
  };

  void read_unsealed(uint32_t layer);
  void add_head(uint32_t layer, int64_t head, MatrixRef<const float> q);

  std::unique_ptr<Selection> inner_;
  const KvCache* cache_ = nullptr;  // of the step
  uint64_t evicted_ = 0;            // tokens that the sums no longer hold
  uint64_t rows_ = 0;               // counted, of all layers and query heads
  Unsealed unsealed_;
  std::vector<Counts> counts_;  // [num_kv_heads]
};

}  // namespace ev::kv
