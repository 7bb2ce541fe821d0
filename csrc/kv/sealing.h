// Sealed segments: what a cache knows about tokens that are no longer recent.
//
// After the sinks a sequence is cut into segments of equal length. Once a segment is older than the recent
// tokens it is sealed: per layer, the keys of its tokens are hashed and clustered, and its pages are
// rewritten so that each cluster is a run of slots (ops/kv_seal.h). Layers cluster for themselves, so slot j
// of a sealed page holds different tokens in different layers; `order` remembers which, so that a segment can
// be unsealed again.
//
//   tokens kept   [ sinks | segment 0 | segment 1 | ... | recent, not sealed | rows of the step ]
//   a layer       segment:  slots  [ cluster 0 | cluster 1 | ... ]      begin[c] .. begin[c + 1]
//
// The clusters of a segment follow from its keys and from the segments before it alone: how the stream was
// cut into steps changes nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kv/page_pool.h"
#include "kv/window.h"
#include "ops/cluster_assign.h"
#include "ops/hash_codes.h"
#include "ops/kv_seal.h"

namespace ev::kv {

struct SealPolicy {
  uint32_t segment = 256;  // tokens, whole pages, at most 65536
  uint32_t recent = 128;   // tokens that always stay unsealed
  ops::ClusterRule rule;
  uint32_t mean_clusters = 0;  // of all segments, see kClusterSteps; 0: rule.capacity
  bool centred = true;   // hash keys less the mean key of the segments before (first segment: of itself)
  bool rotated = false;  // hash keys as stored, after RoPE; else with RoPE undone
  bool moments = true;   // keep mean values and spreads too, for estimating clusters that are not attended
  uint64_t seed = 0;
};

// Tables grow by so many clusters. With mean_clusters a segment may take its share and what segments before
// left over in any layer, up to kMostSaved shares, so that any n segments need room for no more than
// (n + kMostSaved) * mean_clusters in each layer on average.
constexpr uint32_t kClusterSteps = 16;
constexpr uint32_t kMostSaved = 8;

struct LayerClusters {
  ops::ClusterSummaries summaries;  // of the keys as stored
  ops::ClusterMoments moments;      // empty without SealPolicy::moments; the variance of all keys so far
  std::vector<int32_t> begin;       // [clusters + 1]: first slot of each cluster
  std::vector<uint16_t> order;      // [segment]: the token, counted from the segment's first, in each slot
  std::vector<float> mean;          // of all hashed keys up to this segment's end
};

// Immutable, shared by forks.
struct Segment {
  uint32_t tokens = 0;
  uint64_t summed = 0;  // tokens in `mean`
  std::vector<LayerClusters> layers;

  size_t bytes() const;
};

using SegmentPtr = std::shared_ptr<const Segment>;

class Sealer {
 public:
  // Throws Error(kInvalidArgument) for a policy that does not fit the pages.
  Sealer(const SealPolicy& policy, const PageLayout& layout, const KeyRotation& rotation);

  const SealPolicy& policy() const { return policy_; }
  uint32_t pages() const { return policy_.segment / layout_.page_size(); }  // of a segment

  // Writes the segment in pages `from`, whose first token has position `first_position`, to the pages `to`;
  // `before`: the kept segments before it.
  SegmentPtr seal(const std::vector<uint8_t*>& from, const std::vector<uint8_t*>& to, uint64_t first_position,
                  const std::vector<SegmentPtr>& before, ThreadPool& threads) const;
  // The way back.
  void unseal(const Segment& segment, const std::vector<uint8_t*>& from, const std::vector<uint8_t*>& to,
              ThreadPool& threads) const;

 private:
  LayerClusters cluster_layer(uint32_t layer, const std::vector<uint8_t*>& pages, const ops::RopeTable& undo,
                              const Segment* previous, int64_t capacity, ThreadPool& threads) const;
  int64_t most_clusters(const std::vector<SegmentPtr>& before) const;

  SealPolicy policy_;
  PageLayout layout_;
  KeyRotation rotation_;
  std::vector<ops::Hyperplanes> planes_;  // one per layer
};

}  // namespace ev::kv
