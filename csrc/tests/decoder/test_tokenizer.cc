#include <gtest/gtest.h>

#include <random>

#include "decoder/token_trie.h"
#include "decoder/tokenizer_split.h"
#include "decoder/unicode.h"
#include "decoder/utf8.h"
#include "tests/decoder/small_vocabulary.h"
#include "tests/io/messages.h"

namespace ev::decoder {
namespace {

using ev::testing::bad_model;
using ev::testing::GgufBuilder;
using ev::testing::says;
using ev::testing::SmallVocabulary;

constexpr TokenId kHello = 256 + 3, kEnd = 256 + 10, kStart = 256 + 11;
constexpr EncodeOptions kPlain = {true, false};

std::vector<std::string> pieces(SplitRule rule, const std::string& text) {
  const std::vector<uint32_t> characters = decode_utf8_leniently(text);
  std::vector<std::string> out;
  size_t begin = 0;
  for (const uint32_t end : split_text(rule, characters)) {
    std::string piece;
    for (; begin < end; ++begin) append_utf8(piece, characters[begin]);
    out.push_back(piece);
  }
  return out;
}

using Pieces = std::vector<std::string>;

TEST(Split, Gpt2) {
  EXPECT_EQ(pieces(SplitRule::kGpt2, "I've 123 dogs!!  No\n"),
            (Pieces{"I", "'ve", " 123", " dogs", "!!", " ", " No", "\n"}));
  EXPECT_EQ(pieces(SplitRule::kGpt2, "a  "), (Pieces{"a", "  "}));
  EXPECT_EQ(pieces(SplitRule::kGpt2, "'S'"), (Pieces{"'", "S", "'"}));
  EXPECT_EQ(pieces(SplitRule::kGpt2, "\t\tx"), (Pieces{"\t", "\t", "x"}));
  EXPECT_EQ(pieces(SplitRule::kGpt2, ""), Pieces{});
}

TEST(Split, SmolLmTakesDigitsOneByOne) {
  EXPECT_EQ(pieces(SplitRule::kSmolLm, "x 42  7y"), (Pieces{"x", " ", "4", "2", "  ", "7", "y"}));
}

TEST(Split, Llama3AndQwen2) {
  EXPECT_EQ(pieces(SplitRule::kLlama3, "I'LL (pay) 12345!\n\n  ok \n x"),
            (Pieces{"I", "'LL", " (", "pay", ")", " ", "123", "45", "!\n\n", " ", " ok", " \n", " x"}));
  EXPECT_EQ(pieces(SplitRule::kQwen2, "n 123"), (Pieces{"n", " ", "1", "2", "3"}));
  EXPECT_EQ(pieces(SplitRule::kLlama3, "\"quoted"), (Pieces{"\"quoted"}));
}

TEST(Split, Default) {
  EXPECT_EQ(pieces(SplitRule::kDefault, "a+b, 12345 `c`"),
            (Pieces{"a", "+", "b", ",", " ", "123", "45", " `", "c", "`"}));
}

TEST(Split, CutsEverythingOnce) {
  std::mt19937 rng(7);
  const uint32_t interesting[] = {' ', ' ', '\n', '\r',  'a',   'Z',     '1',  '\'',
                                  's', '!', 0xA0, 0x3B1, 0x661, 0x1F600, 0x301};
  for (int round = 0; round < 2000; ++round) {
    std::vector<uint32_t> text(rng() % 20);
    for (uint32_t& c : text) c = interesting[rng() % std::size(interesting)];
    for (const auto rule :
         {SplitRule::kGpt2, SplitRule::kSmolLm, SplitRule::kLlama3, SplitRule::kQwen2, SplitRule::kDefault}) {
      uint32_t last = 0;
      for (const uint32_t end : split_text(rule, text)) {
        ASSERT_GT(end, last);
        last = end;
      }
      ASSERT_EQ(last, text.size());
    }
  }
}

TEST(Unicode, Classes) {
  EXPECT_EQ(char_class('a'), CharClass::kLetter);
  EXPECT_EQ(char_class(0x4E2D), CharClass::kLetter);
  EXPECT_EQ(char_class(0xBD), CharClass::kNumber);
  EXPECT_EQ(char_class(0x3000), CharClass::kSpace);
  EXPECT_EQ(char_class(0x1C), CharClass::kOther) << "a control character, though Python calls it a space";
  EXPECT_EQ(char_class('!'), CharClass::kPunctuation);
  EXPECT_EQ(char_class('$'), CharClass::kOther);
  EXPECT_EQ(char_class(0x2EBF0), CharClass::kLetter) << "new in Unicode 15.1";
  EXPECT_EQ(char_class(0x10FFFF), CharClass::kOther);
  EXPECT_EQ(char_class(0xFFFFFFFF), CharClass::kOther);
}

TEST(Tokenizer, MergesByRank) {
  const auto t = SmallVocabulary().tokenizer();
  EXPECT_EQ(t->encode("hello w"), (std::vector<TokenId>{kHello, 256 + 4}));
  EXPECT_EQ(t->encode("abc"), (std::vector<TokenId>{256 + 7}));
  EXPECT_EQ(t->encode("aabcc"), (std::vector<TokenId>{'a', 256 + 7, 'c'}));
  EXPECT_EQ(t->encode(""), std::vector<TokenId>{});
}

TEST(Tokenizer, LeftmostFirstAmongEquals) {
  SmallVocabulary v;
  v.merges = {"a a"};
  EXPECT_EQ(v.tokenizer()->encode("aaaaa"), (std::vector<TokenId>{256, 256, 'a'}));
}

TEST(Tokenizer, WholeWordsNeedNoMerges) {
  SmallVocabulary v;
  v.merges = {"x y", "z xy"};  // "zxy" is a token; zx, not in the list, is not merged first
  v.pre = "llama-bpe";
  GgufBuilder file = v.file();
  file.add("tokenizer.ggml.add_bos_token", false);
  EXPECT_EQ(SmallVocabulary::load(file)->encode("zxy"), (std::vector<TokenId>{257}));
}

TEST(Tokenizer, SpecialTokensOnAndOff) {
  const auto t = SmallVocabulary().tokenizer();
  EXPECT_EQ(t->encode("<|start|>hello<|end|>"), (std::vector<TokenId>{kStart, kHello, kEnd}));
  const std::vector<TokenId> plain = t->encode("<|end|>", kPlain);
  EXPECT_EQ(plain.size(), 7u);
  EXPECT_EQ(t->decode(plain), "<|end|>");
  EXPECT_EQ(t->decode({kStart, kHello, kEnd}), "hello");
  EXPECT_EQ(t->decode({kStart, kHello, kEnd}, true), "<|start|>hello<|end|>");
  EXPECT_TRUE(t->is_end(kEnd));
  EXPECT_FALSE(t->is_end(kStart));
}

TEST(Tokenizer, LongerSpecialTokensGoFirst) {
  SmallVocabulary v;
  v.special = {"<b>", "<a><b>"};
  EXPECT_EQ(v.tokenizer()->encode("<a><b><b>"), (std::vector<TokenId>{kEnd + 1, kEnd}));
}

TEST(Tokenizer, AddsBeginAndEnd) {
  GgufBuilder file = SmallVocabulary().file();
  file.add("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(kStart))
      .add("tokenizer.ggml.add_bos_token", true);
  file.add("tokenizer.ggml.add_eos_token", true);
  const auto t = SmallVocabulary::load(file);
  EXPECT_EQ(t->encode("hello"), (std::vector<TokenId>{kStart, kHello, kEnd}));
  EXPECT_EQ(t->encode("hello", {false, true}), (std::vector<TokenId>{kHello}));
}

TEST(Tokenizer, EveryByteComesBack) {
  const auto t = SmallVocabulary().tokenizer();
  std::string valid;
  for (uint32_t c = 0; c < 0x3000; c += 7) append_utf8(valid, c);
  EXPECT_EQ(t->decode(t->encode(valid, kPlain)), valid);
  EXPECT_EQ(t->decode(t->encode("a\xFF\x80z", kPlain)), "a\xEF\xBF\xBD\xEF\xBF\xBDz")
      << "what is not UTF-8 is U+FFFD";
}

TEST(Tokenizer, OneMegabyteWithoutASpace) {
  const auto t = SmallVocabulary().tokenizer();
  std::string word;
  std::mt19937 rng(1);
  while (word.size() < 1u << 20) word += "hello"[rng() % 5];
  EXPECT_EQ(t->decode(t->encode(word)), word);
}

TEST(Tokenizer, RefusesIdsOutOfRange) {
  const auto t = SmallVocabulary().tokenizer();
  EXPECT_THROW(t->decode({t->size()}), Error);
  EXPECT_THROW(t->decode({-1}), Error);
}

TEST(Tokenizer, RefusesBadVocabularies) {
  const auto message = [](const GgufBuilder& file) {
    return bad_model([&] { SmallVocabulary::load(file); });
  };
  SmallVocabulary v;
  v.pre = "tekken";
  EXPECT_TRUE(says(message(v.file()), "the pre-tokenizer 'tekken' is not supported"));
  v = SmallVocabulary();
  v.merges = {"ab"};
  EXPECT_TRUE(says(bad_model([&] {
                     GgufBuilder b;
                     b.add("tokenizer.ggml.model", std::string("gpt2"));
                     b.add("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
                     b.add("tokenizer.ggml.merges", std::vector<std::string>{"ab"});
                     SmallVocabulary::load(b);
                   }),
                   "merge 0, 'ab', is not two names"));
  GgufBuilder other;
  EXPECT_TRUE(
      says(message(other.add("tokenizer.ggml.model", std::string("bert"))), "'bert' is not supported"));
  EXPECT_TRUE(says(message(GgufBuilder()), "'tokenizer.ggml.model' is missing"));
  EXPECT_TRUE(says(message(SmallVocabulary().file().add("tokenizer.ggml.add_bos_token", true)),
                   "does not name them"));

  const auto with = [&](const std::vector<std::string>& tokens, const std::vector<int32_t>& kinds) {
    GgufBuilder b;
    b.add("tokenizer.ggml.model", std::string("gpt2"))
        .add("tokenizer.ggml.merges", std::vector<std::string>{});
    return message(b.add("tokenizer.ggml.tokens", tokens).add("tokenizer.ggml.token_type", kinds));
  };
  EXPECT_EQ(with({"a", "b"}, {1, 1}), "no error");
  EXPECT_TRUE(says(with({"a", "a"}, {1, 1}), "'a' appears twice"));
  EXPECT_TRUE(says(with({"a", "b"}, {1}), "has 1 entries for 2 tokens"));
  EXPECT_TRUE(says(with({"a"}, {7}), "token type 7 is unknown"));
  for (const char* name : {"zz", "<0x-1>", "<0xG0>", "<0xAA]"})
    EXPECT_TRUE(says(with({name}, {6}), "not of the form"));
  EXPECT_TRUE(says(with({std::string(4097, 'x')}, {1}), "too long"));
  EXPECT_TRUE(says(with({}, {}), "is empty"));
}

GgufBuilder sentence_piece_file() {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", "<0xE2>", "<0x82>", "<0xAC>"};
  std::vector<int32_t> kinds = {2, 3, 3, 6, 6, 6};
  std::vector<float> scores(6, 0);
  float score = -1;
  for (const char* piece : {"\xE2\x96\x81h", "he", "\xE2\x96\x81he", "\xE2\x96\x81", "h", "e", "y"}) {
    tokens.emplace_back(piece);
    kinds.push_back(1);
    scores.push_back(score--);
  }
  GgufBuilder b;
  b.add("tokenizer.ggml.model", std::string("llama")).add("tokenizer.ggml.tokens", tokens);
  return b.add("tokenizer.ggml.token_type", kinds).add("tokenizer.ggml.scores", scores);
}

TEST(SentencePiece, JoinsByScoreWithByteFallback) {
  const auto t = SmallVocabulary::load(sentence_piece_file());
  EXPECT_EQ(t->encode("hey"), (std::vector<TokenId>{1, 8, 12})) << "begin, _he, y";
  EXPECT_EQ(t->encode("\xE2\x82\xAC", {false, true}), (std::vector<TokenId>{9, 3, 4, 5}));
  EXPECT_EQ(t->encode("z", {false, true}), (std::vector<TokenId>{9, 0})) << "no byte token: unknown";
  EXPECT_EQ(t->decode(t->encode("hey \xE2\x82\xAC")), " hey \xE2\x82\xAC");
  EXPECT_EQ(t->encode("</s>y"), (std::vector<TokenId>{1, 2, 9, 12})) << "a prefix after each special token";
}

TEST(TokenTrie, IsDepthFirstWithSkips) {
  const TokenTrie trie({{"b", 5}, {"ab", 1}, {"a", 0}, {"ab", 9}, {"", 7}});
  const auto& n = trie.nodes();
  ASSERT_EQ(n.size(), 4u);
  EXPECT_EQ(n[0].next, 4u);
  EXPECT_EQ(n[1].next, 3u);
  EXPECT_EQ(n[2].next, 3u);
  EXPECT_EQ(n[3].next, 4u);
  EXPECT_EQ(n[2].byte, 'b');
  EXPECT_EQ(n[2].depth, 2);
  EXPECT_EQ(trie.ids(), (std::vector<int32_t>{7, 0, 1, 9, 5}));
  EXPECT_EQ(n[2].ids_end - n[2].ids_begin, 2u);
}

TEST(Utf8Stream, PutsCharactersTogether) {
  Utf8Stream s;
  EXPECT_EQ(s.push("a\xE2"), "a");
  EXPECT_EQ(s.push("\x82"), "");
  EXPECT_EQ(s.push("\xAC!"), "\xE2\x82\xAC!");
  EXPECT_EQ(s.push("\xF0\x9F\x98"), "");
  EXPECT_EQ(s.finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(s.finish(), "");
}

TEST(Utf8Stream, GivesValidUtf8ForAnyBytesHoweverCut) {
  std::mt19937 rng(3);
  const std::string alphabet = "a\x80\xBF\xC0\xC3\xE0\xE2\xED\xA0\xF0\x90\xF4\x8F\xF8\xFF";
  for (int round = 0; round < 3000; ++round) {
    std::string bytes;
    for (size_t n = rng() % 12; n > 0; --n) bytes += alphabet[rng() % alphabet.size()];
    Utf8Stream whole;
    std::string expected = whole.push(bytes);
    expected += whole.finish();
    Utf8Stream cut;
    std::string out;
    for (const char c : bytes) out += cut.push(std::string_view(&c, 1));
    out += cut.finish();
    ASSERT_EQ(out, expected);
    Utf8Stream again;  // valid output goes through unchanged
    ASSERT_EQ(again.push(expected), expected);
    ASSERT_EQ(again.finish(), "");
  }
}

}  // namespace
}  // namespace ev::decoder
