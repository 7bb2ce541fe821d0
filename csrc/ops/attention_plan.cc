#include <algorithm>

#include "base/error.h"
#include "ops/paged_attention.h"

namespace ev::ops {

void AttentionPlan::set(const std::vector<Extent>& extents, int64_t m, const KvShape& shape) {
  cut(extents, shape);
  num_rows_ = m;
  holds_rows_ = true;
  if (m < 0 || m > num_tokens_)
    throw Error(ErrorCode::kInvalidArgument, "attention: the plan holds fewer tokens than rows");
}

void AttentionPlan::set_past(const std::vector<Extent>& extents, int64_t m, const KvShape& shape) {
  cut(extents, shape);
  num_rows_ = m;
  holds_rows_ = false;
}

void AttentionPlan::cut(const std::vector<Extent>& extents, const KvShape& shape) {
  shape.validate();
  pieces_.clear();
  tile_begin_.clear();
  num_tokens_ = 0;
  for (const Extent& e : extents) {
    if (!shape.holds(e)) throw Error(ErrorCode::kInvalidArgument, "an extent leaves its KV page");
    for (int32_t done = 0; done < e.count;) {
      const auto at = static_cast<int32_t>(num_tokens_ % kTileTokens);
      if (at == 0) tile_begin_.push_back(static_cast<int32_t>(pieces_.size()));
      const int32_t count = std::min(e.count - done, kTileTokens - at);
      pieces_.push_back({e.page, e.first + done, count, at});
      done += count;
      num_tokens_ += count;
    }
  }
  tile_begin_.push_back(static_cast<int32_t>(pieces_.size()));
}

}  // namespace ev::ops
