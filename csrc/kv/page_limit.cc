#include "kv/page_limit.h"

#include <algorithm>

namespace ev::kv {
namespace {

struct Candidate {
  float density;
  uint32_t head;
  size_t column;
  size_t first_page, pages;
};

// In order of segments, heads and clusters.
std::vector<Candidate> list_marked(const std::vector<SegmentPtr>& segments, uint32_t layer,
                                   uint32_t page_size, size_t kept, const std::vector<HeadChoice>& heads) {
  std::vector<Candidate> list;
  size_t first_page = 0, first_column = 0;
  for (size_t i = 0; i + kept < segments.size(); ++i) {
    const LayerClusters& clusters = segments[i]->layers[layer];
    for (uint32_t h = 0; h < heads.size(); ++h)
      for (size_t c = 0; c + 1 < clusters.begin.size(); ++c) {
        const size_t column = first_column + c;
        if (heads[h].marks[column] == 0) continue;
        const auto begin = static_cast<size_t>(clusters.begin[c]) / page_size;
        const auto last = static_cast<size_t>(clusters.begin[c + 1] - 1) / page_size;
        list.push_back({heads[h].densities[column], h, column, first_page + begin, last - begin + 1});
      }
    first_page += segments[i]->tokens / page_size;
    first_column += static_cast<size_t>(clusters.summaries.stride);
  }
  return list;
}

// Pages in use, of all segments.
class PageSet {
 public:
  size_t added_by(const Candidate& c) const {
    size_t fresh = 0;
    for (size_t p = c.first_page; p < c.first_page + c.pages; ++p) fresh += p >= used_.size() || !used_[p];
    return fresh;
  }
  void add(const Candidate& c) {
    size_ += added_by(c);
    if (used_.size() < c.first_page + c.pages) used_.resize(c.first_page + c.pages);
    std::fill_n(used_.begin() + static_cast<std::ptrdiff_t>(c.first_page), c.pages, true);
  }
  size_t size() const { return size_; }

 private:
  std::vector<bool> used_;
  size_t size_ = 0;
};

}  // namespace

bool limit_pages(const std::vector<SegmentPtr>& segments, uint32_t layer, uint32_t page_size,
                 uint32_t max_pages, size_t kept, const std::vector<HeadChoice>& heads) {
  std::vector<Candidate> marked = list_marked(segments, layer, page_size, kept, heads);
  PageSet all;
  for (const Candidate& c : marked) all.add(c);
  if (all.size() <= max_pages) return false;
  std::stable_sort(marked.begin(), marked.end(),
                   [](const Candidate& a, const Candidate& b) { return a.density > b.density; });
  PageSet pages;
  for (const Candidate& c : marked) {
    if (pages.size() + pages.added_by(c) <= max_pages)
      pages.add(c);
    else
      heads[c.head].marks[c.column] = 0;
  }
  return true;
}

}  // namespace ev::kv
