// Which of the kept tokens a step attends: the one place where attention is told to read less than
// everything.
//
// A selection belongs to one sequence. Per step the decoder calls begin_step() once, then plans() for every
// layer after the step's keys and values are in the cache. Retrieval implements this interface by returning
// one plan per KV head, chosen from the layer's queries.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "kv/cache.h"
#include "ops/paged_attention.h"

namespace ev::kv {

// What a layer attends: one plan for all KV heads, or one per KV head, where its planes begin in the plans'
// pages, and what is estimated beside the plans: nothing, or one rest per KV head.
struct Plans {
  ops::KvLayer layer;
  std::vector<const ops::AttentionPlan*> heads;
  std::vector<ops::AttentionRest> rest;
};

class Selection {
 public:
  virtual ~Selection() = default;
  virtual std::string name() const = 0;
  // The cache holds the step's rows as pending.
  virtual void begin_step(const KvCache& cache) = 0;
  // q [rows, num_q_heads * head_dim], rotated. The plans stay valid until the next call or end_step(); the
  // pending rows are their last tokens.
  virtual const Plans& plans(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads) = 0;
  // The step has ended, well or not: gives back what its plans held.
  virtual void end_step() noexcept {}
  // For a forked sequence.
  virtual std::unique_ptr<Selection> clone() const = 0;
  // What a selection that only looks on leaves the choice to; null: it chooses itself.
  virtual const Selection* wrapped() const { return nullptr; }
};

// The first `sinks` and the newest `recent` of the kept tokens, the step's own rows apart; everything when
// they overlap. recent = 0: everything, which is dense attention. The same for all layers and heads. Not for
// caches of which something is away.
class WindowSelection final : public Selection {
 public:
  explicit WindowSelection(uint32_t sinks = 0, uint32_t recent = 0) : sinks_(sinks), recent_(recent) {}
  WindowSelection(const WindowSelection&) = delete;
  WindowSelection& operator=(const WindowSelection&) = delete;
  std::string name() const override;
  void begin_step(const KvCache& cache) override;
  const Plans& plans(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads) override;
  std::unique_ptr<Selection> clone() const override {
    return std::make_unique<WindowSelection>(sinks_, recent_);
  }

 private:
  uint32_t sinks_;
  uint32_t recent_;
  const KvCache* cache_ = nullptr;  // of the step
  std::vector<ops::Extent> extents_;
  ops::AttentionPlan plan_;
  Plans plans_{{}, {&plan_}, {}};
};

}  // namespace ev::kv
