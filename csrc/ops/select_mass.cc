#include "ops/select_mass.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "ops/kernels.h"
#include "ops/registry.h"

namespace ev::ops {
namespace {

constexpr uint32_t kBuckets = 256;
constexpr int kLanes = 4;
constexpr int kBucketShift = 20;  // a float's exponent and three bits of its mantissa remain

// Grows with the density, which is not negative.
int32_t bits_of(float density) {
  int32_t bits;
  std::memcpy(&bits, &density, sizeof bits);
  return bits;
}

// Takes from the highest density down until more than `need` is taken.
class Taker {
 public:
  Taker(const int32_t* counts, int64_t clusters, const MassRule& rule, uint8_t* marks)
      : counts_(counts), clusters_(clusters), rule_(rule), marks_(marks) {}

  void take_all() {
    for (int64_t c = 0; c < clusters_; ++c) marks_[c] = counts_[c] > 0;
  }

  void take(const float* densities, double need) {
    if (rule_.threshold >= 1.0f) return take_all();
    if (!(need >= 0.0)) return;
    int32_t highest = 0;
    for (int64_t c = 0; c < clusters_; ++c) highest = std::max(highest, bits_of(densities[c]));
    buckets_.resize(static_cast<size_t>(clusters_));
    for (int64_t c = 0; c < clusters_; ++c)
      buckets_[static_cast<size_t>(c)] = static_cast<uint8_t>(std::min(
          (highest >> kBucketShift) - (bits_of(densities[c]) >> kBucketShift), int32_t{kBuckets - 1}));
    // Neighbours often share a bucket: summed apart they do not wait for each other.
    double sums[kLanes][kBuckets] = {};
    for (int64_t c = 0; c < clusters_; ++c)
      sums[c % kLanes][buckets_[static_cast<size_t>(c)]] += double{densities[c]} * counts_[c];
    uint32_t crossing = 0;
    for (; crossing < kBuckets; ++crossing) {
      double mass = 0.0;
      for (const auto& lane : sums) mass += lane[crossing];
      if (!(need - mass >= 0.0)) break;
      need -= mass;
    }
    const uint32_t taken = crossing + (rule_.exact ? 0 : 1);  // buckets
    for (int64_t c = 0; c < clusters_; ++c)
      marks_[c] |= static_cast<uint8_t>(buckets_[static_cast<size_t>(c)] < taken && counts_[c] > 0);
    if (rule_.exact && crossing < kBuckets)
      take_sorted(densities, need, [&](int64_t c) { return buckets_[static_cast<size_t>(c)] == crossing; });
  }

  // Gives back the lowest densities until the rest fits max_tokens.
  void cap(const float* densities) {
    int64_t tokens = 0;
    for (int64_t c = 0; c < clusters_; ++c) tokens += marks_[c] * counts_[c];
    if (rule_.max_tokens == 0 || tokens <= rule_.max_tokens) return;
    const std::vector<int64_t> marked = sorted(densities, [&](int64_t c) { return marks_[c] != 0; });
    std::fill_n(marks_, clusters_, uint8_t{0});
    int64_t room = rule_.max_tokens;
    for (const int64_t c : marked) {
      if (counts_[c] > room) continue;
      marks_[c] = 1;
      room -= counts_[c];
    }
  }

 private:
  template <class Wanted>
  std::vector<int64_t> sorted(const float* densities, const Wanted& wanted) const {
    std::vector<int64_t> list;
    for (int64_t c = 0; c < clusters_; ++c)
      if (wanted(c)) list.push_back(c);
    std::stable_sort(list.begin(), list.end(),
                     [&](int64_t a, int64_t b) { return densities[a] > densities[b]; });
    return list;
  }

  template <class Wanted>
  void take_sorted(const float* densities, double need, const Wanted& wanted) {
    for (const int64_t c : sorted(densities, wanted)) {
      if (need < 0.0) return;
      marks_[c] |= counts_[c] > 0;
      need -= double{densities[c]} * counts_[c];
    }
  }

  const int32_t* counts_;
  int64_t clusters_;
  const MassRule& rule_;
  uint8_t* marks_;
  std::vector<uint8_t> buckets_;  // [clusters], of what is being taken
};

double sum(const float* densities, const int32_t* counts, int64_t clusters) {
  double total = 0.0;
  for (int64_t c = 0; c < clusters; ++c) total += double{densities[c]} * counts[c];
  return total;
}

}  // namespace

bool select_mass(MatrixRef<float> scores, const int32_t* counts, const float* resident_max,
                 const float* resident_sum, const MassRule& rule, uint8_t* marks, float* tops,
                 const Doubt& doubt, float* pooled) {
  if (!(rule.threshold >= 0.0f && rule.threshold <= 1.0f))
    throw Error(ErrorCode::kInvalidArgument, "select_mass: the threshold is a share");
  const int64_t clusters = scores.cols;
  const double threshold = double{rule.threshold};
  std::vector<float> weights(counts, counts + clusters);
  std::vector<float> own(pooled != nullptr ? 0 : weights.size());
  std::vector<float> errors(doubt.rows != nullptr ? weights.size() : 0);
  float* pool = pooled != nullptr ? pooled : own.data();
  std::fill_n(pool, clusters, 0.0f);
  std::fill_n(marks, clusters, uint8_t{0});
  Taker taker(counts, clusters, rule, marks);
  double pool_resident = 0.0;
  for (int64_t row = 0; row < scores.rows; ++row) {
    const float* densities = scores.row(row);
    const RowMass mass =
        kernels().mass_row(scores.row(row), weights.data(), clusters, resident_max[row], resident_sum[row]);
    if (tops != nullptr) tops[row] = mass.top;
    if (!std::isfinite(mass.total) || !(mass.total > 0.0f)) {
      taker.take_all();
      std::fill_n(pool, clusters, 0.0f);
      return false;
    }
    if (doubt.rows != nullptr) {
      kernels().doubt_row(errors.data(), densities, doubt.clusters, doubt.rows[row], clusters);
      densities = errors.data();
    }
    kernels().add_scaled(pool, densities, 1.0f / mass.total, clusters);
    pool_resident += double{mass.resident} / mass.total;
    if (rule.pooled) continue;
    taker.take(densities, doubt.rows == nullptr
                              ? threshold * mass.total - mass.resident
                              : sum(densities, counts, clusters) - (1.0 - threshold) * mass.total);
  }
  const auto rows = static_cast<double>(scores.rows);
  if (rule.pooled)
    taker.take(pool, doubt.rows == nullptr ? threshold * rows - pool_resident
                                           : sum(pool, counts, clusters) - (1.0 - threshold) * rows);
  taker.cap(pool);
  return true;
}

}  // namespace ev::ops
