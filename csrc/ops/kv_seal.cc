// Moves bits and sums in one fixed order, so it is compiled once for all ISAs.
#include "ops/kv_seal.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace ev::ops {
namespace {

constexpr int32_t kLanes = 16;
constexpr float kRadiusSlack = 1.0f + 0x1p-16f;  // covers the rounding of a distance

struct Slot {
  uint8_t* page;
  int64_t index;
};

std::vector<Slot> slots_of(const std::vector<Extent>& extents, const KvShape& shape) {
  std::vector<Slot> slots;
  for (const Extent& e : extents) {
    require(shape.holds(e), "an extent leaves its KV page");
    for (int32_t i = 0; i < e.count; ++i) slots.push_back({static_cast<uint8_t*>(e.page), e.first + i});
  }
  return slots;
}

// Tokens on their way from slots to slots.
struct Move {
  const std::vector<Slot>& from;
  const std::vector<int32_t>& order;
  const std::vector<Slot>& to;
  int64_t page_size;

  // One T of each token in each of `lines` lines of page_size, from the page's byte `offset` on.
  template <class T>
  void columns(int64_t offset, int64_t lines) const {
    for (size_t j = 0; j < order.size(); ++j) {
      const Slot source = from[static_cast<size_t>(order[j])];
      const T* column = reinterpret_cast<const T*>(source.page + offset) + source.index;
      T* copy = reinterpret_cast<T*>(to[j].page + offset) + to[j].index;
      for (int64_t line = 0; line < lines; ++line) copy[line * page_size] = column[line * page_size];
    }
  }

  // `bytes` of each token in each of `heads` runs of page_size.
  void rows(int64_t offset, int64_t heads, int64_t bytes) const {
    for (int64_t h = 0; h < heads; ++h, offset += page_size * bytes)
      for (size_t j = 0; j < order.size(); ++j) {
        const Slot source = from[static_cast<size_t>(order[j])];
        std::memcpy(to[j].page + offset + to[j].index * bytes, source.page + offset + source.index * bytes,
                    static_cast<size_t>(bytes));
      }
  }
};

// One cluster's mean and scale of one KV head, and how far its members lie from that.
class Summarizer {
 public:
  explicit Summarizer(int64_t head_dim) : mean_(static_cast<size_t>(head_dim)) {}

  // Returns the scale.
  float summarize(MatrixRef<const float> run, int8_t* codes, int64_t stride) {
    const int64_t dims = run.cols;
    std::fill(mean_.begin(), mean_.end(), 0.0f);
    for (int64_t t = 0; t < run.rows; ++t)
      for (int64_t d = 0; d < dims; ++d) mean_[static_cast<size_t>(d)] += run.row(t)[d];
    float largest = 0.0f;
    for (float& m : mean_) {
      m /= static_cast<float>(run.rows);
      largest = std::max(largest, std::abs(m));
    }
    const float scale = largest / 127.0f;
    const float unit = scale > 0.0f ? scale : 1.0f;
    for (int64_t d = 0; d < dims; ++d) {
      float& m = mean_[static_cast<size_t>(d)];
      const float code = std::nearbyint(m / unit);
      // A mean that is not finite cannot be stored; its radius is not finite either, which says so.
      codes[d * stride] = static_cast<int8_t>(std::abs(code) <= 127.0f ? code : 0.0f);
      m = code * scale;
    }
    return scale;
  }

  // Of the run that was summarized last: the mean square distance per dim; each dim's sum goes to `sums`.
  float spread(MatrixRef<const float> run, float* sums) const {
    float total = 0.0f;
    for (int64_t d = 0; d < run.cols; ++d) {
      float squares = 0.0f;
      for (int64_t t = 0; t < run.rows; ++t) {
        const float apart = run.row(t)[d] - mean_[static_cast<size_t>(d)];
        squares += apart * apart;
      }
      sums[d] += squares;
      total += squares;
    }
    return total / static_cast<float>(run.rows * run.cols);
  }

  // Likewise.
  float radius(MatrixRef<const float> run) const {
    float farthest = 0.0f;
    for (int64_t t = 0; t < run.rows; ++t) {
      float squares = 0.0f;
      for (int64_t d = 0; d < run.cols; ++d) {
        const float apart = run.row(t)[d] - mean_[static_cast<size_t>(d)];
        squares += apart * apart;
      }
      farthest = squares <= farthest ? farthest : squares;  // NaN stays
    }
    return std::sqrt(farthest) * kRadiusSlack;
  }

 private:
  std::vector<float> mean_;
};

int32_t lanes_for(int32_t clusters) {
  return (clusters + kLanes - 1) / kLanes * kLanes;
}

// Calls fn(cluster, head, run of one head's rows) for every cluster of every head.
template <class Fn>
void for_runs(MatrixRef<const float> rows, const std::vector<int32_t>& begin, int num_kv_heads,
              const Fn& fn) {
  require(num_kv_heads > 0 && rows.cols % num_kv_heads == 0 && !begin.empty() && begin.front() == 0 &&
              begin.back() == rows.rows,
          "cluster_summaries: the runs do not cover the keys");
  const int64_t head_dim = rows.cols / num_kv_heads;
  for (size_t c = 0; c + 1 < begin.size(); ++c) {
    require(begin[c + 1] > begin[c], "cluster_summaries: a cluster is empty");
    for (int64_t h = 0; h < num_kv_heads; ++h)
      fn(static_cast<int64_t>(c), h,
         rows.slice(begin[c], begin[c + 1] - begin[c]).columns(h * head_dim, head_dim));
  }
}

}  // namespace

void kv_seal(const KvLayer& layer, const std::vector<Extent>& from, const std::vector<int32_t>& order,
             const std::vector<Extent>& to) {
  layer.shape.validate();
  const std::vector<Slot> source = slots_of(from, layer.shape), target = slots_of(to, layer.shape);
  require(source.size() == order.size() && target.size() == order.size(),
          "kv_seal: slots and order differ in number");
  std::vector<bool> seen(order.size());
  for (const int32_t token : order) {
    require(token >= 0 && static_cast<size_t>(token) < order.size() && !seen[static_cast<size_t>(token)],
            "kv_seal: the order is no permutation");
    seen[static_cast<size_t>(token)] = true;
  }
  const KvShape& s = layer.shape;
  const int64_t heads = s.num_kv_heads, key_lines = heads * s.head_dim;
  const Move move{source, order, target, s.page_size};
  switch (s.type) {
    case KvType::kF16: move.columns<uint16_t>(layer.k_offset, key_lines); break;
    case KvType::kF32: move.columns<uint32_t>(layer.k_offset, key_lines); break;
    case KvType::kI8: move.columns<uint8_t>(layer.k_offset, key_lines); break;
  }
  move.columns<uint16_t>(layer.k_scales(), heads * s.key_scales());
  move.rows(layer.v_offset, heads, s.v_stride() * s.element_bytes());
  move.columns<uint16_t>(layer.v_scales(), heads * s.value_scales());
}

void seal_order(const std::vector<int32_t>& ids, int32_t clusters, std::vector<int32_t>& order,
                std::vector<int32_t>& begin) {
  begin.assign(static_cast<size_t>(clusters) + 1, 0);
  for (const int32_t id : ids) {
    require(id >= 0 && id < clusters, "seal_order: there is no such cluster");
    ++begin[static_cast<size_t>(id) + 1];
  }
  for (size_t c = 1; c < begin.size(); ++c) begin[c] += begin[c - 1];
  order.resize(ids.size());
  std::vector<int32_t> next(begin);
  for (size_t token = 0; token < ids.size(); ++token)
    order[static_cast<size_t>(next[static_cast<size_t>(ids[token])]++)] = static_cast<int32_t>(token);
}

ClusterSummaries cluster_summaries(MatrixRef<const float> keys, const std::vector<int32_t>& begin,
                                   int num_kv_heads) {
  require(num_kv_heads > 0, "cluster_summaries: there are no KV heads");
  ClusterSummaries out;
  out.clusters = static_cast<int32_t>(begin.size()) - 1;
  out.stride = lanes_for(out.clusters);
  const int64_t head_dim = keys.cols / num_kv_heads, stride = out.stride;
  out.means.resize(static_cast<size_t>(keys.cols * stride));
  out.scales.resize(static_cast<size_t>(num_kv_heads * stride));
  out.radii.resize(out.scales.size());
  Summarizer summarizer(head_dim);
  for_runs(keys, begin, num_kv_heads, [&](int64_t c, int64_t h, MatrixRef<const float> run) {
    const auto at = static_cast<size_t>(h * stride + c);
    out.scales[at] = summarizer.summarize(run, out.means.data() + h * head_dim * stride + c, stride);
    out.radii[at] = summarizer.radius(run);
  });
  return out;
}

ClusterMoments cluster_moments(MatrixRef<const float> keys, MatrixRef<const float> values,
                               const std::vector<int32_t>& begin, int num_kv_heads) {
  require(num_kv_heads > 0 && keys.rows == values.rows && keys.cols == values.cols,
          "cluster_moments: keys and values disagree");
  const int64_t head_dim = keys.cols / num_kv_heads, v_stride = (head_dim + kLanes - 1) / kLanes * kLanes;
  const int64_t stride = lanes_for(static_cast<int32_t>(begin.size()) - 1);
  ClusterMoments out;
  out.value_means.resize(static_cast<size_t>(num_kv_heads * stride * v_stride));
  out.value_scales.resize(static_cast<size_t>(num_kv_heads * stride));
  out.spreads.resize(out.value_scales.size());
  out.variance.resize(static_cast<size_t>(keys.cols));
  Summarizer summarizer(head_dim);
  for_runs(values, begin, num_kv_heads, [&](int64_t c, int64_t h, MatrixRef<const float> run) {
    const int64_t at = h * stride + c;
    out.value_scales[static_cast<size_t>(at)] =
        summarizer.summarize(run, out.value_means.data() + at * v_stride, 1);
  });
  std::vector<int8_t> codes(static_cast<size_t>(head_dim));
  for_runs(keys, begin, num_kv_heads, [&](int64_t c, int64_t h, MatrixRef<const float> run) {
    summarizer.summarize(run, codes.data(), 1);
    out.spreads[static_cast<size_t>(h * stride + c)] =
        summarizer.spread(run, out.variance.data() + h * head_dim);
  });
  for (float& v : out.variance) v /= static_cast<float>(std::max<int64_t>(keys.rows, 1));
  return out;
}

}  // namespace ev::ops
