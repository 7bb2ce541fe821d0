#include "kv/invariants.h"

#include <algorithm>

namespace ev::kv {
namespace {

std::string check_cache(const KvCache& cache) {
  const uint32_t page_size = cache.layout().page_size();
  const WindowPolicy& window = cache.window();
  const uint64_t filled = uint64_t{cache.kept()} + cache.pending();
  const size_t sink_pages = window.sinks / page_size;
  if (cache.evicted() > cache.length()) return "more tokens evicted than seen";
  if (cache.pages().size() != (filled + page_size - 1) / page_size)
    return "the block table does not match the tokens kept";
  if (cache.evicted() % page_size != 0) return "part of a page was evicted";
  if (window.tokens != 0 && filled > window.tokens) return "the window is exceeded";
  if (window.tokens == 0 && cache.evicted() != 0) return "tokens were evicted without a window";
  const size_t unshifted = cache.unshifted_sinks().size();
  if (unshifted != sink_pages && (unshifted != 0 || cache.evicted() != 0))
    return "the sinks lack their unshifted copy";
  if (cache.evicted() != 0 && cache.kept() < window.sinks) return "a sink was evicted";
  return "";
}

}  // namespace

std::string find_violation(const PagePool& pool, const std::vector<const KvCache*>& caches) {
  const PoolStats stats = pool.stats();
  const std::vector<uint32_t> owners = pool.owner_counts();
  const auto used =
      static_cast<size_t>(std::count_if(owners.begin(), owners.end(), [](uint32_t n) { return n != 0; }));
  if (stats.free + stats.used != stats.total) return "free and used pages do not add up to the total";
  if (stats.used != used) return "the count of used pages is wrong";

  std::vector<uint32_t> listed(owners.size(), 0);
  for (const KvCache* cache : caches) {
    std::string violation = check_cache(*cache);
    if (!violation.empty()) return violation;
    std::vector<PageId> mine = cache->pages();
    mine.insert(mine.end(), cache->unshifted_sinks().begin(), cache->unshifted_sinks().end());
    std::sort(mine.begin(), mine.end());
    if (std::adjacent_find(mine.begin(), mine.end()) != mine.end()) return "a cache lists a page twice";
    for (const PageId id : mine) {
      if (id >= owners.size()) return "a cache lists a page that does not exist";
      ++listed[id];
    }
  }
  if (listed != owners) return "a page's owners are not the caches that list it";
  return "";
}

}  // namespace ev::kv
