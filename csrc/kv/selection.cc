#include "kv/selection.h"

namespace ev::kv {

std::string WindowSelection::name() const {
  return recent_ == 0 ? "dense" : "window " + std::to_string(sinks_) + "+" + std::to_string(recent_);
}

void WindowSelection::begin_step(const KvCache& cache) {
  cache_ = &cache;
  const uint32_t kept = cache.kept();
  const uint32_t rows = cache.pending();
  extents_.clear();
  if (recent_ == 0 || uint64_t{sinks_} + recent_ >= kept) {
    cache.add_extents(0, kept + rows, extents_);
  } else {
    cache.add_extents(0, sinks_, extents_);
    cache.add_extents(kept - recent_, recent_ + rows, extents_);
  }
  plan_.set(extents_, rows, cache.layout().shape);
}

const Plans& WindowSelection::plans(uint32_t layer, MatrixRef<const float>, ThreadPool&) {
  plans_.layer = cache_->layout().layer(layer);
  return plans_;
}

}  // namespace ev::kv
