#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "decoder/sampler.h"

namespace ev::decoder {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

SamplerOptions random_options(uint64_t seed) {
  SamplerOptions o;
  o.temperature = 1;
  o.repetition_window = 0;
  o.seed = seed;
  return o;
}

std::vector<int> counts(Sampler& sampler, const std::vector<float>& logits, int draws,
                        const TokenMask* mask = nullptr) {
  std::vector<int> n(logits.size(), 0);
  for (int i = 0; i < draws; ++i)
    ++n[static_cast<size_t>(sampler.sample(logits.data(), logits.size(), mask))];
  return n;
}

TokenId greedy(const std::vector<float>& logits, const TokenMask* mask = nullptr) {
  return Sampler(SamplerOptions()).sample(logits.data(), logits.size(), mask);
}

TEST(Sampler, GreedyTakesTheBestAndTheLowerIdOfEquals) {
  EXPECT_EQ(greedy({0, 3, 1, 3}), 1);
  EXPECT_EQ(greedy({-5}), 0);
}

TEST(Sampler, NanAndInfinity) {
  EXPECT_EQ(greedy({kNan, 1, kNan}), 1);
  EXPECT_EQ(greedy({1, kInf, 5, kInf}), 1);
  EXPECT_EQ(greedy({-kInf, -7, -kInf}), 1);
  Sampler sampler(random_options(1));
  const auto n = counts(sampler, {kNan, kInf, 100, kInf, -kInf}, 1000);
  EXPECT_EQ(n[0] + n[2] + n[4], 0);
  EXPECT_NEAR(n[1], 500, 60);
  for (const auto& hopeless : {std::vector<float>{kNan, kNan}, std::vector<float>{-kInf}}) {
    try {
      greedy(hopeless);
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadModel);
    }
  }
}

TEST(Sampler, FollowsTheMask) {
  TokenMask mask(4);
  mask.set(2);
  mask.set(3);
  EXPECT_EQ(greedy({9, 8, 1, 2}, &mask), 3);
  mask.clear();
  EXPECT_THROW(greedy({9, 8, 1, 2}, &mask), Error);
  TokenMask wrong_size(5);
  EXPECT_THROW(greedy({9, 8, 1, 2}, &wrong_size), Error);
}

TEST(Sampler, DrawsInProportion) {
  Sampler sampler(random_options(3));
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  const auto n = counts(sampler, logits, 20000);
  EXPECT_NEAR(n[0], 10000, 300);  // 4 standard deviations
  EXPECT_NEAR(n[1], 6000, 270);
  EXPECT_NEAR(n[2], 4000, 240);
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  SamplerOptions o = random_options(4);
  o.temperature = 0.5;  // squares the odds: 4:1 becomes 16:1
  Sampler cold(o);
  EXPECT_NEAR(counts(cold, {std::log(4.0f), 0}, 17000)[1], 1000, 130);
  o.temperature = 1e-9;
  Sampler coldest(o);
  EXPECT_EQ(counts(coldest, {1.0f, 1.001f}, 100)[0], 0);
}

TEST(Sampler, TopK) {
  SamplerOptions o = random_options(5);
  o.top_k = 2;
  Sampler sampler(o);
  const auto n =
      counts(sampler, {1, 5, 4, 5, 0}, 2000);  // of three near the top the two best, lower ids first
  EXPECT_EQ(n[0] + n[2] + n[4], 0);
  EXPECT_NEAR(n[1], 1000, 120);
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  SamplerOptions o = random_options(6);
  o.top_p = 0.75;
  Sampler sampler(o);
  const auto n = counts(sampler, {std::log(0.2f), std::log(0.5f), std::log(0.3f)}, 8000);
  EXPECT_EQ(n[0], 0);
  EXPECT_NEAR(n[1], 5000, 190);
  o.top_p = 1e-9;
  Sampler least(o);
  EXPECT_EQ(counts(least, {0, 1, 0}, 100)[1], 100) << "at least one token is kept";
}

TEST(Sampler, TopPOverManyTokens) {
  SamplerOptions o = random_options(7);
  o.top_p = 0.5;
  Sampler sampler(o);
  const std::vector<float> flat(5000, 0.25f);  // more than one step of the search for the mass
  const auto n = counts(sampler, flat, 500);
  EXPECT_GT(std::count_if(n.begin() + 1800, n.begin() + 2500, [](int drawn) { return drawn > 0; }), 0);
  for (size_t i = 2501; i < n.size(); ++i) ASSERT_EQ(n[i], 0) << i;
}

TEST(Sampler, RepetitionPenalty) {
  SamplerOptions o;
  o.repetition_penalty = 2;
  o.repetition_window = 2;
  Sampler sampler(o);
  const std::vector<float> logits = {4, 3, -1, 2.5};
  std::vector<TokenId> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(sampler.sample(logits.data(), logits.size()));
  // 4, then 3 beats 4/2, then 2.5 beats 4/2 and 3/2, then 4 again: 0 has left the window of two.
  EXPECT_EQ(ids, (std::vector<TokenId>{0, 1, 3, 0, 1}));
}

// These ids are part of the promise that a seed gives the same tokens everywhere, from release to release.
TEST(Sampler, SeedsAreForEver) {
  std::vector<float> logits(1000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>((i * 7919) % 1000) * 0.01f;
  SamplerOptions o = random_options(42);
  o.temperature = 0.8;
  o.top_k = 200;
  o.top_p = 0.9;
  Sampler sampler(o);
  std::vector<TokenId> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(sampler.sample(logits.data(), logits.size()));
  EXPECT_EQ(ids, (std::vector<TokenId>{680, 877, 446, 606, 161, 791, 642, 668}));
  Sampler again(o);
  EXPECT_EQ(again.sample(logits.data(), logits.size()), ids[0]);
  o.seed = 43;
  Sampler other(o);
  EXPECT_NE(other.sample(logits.data(), logits.size()), ids[0]);
}

TEST(Sampler, RefusesBadOptions) {
  const auto bad = [](auto change) {
    SamplerOptions o;
    change(o);
    EXPECT_THROW(Sampler{o}, Error);
  };
  bad([](SamplerOptions& o) { o.temperature = -1; });
  bad([](SamplerOptions& o) { o.temperature = std::numeric_limits<double>::quiet_NaN(); });
  bad([](SamplerOptions& o) { o.top_k = -1; });
  bad([](SamplerOptions& o) { o.top_p = 0; });
  bad([](SamplerOptions& o) { o.top_p = 1.5; });
  bad([](SamplerOptions& o) { o.repetition_penalty = 0; });
  bad([](SamplerOptions& o) { o.repetition_window = -1; });
}

}  // namespace
}  // namespace ev::decoder
