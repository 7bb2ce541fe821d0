// Chooses the next token from logits. The same logits, options and seed give the same tokens on every
// platform: the arithmetic is plain IEEE double with its own exp, the random numbers come from PCG32, ties go
// to the lower id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "decoder/constraint.h"

namespace ev::decoder {

// Applied in this order: repetition penalty, mask, top_k, temperature, top_p.
struct SamplerOptions {
  double temperature = 0.0;  // 0: greedy, the rest but the penalty is ignored
  int32_t top_k = 0;         // keep the k best; 0: all
  double top_p = 1.0;        // keep the fewest best whose probabilities sum to at least p; in (0, 1]
  double repetition_penalty =
      1.0;  // > 1 makes the tokens of the last `repetition_window` less likely (CTRL, 2019)
  int32_t repetition_window = 64;
  uint64_t seed = 0;
};

// Not thread-safe. Copying copies the state of the random numbers too.
class Sampler {
 public:
  // Throws Error(kInvalidArgument) for options out of range.
  explicit Sampler(const SamplerOptions& options);

  // One of the tokens [0, n), of the `allowed` ones when given; remembers it for the repetition penalty. NaN
  // is never chosen; +Inf beats every number. Throws Error(kBadModel) when no logit is above -Inf,
  // Error(kInvalidArgument) when the mask allows nothing.
  TokenId sample(const float* logits, size_t n, const TokenMask* allowed = nullptr);

 private:
  struct Candidate {
    double logit;  // once weighed: the probability, but for a factor
    TokenId id;
  };
  void collect(const float* logits, size_t n, const TokenMask* allowed);
  void remember(TokenId token);
  void penalize_recent();
  TokenId best() const;
  TokenId draw();
  void sort_best(size_t k);
  double weigh();
  double keep_mass(double mass);
  uint32_t next_random();

  SamplerOptions options_;
  uint64_t random_state_;
  std::vector<TokenId> recent_;  // a ring of the last repetition_window tokens
  size_t recent_next_ = 0;
  std::vector<Candidate> candidates_;  // scratch
};

}  // namespace ev::decoder
