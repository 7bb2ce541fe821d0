// The ops of retrieval: every ISA gives scalar's integers exactly and its floats within rounding.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/error.h"
#include "ops/cluster_assign.h"
#include "ops/cluster_scores.h"
#include "ops/hash_codes.h"
#include "ops/kv_seal.h"
#include "ops/registry.h"
#include "ops/select_mass.h"

namespace ev::ops {
namespace {

std::vector<float> normal(size_t n, unsigned seed, float size = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> gauss(0.0f, size);
  std::vector<float> v(n);
  for (float& x : v) x = gauss(random);
  return v;
}

// op() on scalar, then on every ISA.
template <class Op, class Compare>
void on_every_isa(const Op& op, const Compare& compare) {
  use_isa(Isa::kScalar);
  const auto want = op();
  for (const Isa isa : available_isas()) {
    SCOPED_TRACE(isa_name(isa));
    use_isa(isa);
    compare(op(), want);
  }
  use_isa(available_isas().back());
}

constexpr auto kEqual = [](const auto& got, const auto& want) { EXPECT_EQ(got, want); };

TEST(ClusterOps, CodesAreTheSameIntegers) {
  for (const int64_t dims : {1, 15, 16, 17, 192, 333}) {
    std::vector<float> keys = normal(static_cast<size_t>(70 * dims), 1, 20.0f);
    keys[0] = NAN;
    keys[keys.size() - 1] = INFINITY;
    const std::vector<float> centre = normal(static_cast<size_t>(dims), 2);
    const Hyperplanes planes(3, 4, dims);
    for (const int threads : {1, 3}) {
      ThreadPool pool(threads);
      on_every_isa(
          [&] {
            std::vector<uint32_t> codes(70);
            hash_codes({keys.data(), 70, dims}, centre.data(), planes, codes.data(), pool);
            return codes;
          },
          kEqual);
    }
  }
}

TEST(ClusterOps, ClustersAreTheSame) {
  std::mt19937 random(5);
  std::vector<uint32_t> codes(400);
  for (uint32_t& c : codes) c = 0x12345678u * (random() % 9) ^ (random() & random() & random());
  for (const int64_t capacity : {1, 20, 400})
    on_every_isa(
        [&] {
          std::vector<int32_t> ids(codes.size());
          std::vector<uint32_t> leaders;
          cluster_assign(codes.data(), 400, {7, capacity}, leaders, ids.data());
          ids.push_back(static_cast<int32_t>(leaders.size()));
          return ids;
        },
        kEqual);
}

TEST(ClusterOps, ScoresAndSelectionsAgree) {
  constexpr int64_t kTokens = 90, kPositions = 5;
  constexpr int kHeads = 2, kGroup = 3, kDim = 21;
  std::vector<int32_t> begin{0};
  for (int32_t c = 1; c <= 19; ++c) begin.push_back(c == 19 ? kTokens : c * 4);
  const std::vector<float> keys = normal(kTokens * kHeads * kDim, 6);
  const ClusterSummaries s = cluster_summaries({keys.data(), kTokens, kHeads * kDim}, begin, kHeads);
  const std::vector<float> q = normal(kPositions * kHeads * kGroup * kDim, 7);
  const auto score = [&] {
    std::vector<float> out(static_cast<size_t>(kPositions * kGroup * s.stride));
    const ClusterTable second{s.means.data() + kDim * s.stride, s.scales.data() + s.stride, s.clusters,
                              s.stride};
    ScoreQueries queries;
    queries.set({q.data(), kPositions, kHeads * kGroup * kDim}, kGroup * kDim, kGroup, kDim, 0.3f);
    cluster_scores(queries, second, {out.data(), kPositions * kGroup, s.stride});
    return out;
  };
  on_every_isa(score, [&](const std::vector<float>& got, const std::vector<float>& want) {
    for (size_t i = 0; i < want.size(); ++i) {
      if (static_cast<int32_t>(i % static_cast<size_t>(s.stride)) < s.clusters)
        ASSERT_NEAR(got[i], want[i], 1e-5f);
      else
        ASSERT_EQ(got[i], -INFINITY);
    }
  });
  std::vector<int32_t> counts(static_cast<size_t>(s.stride));
  for (int32_t c = 0; c < s.clusters; ++c)
    counts[static_cast<size_t>(c)] = begin[static_cast<size_t>(c) + 1] - begin[static_cast<size_t>(c)];
  const std::vector<float> resident_max(kPositions * kGroup, 0.5f), resident_sum(kPositions * kGroup, 3.0f);
  for (const bool pooled : {false, true})
    on_every_isa(
        [&] {
          std::vector<float> scores = score();
          std::vector<uint8_t> marks(counts.size());
          select_mass({scores.data(), kPositions * kGroup, s.stride}, counts.data(), resident_max.data(),
                      resident_sum.data(), {0.8f, pooled, true, 0}, marks.data());
          return marks;
        },
        kEqual);
}

TEST(ClusterOps, WrongShapesAreRefused) {
  ThreadPool pool(1);
  const std::vector<float> keys = normal(64, 1);
  std::vector<float> out(64);
  std::vector<uint32_t> codes(4), leaders(3);
  std::vector<int32_t> ids(4);
  EXPECT_THROW(Hyperplanes(0, 0, 0), Error);
  EXPECT_THROW(hash_codes({keys.data(), 4, 16}, keys.data(), Hyperplanes(0, 0, 15), codes.data(), pool),
               Error);
  EXPECT_THROW(cluster_assign(codes.data(), 4, {7, 2}, leaders, ids.data()), Error);
  ScoreQueries queries;
  EXPECT_THROW(queries.set({keys.data(), 4, 16}, 8, 1, 16, 1.0f), Error);
  queries.set({keys.data(), 4, 16}, 0, 1, 16, 1.0f);
  EXPECT_THROW(cluster_scores(queries, {nullptr, nullptr, 17, 16}, {out.data(), 4, 16}), Error);
  EXPECT_THROW(cluster_scores(queries, {nullptr, nullptr, 16, 16, out.data()}, {out.data(), 4, 16}), Error);
  EXPECT_THROW(cluster_summaries({keys.data(), 4, 16}, {0, 2, 2, 4}, 1), Error);
  std::vector<uint8_t> marks(16);
  EXPECT_THROW(select_mass({out.data(), 4, 16}, ids.data(), keys.data(), keys.data(), {1.5f}, marks.data()),
               Error);
}

}  // namespace
}  // namespace ev::ops
