#include "kv/invariants.h"

#include <algorithm>
#include <utility>

namespace ev::kv {
namespace {

std::string check_session(const KvCache& cache) {
  if (cache.away().size() > cache.segments().size()) return "more segments are away than there are";
  if (!cache.away().empty() && cache.slots() == nullptr) return "segments are away without slots";
  for (size_t i = 0; i < cache.away().size(); ++i) {
    const Cell& cell = *cache.away()[i];
    const uint64_t position = cache.evicted() + cache.window().sinks + i * uint64_t{cell.header.tokens};
    if (cell.index.segment != cache.segments()[i] || cell.header.first_position != position)
      return "a segment that is away is not the one in the file";
  }
  if (cache.journal() == nullptr) return "";
  const std::vector<CellPtr>& written = cache.journal()->segments();
  if (written.size() > cache.segments().size()) return "more segments are written than there are";
  for (size_t i = 0; i < written.size(); ++i)
    if (written[i]->retired || written[i]->index.segment != cache.segments()[i])
      return "a segment is not the one that was written";
  if (cache.slots() != nullptr && written.size() != cache.away().size())
    return "a written segment is still in memory";
  return cache.slots() != nullptr ? cache.slots()->find_violation() : "";
}

std::string check_segments(const KvCache& cache) {
  if (cache.segments().empty()) return "";
  if (cache.sealer() == nullptr) return "there are sealed segments without a sealer";
  if (uint64_t{cache.window().sinks} + cache.sealed() > cache.kept())
    return "sealed tokens are no longer kept";
  for (const SegmentPtr& segment : cache.segments()) {
    if (segment->tokens != cache.sealer()->policy().segment ||
        segment->layers.size() != cache.layout().n_layers)
      return "a segment has a wrong size";
    for (const LayerClusters& layer : segment->layers) {
      std::string violation = find_violation(layer, segment->tokens);
      if (!violation.empty()) return violation;
    }
  }
  return "";
}

std::string check_cache(const KvCache& cache) {
  const uint32_t page_size = cache.layout().page_size();
  const WindowPolicy& window = cache.window();
  const uint64_t filled = uint64_t{cache.kept()} + cache.pending();
  const size_t sink_pages = window.sinks / page_size;
  if (cache.evicted() > cache.length()) return "more tokens evicted than seen";
  if (cache.pages().size() + cache.away_pages() != (filled + page_size - 1) / page_size)
    return "the block table does not match the tokens kept";
  if (cache.evicted() % page_size != 0) return "part of a page was evicted";
  if (window.tokens != 0 && filled > window.tokens) return "the window is exceeded";
  if (window.tokens == 0 && cache.evicted() != 0) return "tokens were evicted without a window";
  const size_t unshifted = cache.unshifted_sinks().size();
  if (unshifted != sink_pages && (unshifted != 0 || cache.evicted() != 0))
    return "the sinks lack their unshifted copy";
  if (cache.evicted() != 0 && cache.kept() < window.sinks) return "a sink was evicted";
  std::string violation = check_session(cache);
  return violation.empty() ? check_segments(cache) : violation;
}

using Slots = std::vector<std::pair<const void*, int32_t>>;

Slots slots_of(const std::vector<ops::Extent>& extents) {
  Slots slots;
  for (const ops::Extent& e : extents)
    for (int32_t i = 0; i < e.count; ++i) slots.emplace_back(e.page, e.first + i);
  return slots;
}

// `kept`: where all tokens lie, the step's rows last.
std::string check_attended(const KvCache& cache, Slots kept, Slots mine) {
  const auto rows = static_cast<std::ptrdiff_t>(cache.pending());
  const auto sinks = static_cast<std::ptrdiff_t>(std::min(cache.window().sinks, cache.kept()));
  Slots wanted(kept.begin(), kept.begin() + sinks);
  wanted.insert(wanted.end(), kept.begin() + sinks + cache.sealed(), kept.end());
  if (static_cast<std::ptrdiff_t>(mine.size()) < rows ||
      !std::equal(mine.end() - rows, mine.end(), kept.end() - rows))
    return "the step's rows are not the last tokens attended";
  std::sort(mine.begin(), mine.end());
  std::sort(kept.begin(), kept.end());
  std::sort(wanted.begin(), wanted.end());
  if (std::adjacent_find(mine.begin(), mine.end()) != mine.end()) return "a token is attended twice";
  if (!std::includes(kept.begin(), kept.end(), mine.begin(), mine.end()))
    return "a token is attended that is not kept";
  if (!std::includes(mine.begin(), mine.end(), wanted.begin(), wanted.end()))
    return "a resident token is not attended";
  return "";
}

}  // namespace

std::string find_violation(const LayerClusters& layer, uint32_t tokens) {
  std::vector<bool> seen(tokens);
  if (layer.order.size() != tokens) return "a layer's slots are not its segment's tokens";
  for (const uint16_t token : layer.order) {
    if (token >= tokens || seen[token]) return "a sealed token lies in two slots";
    seen[token] = true;
  }
  const std::vector<int32_t>& begin = layer.begin;
  if (begin.size() != static_cast<size_t>(layer.summaries.clusters) + 1 || begin.front() != 0 ||
      static_cast<uint32_t>(begin.back()) != tokens)
    return "a layer's clusters do not cover its segment";
  for (size_t c = 1; c < begin.size(); ++c) {
    if (begin[c] <= begin[c - 1]) return "a cluster is empty";
    const auto first = layer.order.begin() + begin[c - 1], end = layer.order.begin() + begin[c];
    if (!std::is_sorted(first, end)) return "a cluster's tokens are not in order of time";
  }
  return "";
}

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

std::string find_violation(const KvCache& cache, const std::vector<ops::Extent>& attended) {
  std::vector<ops::Extent> kept;
  cache.add_extents(0, cache.kept() + cache.pending(), kept);
  return check_attended(cache, slots_of(kept), slots_of(attended));
}

std::string find_violation(const KvCache& cache, uint32_t layer, const std::vector<ops::Extent>& attended) {
  if (cache.away().empty()) return find_violation(cache, attended);
  std::vector<SlotPool::Page> pages;
  const uint32_t per_cell = cache.sealer()->pages();
  for (uint32_t i = 0; i < cache.away_pages(); ++i)
    pages.push_back({cache.away()[i / per_cell].get(), i % per_cell});
  std::vector<uint8_t*> where = cache.slots()->find(layer, pages);
  std::vector<ops::Extent> kept;
  cache.add_layer_extents(layer, 0, cache.kept() + cache.pending(), where, kept);
  return check_attended(cache, slots_of(kept), slots_of(attended));
}

}  // namespace ev::kv
