// Looking at a cache from outside: what benches of retrieval need, no decoder does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kv/selection.h"

namespace ev::kv {

// Attends like `inner` and keeps each layer's queries of the last step.
class TracingSelection final : public Selection {
 public:
  explicit TracingSelection(std::unique_ptr<Selection> inner) : inner_(std::move(inner)) {}
  std::string name() const override { return inner_->name(); }
  void begin_step(const KvCache& cache) override { inner_->begin_step(cache); }
  const Plans& plans(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads) override;
  void end_step() noexcept override { inner_->end_step(); }
  std::unique_ptr<Selection> clone() const override {
    return std::make_unique<TracingSelection>(inner_->clone());
  }

  // [rows, num_q_heads * head_dim], rotated; empty before the first step.
  const std::vector<float>& queries(uint32_t layer) const { return queries_.at(layer); }
  size_t layers() const { return queries_.size(); }

  const Selection* wrapped() const override { return inner_.get(); }

 private:
  std::unique_ptr<Selection> inner_;
  std::vector<std::vector<float>> queries_;
};

// Keys and values of the kept tokens as stored, in the order of their slots, f32 [kept, num_kv_heads *
// head_dim] each.
void read_tokens(const KvCache& cache, uint32_t layer, MatrixRef<float> keys, MatrixRef<float> values);

}  // namespace ev::kv
