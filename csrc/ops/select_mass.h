// Which clusters a KV head attends: the fewest that bring the rows' attention mass to a share `threshold`,
// resident tokens (sinks, recent, current) included. A cluster's density is exp(score), its mass density *
// count. Clusters are taken from the highest density down; without `exact` in buckets of an eighth of an
// octave, the whole crossing bucket with them. Where the others are estimated (ops/cluster_estimate.h) their
// mass counts by how far an estimate of it can be off. The specification, with every detail, is
// edgevid/ops/select_mass.py.
#pragma once

#include <cstdint>
#include <vector>

#include "base/tensor.h"

namespace ev::ops {

struct MassRule {
  float threshold = 0.9f;  // share of the mass; 1 takes everything
  bool pooled = true;      // one selection on the mass summed over rows; else the union of every row's own
  bool exact = false;
  int64_t max_tokens = 0;  // most tokens selected; 0: no limit
};

// The share of a cluster's mass that its estimate may be off: min(1, rows[r] * clusters[c]), the standard
// deviation of its tokens' scores. Nulls: all of it.
struct Doubt {
  const float* rows = nullptr;
  const float* clusters = nullptr;
};

// scores [rows, clusters], overwritten by the densities exp(score - tops[row]), or false: a mass is not
// finite, and everything is selected; counts [clusters]; resident_max and resident_sum [rows], as
// attention_mass() gives them; marks [clusters]: 1 selected, 0 not;
// tops [rows] or null; pooled [clusters] or null: the densities as shares of their row's mass, doubtful as
// far as they are, summed over rows; 0 where a mass is not finite. Runs on the calling thread. Throws
// Error(kInvalidArgument) for a threshold outside 0..1.
bool select_mass(MatrixRef<float> scores, const int32_t* counts, const float* resident_max,
                 const float* resident_sum, const MassRule& rule, uint8_t* marks, float* tops = nullptr,
                 const Doubt& doubt = {}, float* pooled = nullptr);

}  // namespace ev::ops
