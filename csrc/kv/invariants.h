// The whole truth about a pool and its caches, checked by one pure function. Tests call it after every random
// step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kv/cache.h"
#include "kv/page_pool.h"

namespace ev::kv {

// An empty string when all of these hold, else the first that does not:
//   - free + used = total, and used is the number of pages with an owner;
//   - a page has as many owners as caches list it, and no cache lists it twice;
//   - a cache lists exactly the pages its kept tokens (and the step under way) fill;
//   - whole pages are evicted, only between sinks and newest, and the window is not exceeded;
//   - the sinks have an unshifted copy once the window has slid;
//   - sealed segments hold tokens that are kept, each token in exactly one slot and one cluster of every
//     layer;
//   - what is written to a session file, or away, is what the cache lists, and the slots are in order.
// `caches` must be all caches of the pool, none of them in use on another thread.
std::string find_violation(const PagePool& pool, const std::vector<const KvCache*>& caches);

// The same for what a step attends: no token twice, sinks, unsealed tokens and the step's rows all there, the
// rows last and in order.
std::string find_violation(const KvCache& cache, const std::vector<ops::Extent>& attended);
// The same when something is away, so that extents lie in `layer` (KvCache::add_layer_extents()).
std::string find_violation(const KvCache& cache, uint32_t layer, const std::vector<ops::Extent>& attended);

// The same for the clusters of one layer of a segment: each token in exactly one slot, each slot in exactly
// one cluster.
std::string find_violation(const LayerClusters& layer, uint32_t tokens);

}  // namespace ev::kv
