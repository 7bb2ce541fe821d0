// The online clustering of ReSV (V-Rex, arXiv 2512.12284). A code joins the open cluster whose leader, its
// first code, is nearest in Hamming distance (the lowest id among equals) when that distance is below
// `threshold`; else it opens the next cluster. Once `capacity` clusters are open, codes join the nearest at
// any distance. The specification is edgevid/ops/cluster_assign.py.
#pragma once

#include <cstdint>
#include <vector>

namespace ev::ops {

struct ClusterRule {
  int threshold = 9;      // 0 never joins, 33 always does
  int64_t capacity = 64;  // at least 1
};

// ids [n]; `leaders` holds the open clusters and grows. Throws Error(kInvalidArgument) for a rule out of
// range.
void cluster_assign(const uint32_t* codes, int64_t n, const ClusterRule& rule, std::vector<uint32_t>& leaders,
                    int32_t* ids);

}  // namespace ev::ops
