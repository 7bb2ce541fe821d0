// Retrieval (ReSV of V-Rex, arXiv 2512.12284): sinks, recent tokens and the step's own rows are attended
// whole, of the sealed segments only the clusters that hold the step's attention mass, chosen per layer and
// KV head.
//
//   resident   sinks, tokens not sealed, the step's rows: attended first, as the choice needs their mass
//   clusters   score by their mean keys and the spread around them (ops/cluster_scores.h), chosen by mass
//              (ops/select_mass.h)
//   attended   chosen clusters, in order of slots; sinks, not sealed and rows: four disjoint sets
//   estimated  the other clusters, by their mean keys and values (ops/cluster_estimate.h)
//
// Resident tokens and estimates join what is chosen as the plans' rest. Without estimates, or where
// everything is chosen by the policy, there is no rest and the plan lists sinks, chosen clusters, not sealed
// and rows: with everything chosen it is the dense one, token for token, so the result is dense attention's,
// bit for bit.
//
// Segments that are away: once a layer has chosen, the pages it attends are brought into slots; the tokens
// and their order, and with them the result, are the same.
//
// Cost model: a layer whose choice exceeds dense_share of the sealed tokens attends them all, in runs of
// whole pages, and does not look again for kPause steps; below min_sealed tokens nothing is looked at.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kv/away_pages.h"
#include "kv/cluster_choice.h"
#include "kv/selection.h"

namespace ev::kv {

// Of one layer, since the selection was made.
struct LayerStats {
  uint64_t steps = 0;        // with sealed tokens
  uint64_t dense = 0;        // of those, the ones that attended all of them
  double retrieved = 0;      // sum over steps of the attended share of sealed tokens, mean of KV heads
  uint64_t kv_bytes = 0;     // of keys and values attended, resident ones included
  uint64_t table_bytes = 0;  // of the summaries read
  double bound = 0;          // largest certified share of a row's mass that was not attended
};

class ResvSelection final : public Selection {
 public:
  ResvSelection(const RetrievalPolicy& policy, uint32_t n_layers)
      : policy_(policy), stats_(n_layers), pause_(n_layers), choice_(policy) {}
  ResvSelection(const ResvSelection&) = delete;
  ResvSelection& operator=(const ResvSelection&) = delete;

  std::string name() const override;
  void begin_step(const KvCache& cache) override;
  const Plans& plans(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads) override;
  void end_step() noexcept override { away_.begin_layer(); }
  std::unique_ptr<Selection> clone() const override;

  const std::vector<LayerStats>& stats() const { return stats_; }
  // Nanoseconds spent choosing, since the selection was made.
  uint64_t prediction_ns() const { return prediction_ns_; }
  // What KV head `head` attended in the last plans() call, the step's rows last.
  std::vector<ops::Extent> attended(size_t head) const;

 private:
  struct HeadPlan {
    std::vector<ops::Extent> extents;  // chosen
    ops::AttentionPlan plan;
  };

  const Plans& chosen_plans(uint32_t layer, int64_t rows, ThreadPool& threads);
  void want_chosen(uint32_t layer, const std::vector<uint8_t>& marks);
  void plan_head(uint32_t layer, size_t head, int64_t rows);
  void list_chosen(uint32_t layer, const std::vector<uint8_t>& marks,
                   std::vector<ops::Extent>& extents) const;
  void add_extents(uint32_t layer, uint32_t first, uint32_t count, std::vector<ops::Extent>& out) const;
  const Plans& all(uint32_t layer);

  RetrievalPolicy policy_;
  std::vector<LayerStats> stats_;
  std::vector<uint32_t> pause_;  // steps for which a layer stays dense
  uint64_t prediction_ns_ = 0;

  const KvCache* cache_ = nullptr;  // of the step
  AwayPages away_;
  ClusterChoice choice_;
  std::vector<ops::Extent> everything_;
  ops::AttentionPlan dense_plan_;
  std::vector<HeadPlan> heads_;
  bool dense_ = true;
  uint32_t layer_ = 0;  // last chosen
  Plans plans_;
};

}  // namespace ev::kv
