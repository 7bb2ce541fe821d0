#include "decoder/sampler.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace ev::decoder {
namespace {

constexpr uint64_t kPcgMultiplier = 6364136223846793005u;  // O'Neill, "PCG", 2014: pcg32, default stream
constexpr uint64_t kPcgIncrement = 1442695040888963407u;
constexpr size_t kFirstPrefix = 256;

void require(bool ok, const char* message) {
  if (!ok) throw Error(ErrorCode::kInvalidArgument, message);
}

// exp(x) for x <= 0, within 2 units in the last place. libm's differs between platforms in the last bits, and
// one bit can turn a draw.
double portable_exp(double x) {
  constexpr double kInverseFactorials[] = {1.0,
                                           1.0,
                                           1.0 / 2,
                                           1.0 / 6,
                                           1.0 / 24,
                                           1.0 / 120,
                                           1.0 / 720,
                                           1.0 / 5040,
                                           1.0 / 40320,
                                           1.0 / 362880,
                                           1.0 / 3628800,
                                           1.0 / 39916800,
                                           1.0 / 479001600,
                                           1.0 / 6227020800};
  if (x < -700.0) return 0.0;
  const double k = std::floor(x * 1.4426950408889634 + 0.5);
  const double r =
      (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;  // ln 2 in two parts
  double sum = 0;
  for (size_t n = std::size(kInverseFactorials); n-- > 0;) sum = sum * r + kInverseFactorials[n];
  return std::ldexp(sum, static_cast<int>(k));
}

bool better(double a_logit, TokenId a, double b_logit, TokenId b) {
  return a_logit != b_logit ? a_logit > b_logit : a < b;
}

// The first of the allowed tokens with the highest logit; kNoToken when none is above -Inf.
TokenId highest(const float* logits, size_t n, const TokenMask* allowed) {
  TokenId best = kNoToken;
  float high = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < n; ++i) {
    const auto id = static_cast<TokenId>(i);
    if (!(logits[i] > high) || (allowed != nullptr && !allowed->test(id))) continue;  // NaN is above nothing
    best = id;
    high = logits[i];
  }
  return best;
}

}  // namespace

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_state_(0) {
  require(std::isfinite(options.temperature) && options.temperature >= 0,
          "temperature must be a number >= 0");
  require(options.top_k >= 0, "top_k must be >= 0");
  require(options.top_p > 0 && options.top_p <= 1, "top_p must be in (0, 1]");
  require(std::isfinite(options.repetition_penalty) && options.repetition_penalty > 0,
          "repetition_penalty must be a number > 0");
  require(options.repetition_window >= 0 && options.repetition_window <= 65536,
          "repetition_window must be from 0 to 65536");
  next_random();
  random_state_ += options.seed;
  next_random();
}

uint32_t Sampler::next_random() {
  const uint64_t old = random_state_;
  random_state_ = old * kPcgMultiplier + kPcgIncrement;
  const auto mixed = static_cast<uint32_t>((old >> 18 ^ old) >> 27);
  const auto turn = static_cast<uint32_t>(old >> 59);
  return mixed >> turn | mixed << (-turn & 31);
}

TokenId Sampler::sample(const float* logits, size_t n, const TokenMask* allowed) {
  require(allowed == nullptr || static_cast<size_t>(allowed->size()) == n,
          "the mask is not of the size of the vocabulary");
  const bool plain = options_.temperature == 0 && options_.repetition_penalty == 1;
  TokenId token = plain ? highest(logits, n, allowed) : kNoToken;
  if (token == kNoToken) {
    collect(logits, n, allowed);
    penalize_recent();
    token = options_.temperature == 0 ? best() : draw();
  }
  remember(token);
  return token;
}

void Sampler::remember(TokenId token) {
  const auto window = static_cast<size_t>(options_.repetition_window);
  if (window == 0) return;
  if (recent_.size() < window) recent_.push_back(token);
  recent_[recent_next_] = token;
  recent_next_ = (recent_next_ + 1) % window;
}

// The tokens that can be chosen, by ascending id.
void Sampler::collect(const float* logits, size_t n, const TokenMask* allowed) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  candidates_.clear();
  bool any_allowed = false;
  bool any_infinite = false;
  for (size_t i = 0; i < n; ++i) {
    const auto id = static_cast<TokenId>(i);
    if (allowed != nullptr && !allowed->test(id)) continue;
    any_allowed = true;
    if (std::isnan(logits[i]) || logits[i] == -kInf) continue;
    any_infinite = any_infinite || logits[i] == kInf;
    candidates_.push_back({logits[i], id});
  }
  require(any_allowed, "the constraint allows no token of the vocabulary");
  if (candidates_.empty())
    throw Error(ErrorCode::kBadModel, "the model gave no usable logit: all are NaN or -Inf");
  if (!any_infinite) return;
  const auto is_finite = [](const Candidate& c) { return std::isfinite(c.logit); };
  candidates_.erase(std::remove_if(candidates_.begin(), candidates_.end(), is_finite), candidates_.end());
  for (Candidate& c : candidates_) c.logit = 0;
}

void Sampler::penalize_recent() {
  if (options_.repetition_penalty == 1.0) return;
  std::vector<TokenId> ids = recent_;
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  auto candidate = candidates_.begin();
  for (const TokenId id : ids) {
    while (candidate != candidates_.end() && candidate->id < id) ++candidate;
    if (candidate == candidates_.end()) return;
    if (candidate->id != id) continue;
    double& logit = candidate->logit;
    logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
  }
}

TokenId Sampler::best() const {
  const auto worse = [](const Candidate& a, const Candidate& b) {
    return better(b.logit, b.id, a.logit, a.id);
  };
  return std::max_element(candidates_.begin(), candidates_.end(), worse)->id;
}

// Sorts the `k` best to the front. Ties are broken by id, so the result does not depend on the sorting
// algorithm.
void Sampler::sort_best(size_t k) {
  const auto first = [](const Candidate& a, const Candidate& b) {
    return better(a.logit, a.id, b.logit, b.id);
  };
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k),
                    candidates_.end(), first);
}

// Turns logits into weights relative to the best; returns their sum, added up in the order they stand.
double Sampler::weigh() {
  double highest = -std::numeric_limits<double>::infinity();
  for (const Candidate& c : candidates_) highest = std::max(highest, c.logit);
  double sum = 0;
  for (Candidate& c : candidates_) {
    c.logit = portable_exp((c.logit - highest) / options_.temperature);
    sum += c.logit;
  }
  return sum;
}

// Keeps the fewest best candidates whose weights reach `mass`; returns what they sum to.
double Sampler::keep_mass(double mass) {
  for (size_t prefix = kFirstPrefix;; prefix *= 8) {
    prefix = std::min(prefix, candidates_.size());
    sort_best(prefix);
    double sum = 0;
    for (size_t kept = 0; kept < prefix; ++kept) {
      sum += candidates_[kept].logit;
      if (sum < mass && kept + 1 < candidates_.size()) continue;
      candidates_.resize(kept + 1);
      return sum;
    }
  }
}

TokenId Sampler::draw() {
  const auto k = static_cast<size_t>(options_.top_k);
  if (k > 0 && k < candidates_.size()) {
    sort_best(k);
    candidates_.resize(k);
  }
  double sum = weigh();
  if (options_.top_p < 1) sum = keep_mass(options_.top_p * sum);
  const uint64_t high = next_random() >> 5;
  const uint64_t low = next_random() >> 6;
  double rest = static_cast<double>(high << 26 | low) * 0x1p-53 * sum;
  for (const Candidate& c : candidates_) {
    rest -= c.logit;
    if (rest < 0) return c.id;
  }
  return candidates_.back().id;
}

}  // namespace ev::decoder
