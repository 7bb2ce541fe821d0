// Which clusters of a layer a step attends, per KV head, and what the others and the resident tokens (sinks,
// not sealed, the step's rows) add to that: the arithmetic of ResvSelection, which makes plans of it.
#pragma once

#include <cstdint>
#include <vector>

#include "kv/cache.h"
#include "ops/cluster_scores.h"
#include "ops/paged_attention.h"
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

class ClusterChoice {
 public:
  // What is done for one KV head of one layer; its memory is kept from call to call.
  struct Head {
    ops::ScoreQueries queries;
    std::vector<float> scores;              // [rows of the group, columns]; densities, once chosen
    std::vector<float> row_doubts, doubts;  // standard deviation of scores: [rows] times [columns]
    std::vector<uint8_t> marks;             // [columns]
    std::vector<float> pooled;              // [columns] densities over rows, for a limit on pages
    // Beside what is chosen, relative to `tops` [rows]: weights [1 + parts, rows] and values [.., v_stride],
    // of everything, and before that of the estimates of each part of the segments.
    std::vector<float> tops, weights, values;
    bool estimates = false;   // scores are densities
    std::vector<float> left;  // [columns]: tokens of clusters that are estimated
    int64_t chosen = 0;       // tokens
    double bound = 0;
  };

  explicit ClusterChoice(const RetrievalPolicy& policy) : policy_(policy) {}

  // The cache holds the step's rows as pending; sealed tokens may be away, they are not looked at.
  void begin_step(const KvCache& cache);
  // q [rows, num_q_heads * head_dim], rotated. Before each choice, which needs their mass.
  void attend_resident(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads);
  // There must be sealed tokens.
  void choose(uint32_t layer, MatrixRef<const float> q, ThreadPool& threads);
  // Of the last choice, in the order of their clusters' columns.
  const std::vector<Head>& heads() const { return heads_; }
  // What joins the chosen clusters, per KV head; nothing unless joins_resident(). Valid until the next
  // choice, once for each.
  void list_rest(uint32_t layer, ThreadPool& threads, std::vector<ops::AttentionRest>& rest);

  int64_t resident_tokens() const { return resident_plan_.num_tokens(); }
  // Whether resident tokens are a part of the rest, and not of what is to be planned.
  bool joins_resident() const { return estimates() && !policy_.everything && policy_.rule.threshold < 1.0f; }
  // Whether attending all sealed tokens is out of the question.
  bool capped() const;

 private:
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
  bool lacks_recent() const;
  bool estimates() const { return policy_.estimate && cache_->sealer()->policy().moments; }
  void certify_head(uint32_t layer, size_t head, MatrixRef<const float> q, MatrixRef<const float> scores);

  const RetrievalPolicy policy_;
  const KvCache* cache_ = nullptr;  // of the step
  ops::AttentionPlan resident_plan_;
  // Tokens of each column: the clusters of all segments, each segment padded to its stride.
  std::vector<int32_t> counts_;
  std::vector<int64_t> columns_;  // first of each segment
  // [num_kv_heads, rows of the group], values [.., v_stride]
  std::vector<float> resident_max_, resident_sum_, resident_values_;
  std::vector<Head> heads_;
};

// The largest share of any row's attention mass that unmarked clusters can hold, given that no key is farther
// than its cluster's radius from the mean: a cluster's mass lies within count * exp(s +- |q| r scale). scores
// [rows, clusters]; norms [rows] of the queries, times scale.
double unattended_bound(MatrixRef<const float> scores, const int32_t* counts, const float* radii,
                        const float* norms, const float* resident_max, const float* resident_sum,
                        const uint8_t* marks);

}  // namespace ev::kv
