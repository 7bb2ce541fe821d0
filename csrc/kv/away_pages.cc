#include "kv/away_pages.h"

#include <algorithm>

namespace ev::kv {

void AwayPages::begin_step(const KvCache& cache) {
  held_.release();
  cache_ = &cache;
  pages_ = cache.sealer() != nullptr ? cache.sealer()->pages() : 0;
  wanted_.assign(cache.away_pages(), false);
  where_.assign(wanted_.size(), nullptr);
  last_.resize(cache.layout().n_layers);
  const Cell* const first = cache.away().empty() ? nullptr : cache.away().front().get();
  if (first != first_) last_.assign(last_.size(), {});  // the window has moved on
  first_ = first;
}

void AwayPages::begin_layer() {
  held_.release();
  std::fill(wanted_.begin(), wanted_.end(), false);
  std::fill(where_.begin(), where_.end(), nullptr);
}

void AwayPages::want(size_t segment, int32_t first, int32_t count) {
  const auto page_size = static_cast<int32_t>(cache_->layout().page_size());
  const auto begin = wanted_.begin() + static_cast<std::ptrdiff_t>(segment * pages_);
  std::fill(begin + first / page_size, begin + (first + count - 1) / page_size + 1, true);
}

void AwayPages::want_all() {
  std::fill(wanted_.begin(), wanted_.end(), true);
}

void AwayPages::hold(uint32_t layer) {
  const auto list = [this](const std::vector<bool>& pages) {
    asked_.clear();
    for (uint32_t i = 0; i < pages.size(); ++i)
      if (pages[i]) asked_.push_back({cache_->away()[i / pages_].get(), i % pages_});
  };
  list(wanted_);
  cache_->slots()->expect(layer, asked_);
  held_ = cache_->slots()->hold(layer, asked_);
  size_t at = 0;
  for (size_t i = 0; i < wanted_.size(); ++i)
    if (wanted_[i]) where_[i] = held_.data(at++);
  last_[layer] = wanted_;
  const auto next = static_cast<uint32_t>((layer + 1) % last_.size());
  if (last_[next].size() > wanted_.size()) return;  // tokens were taken back
  list(last_[next]);
  cache_->slots()->expect(next, asked_);
}

}  // namespace ev::kv
