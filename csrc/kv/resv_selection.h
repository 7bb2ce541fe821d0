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
#include "kv/selection.h"
#include "ops/cluster_scores.h"
#include "ops/select_mass.h"

namespace ev::kv {

struct RetrievalPolicy {
  ops::MassRule rule;
  bool everything = false;     // choose all clusters: for comparisons
  float dense_share = 0.6f;    // of the sealed tokens, averaged over KV heads
  uint32_t min_sealed = 1024;  // tokens
  uint32_t max_pages = 0;      // of sealed tokens that a layer attends, see kv/page_limit.h; 0: no limit
  bool estimate = true;        // clusters not attended, from segments that keep their mean values
  bool certify = false;        // compute LayerStats::bound: about as dear as the prediction itself
};

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
      : policy_(policy), stats_(n_layers), pause_(n_layers) {}
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
  // What is done for one KV head of one layer; its memory is kept from call to call.
  struct Head {
    ops::ScoreQueries queries;
    std::vector<float> scores;              // [rows of the group, columns]; densities, once chosen
    std::vector<float> row_doubts, doubts;  // standard deviation of scores: [rows] times [columns]
    std::vector<uint8_t> marks;             // [columns]
    std::vector<float> pooled;              // [columns] densities over rows, for a limit on pages
    std::vector<ops::Extent> extents;
    ops::AttentionPlan plan;
    // Beside the plan, relative to `tops` [rows]: weights [rows], values [rows, v_stride]; first in parts, each
    // of the resident tokens or of some segments.
    std::vector<float> tops, weights, values;
    bool estimates = false;   // scores are densities
    std::vector<float> left;  // [columns]: tokens of clusters that are estimated
    int64_t chosen = 0;       // tokens
    double bound = 0;
  };

  const Plans& chosen_plans(uint32_t layer, int64_t rows, ThreadPool& threads);
  void choose(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads);
  void list_columns(uint32_t layer);
  void count_segment(uint32_t layer, size_t segment);
  void begin_head(uint32_t layer, size_t head, MatrixRef<const float> q);
  void score_segment(uint32_t layer, size_t head, size_t segment);
  void choose_head(uint32_t layer, size_t head, MatrixRef<const float> q);
  void estimate_part(uint32_t layer, size_t head, int64_t first, int64_t count, size_t part);
  void join_parts(size_t head);
  size_t estimate_parts() const;
  void keep_within_pages(uint32_t layer);
  void count_chosen(Head& head) const;
  bool capped() const;
  bool lacks_recent() const;
  bool estimates() const { return policy_.estimate && cache_->sealer()->policy().moments; }
  bool joins_resident() const { return estimates() && !policy_.everything && policy_.rule.threshold < 1.0f; }
  void certify_head(uint32_t layer, size_t head, MatrixRef<const float> q, MatrixRef<const float> scores);
  void want_chosen(uint32_t layer, const Head& head);
  void plan_head(uint32_t layer, Head& head, int64_t rows) const;
  void list_chosen(uint32_t layer, Head& head) const;
  void add_extents(uint32_t layer, uint32_t first, uint32_t count, std::vector<ops::Extent>& out) const;
  const Plans& all(uint32_t layer);

  RetrievalPolicy policy_;
  std::vector<LayerStats> stats_;
  std::vector<uint32_t> pause_;  // steps for which a layer stays dense
  uint64_t prediction_ns_ = 0;

  const KvCache* cache_ = nullptr;  // of the step
  AwayPages away_;
  std::vector<ops::Extent> everything_;
  ops::AttentionPlan dense_plan_, resident_plan_;
  // Tokens of each column: the clusters of all segments, each segment padded to its stride.
  std::vector<int32_t> counts_;
  std::vector<int64_t> columns_;  // first of each segment
  // [num_kv_heads, rows of the group], values [.., v_stride]
  std::vector<float> resident_max_, resident_sum_, resident_values_;
  std::vector<Head> heads_;
  bool dense_ = true;
  uint32_t layer_ = 0;  // last chosen
  Plans plans_;
};

// The largest share of any row's attention mass that unmarked clusters can hold, given that no key is farther
// than its cluster's radius from the mean: a cluster's mass lies within count * exp(s +- |q| r scale). scores
// [rows, clusters]; norms [rows] of the queries, times scale.
double unattended_bound(MatrixRef<const float> scores, const int32_t* counts, const float* radii,
                        const float* norms, const float* resident_max, const float* resident_sum,
                        const uint8_t* marks);

}  // namespace ev::kv
