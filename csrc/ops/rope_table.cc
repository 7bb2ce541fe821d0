#include <cmath>

#include "base/error.h"
#include "ops/rope.h"

namespace ev::ops {
namespace {

constexpr double kTwoPi = 6.283185307179586;

void check_rotary(int rotary_dim, double base) {
  if (rotary_dim <= 0 || rotary_dim % 2 != 0 || !(base > 0))
    throw Error(ErrorCode::kInvalidArgument, "rope needs an even rotary dimension and a positive base");
}

double inverse_frequency(int pair, int rotary_dim, double base) {
  return std::pow(base, -2.0 * pair / rotary_dim);
}

}  // namespace

std::vector<float> rope_inv_freq(int rotary_dim, double base, const float* factors) {
  check_rotary(rotary_dim, base);
  std::vector<float> inv_freq;
  for (int i = 0; i < rotary_dim / 2; ++i) {
    const double factor = factors == nullptr ? 1.0 : factors[i];
    inv_freq.push_back(static_cast<float>(inverse_frequency(i, rotary_dim, base) / factor));
  }
  return inv_freq;
}

std::vector<float> llama3_rope_factors(int rotary_dim, double base, double factor, double low_freq,
                                       double high_freq, double original_context) {
  check_rotary(rotary_dim, base);
  if (!(factor > 0) || !(high_freq > low_freq) || !(original_context > 0))
    throw Error(ErrorCode::kInvalidArgument, "llama3 rope scaling needs factor > 0 and high_freq > low_freq");
  std::vector<float> factors;
  for (int i = 0; i < rotary_dim / 2; ++i) {
    const double turns =
        original_context * inverse_frequency(i, rotary_dim, base) / kTwoPi;  // over the context
    const double keep = std::min(1.0, std::max(0.0, (turns - low_freq) / (high_freq - low_freq)));
    factors.push_back(static_cast<float>(1.0 / ((1.0 - keep) / factor + keep)));
  }
  return factors;
}

void RopeTable::set_positions(const int32_t* positions, int64_t m) {
  rows_ = m;
  const size_t pairs = inv_freq_.size();
  cos_.resize(static_cast<size_t>(m) * pairs);
  sin_.resize(cos_.size());
  for (size_t i = 0; i < static_cast<size_t>(m); ++i)
    for (size_t j = 0; j < pairs; ++j) {
      const double angle = static_cast<double>(positions[i]) * inv_freq_[j];
      cos_[i * pairs + j] = static_cast<float>(std::cos(angle));
      sin_[i * pairs + j] = static_cast<float>(std::sin(angle));
    }
}

void RopeTable::set(const float* cos, const float* sin, int64_t m) {
  rows_ = m;
  const auto count = static_cast<size_t>(m) * inv_freq_.size();
  cos_.assign(cos, cos + count);
  sin_.assign(sin, sin + count);
}

}  // namespace ev::ops
