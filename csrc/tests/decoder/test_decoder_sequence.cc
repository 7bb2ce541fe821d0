// Sequences of one decoder: cut differently, forked, cancelled, on several threads at once.
#include <gtest/gtest.h>

#include <numeric>
#include <thread>
#include <vector>

#include "decoder/sequence.h"
#include "kv/invariants.h"
#include "kv/resv_selection.h"
#include "tests/decoder/small_model.h"

namespace ev::decoder {
namespace {

using ev::testing::SmallModel;
using Logits = std::vector<float>;

class SequenceTest : public ::testing::Test {
 protected:
  static DecoderOptions options() {
    DecoderOptions o;
    o.threads = 2;
    o.page_size = 16;
    o.sinks = 16;
    o.chunk = 8;
    return o;
  }

  static std::vector<TokenId> text(int n, int first = 0) {
    std::vector<TokenId> ids(static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) ids[static_cast<size_t>(i)] = (first + i) * 37 % 251;
    return ids;
  }

  Logits append(Sequence& s, const std::vector<TokenId>& ids, const RunLimits& limits = {}) const {
    const int64_t vocab = model_->config().vocab;
    Logits out(ids.size() * static_cast<size_t>(vocab));
    s.append_tokens(ids, LogitRows::kAll, {out.data(), static_cast<int64_t>(ids.size()), vocab}, limits);
    return out;
  }

  Logits fresh(const std::vector<TokenId>& ids) const {
    Sequence s(model_);
    return append(s, ids);
  }

  const std::string bytes_ = ev::testing::SmallModel::bytes();
  std::shared_ptr<const Decoder> model_ = ev::testing::SmallModel::load(bytes_, options());
};

TEST_F(SequenceTest, CutsOfTheTextChangeNoBit) {
  const Logits whole = fresh(text(40));
  ASSERT_TRUE(std::isfinite(std::accumulate(whole.begin(), whole.end(), 0.0)));
  ASSERT_NE(whole.front(), whole.back());
  Sequence s(model_);
  Logits parts;
  for (int at = 0, n = 1; at < 40; at += n, n = std::min(n + 2, 40 - at)) {
    const Logits part = append(s, text(n, at));
    parts.insert(parts.end(), part.begin(), part.end());
  }
  EXPECT_EQ(parts, whole);
}

TEST_F(SequenceTest, CancellingInTheMiddleOfAStepUndoesTheStep) {
  Sequence s(model_);
  append(s, text(20));
  CancelToken cancel;
  RunLimits limits;
  limits.cancel = &cancel;
  int polls = 0;
  limits.poll = [&] {
    if (++polls == 5)
      cancel.cancel();  // a check before each chunk and each layer: the second chunk's second layer
  };
  try {
    append(s, text(16, 20), limits);
    FAIL() << "the token was cancelled";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kCancelled);
  }
  EXPECT_EQ(s.length(), 28u);  // the first chunk of eight stays
  EXPECT_EQ(kv::find_violation(*model_->pages(), {&s.cache()}), "");
  const Logits rest = append(s, text(8, 28));
  const Logits whole = fresh(text(36));
  EXPECT_TRUE(std::equal(rest.begin(), rest.end(), whole.end() - static_cast<std::ptrdiff_t>(rest.size())));
}

TEST_F(SequenceTest, ADeadlineThatHasPassedRunsNothing) {
  Sequence s(model_);
  RunLimits limits;
  limits.deadline = std::chrono::steady_clock::now();
  EXPECT_THROW(append(s, text(4), limits), Error);
  EXPECT_EQ(s.length(), 0u);
  EXPECT_EQ(model_->pages()->stats().used, 0u);
}

TEST_F(SequenceTest, ForksOnOtherThreadsComputeWhatTheyWouldAlone) {
  Sequence watching(model_);
  append(watching, text(30));
  std::vector<std::unique_ptr<Sequence>> asking;
  for (int i = 0; i < 3; ++i) asking.push_back(watching.fork());
  std::vector<Logits> results(3);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] { results[i] = append(*asking[i], text(25, 100 * static_cast<int>(i))); });
  }
  const Logits watched = append(watching, text(60, 30));
  for (std::thread& t : threads) t.join();

  std::vector<const kv::KvCache*> caches{&watching.cache()};
  for (const auto& s : asking) caches.push_back(&s->cache());
  EXPECT_EQ(kv::find_violation(*model_->pages(), caches), "");
  for (size_t i = 0; i < 3; ++i) {
    std::vector<TokenId> ids = text(30);
    const std::vector<TokenId> own = text(25, 100 * static_cast<int>(i));
    ids.insert(ids.end(), own.begin(), own.end());
    const Logits alone = fresh(ids);
    EXPECT_TRUE(std::equal(results[i].begin(), results[i].end(),
                           alone.end() - static_cast<std::ptrdiff_t>(results[i].size())));
  }
  const Logits alone = fresh(text(90));
  EXPECT_TRUE(
      std::equal(watched.begin(), watched.end(), alone.end() - static_cast<std::ptrdiff_t>(watched.size())));
}

TEST_F(SequenceTest, AStreamPastTheTrainedContextSlides) {
  Sequence s(model_);
  for (int i = 0; i < 50; ++i) append(s, text(10, 10 * i));
  EXPECT_EQ(s.length(), 500u);
  EXPECT_LE(s.cache().kept(), ev::testing::SmallModel::kContext);
  EXPECT_GT(s.cache().evicted(), 0u);
  EXPECT_EQ(kv::find_violation(*model_->pages(), {&s.cache()}), "");
}

TEST_F(SequenceTest, RetrievalOfEverythingIsDenseOverTheSameSealedTokens) {
  kv::SealPolicy seal;
  seal.segment = 32;
  seal.recent = 16;
  DecoderOptions roomy = options();
  roomy.kv_tokens = 2000;
  const auto model = SmallModel::load(bytes_, roomy);
  const auto sealer = std::make_shared<kv::Sealer>(seal, model->pages()->layout(), model->key_rotation());
  kv::RetrievalPolicy everything;
  everything.everything = true;
  everything.min_sealed = 0;
  Sequence dense(model, std::make_unique<kv::WindowSelection>(), sealer);
  Sequence resv(model, std::make_unique<kv::ResvSelection>(everything, SmallModel::kLayers), sealer);
  EXPECT_EQ(append(resv, text(120)), append(dense, text(120)));
  EXPECT_EQ(resv.cache().sealed(), 64u);
  const auto fork = resv.fork();
  EXPECT_EQ(append(*fork, text(300, 120)), append(dense, text(300, 120)));  // past the trained context
  EXPECT_GT(fork->cache().evicted(), 0u);
  EXPECT_EQ(kv::find_violation(*model->pages(), {&dense.cache(), &resv.cache(), &fork->cache()}), "");
}

TEST_F(SequenceTest, RetrievalChangesLittleWhenTheMassIsNearlyWhole) {
  kv::SealPolicy seal;
  seal.segment = 32;
  seal.recent = 16;
  kv::RetrievalPolicy most;
  most.rule.threshold = 0.995f;
  most.min_sealed = 0;
  most.dense_share = 1.0f;
  Sequence resv(model_, std::make_unique<kv::ResvSelection>(most, SmallModel::kLayers),
                std::make_shared<kv::Sealer>(seal, model_->pages()->layout(), model_->key_rotation()));
  const Logits got = append(resv, text(150)), want = fresh(text(150));
  double squares = 0, difference = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    squares += double{want[i]} * want[i];
    difference += (double{got[i]} - want[i]) * (double{got[i]} - want[i]);
  }
  EXPECT_LT(difference, 0.01 * squares);
  EXPECT_GT(difference, 0.0);
}

TEST_F(SequenceTest, WrongShapesAreRefused) {
  Sequence s(model_);
  std::vector<float> rows(64), logits(16);
  const RunLimits none;
  EXPECT_THROW(s.append_rows({rows.data(), 2, 31}, LogitRows::kNone, {}, none), Error);
  EXPECT_THROW(s.append_rows({rows.data(), 2, 32}, LogitRows::kLast, {logits.data(), 1, 16}, none), Error);
  EXPECT_THROW(s.append_rows({rows.data(), 2, 32}, LogitRows::kAll, {}, none), Error);
  EXPECT_THROW(s.append_tokens({-1}, LogitRows::kNone, {}, none), Error);
  EXPECT_EQ(s.length(), 0u);
}

}  // namespace
}  // namespace ev::decoder
