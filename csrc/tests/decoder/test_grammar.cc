#include <gtest/gtest.h>

#include <random>

#include "decoder/choices.h"
#include "decoder/grammar.h"
#include "decoder/utf8.h"
#include "tests/decoder/small_vocabulary.h"
#include "tests/io/messages.h"

namespace ev::decoder {
namespace {

using ev::testing::says;
using ev::testing::SmallVocabulary;

std::shared_ptr<const Tokenizer> vocabulary() {
  static const auto tokenizer = SmallVocabulary().tokenizer();
  return tokenizer;
}

TokenId end_token() {
  return vocabulary()->vocabulary().eos();
}

std::unique_ptr<Constraint> grammar(const std::string& text) {
  return make_grammar(vocabulary(), text);
}

// Whether the constraint lets `text` through byte by byte, and then the end.
bool matches(Constraint& constraint, const std::string& text) {
  TokenMask mask(vocabulary()->size());
  for (const char c : text) {
    constraint.mask(mask);
    if (!mask.test(static_cast<uint8_t>(c))) return false;
    constraint.accept(static_cast<uint8_t>(c));
  }
  constraint.mask(mask);
  return mask.test(end_token());
}

bool matches(const std::string& rules, const std::string& text) {
  return matches(*grammar(rules), text);
}

std::string refusal(const std::string& rules) {
  try {
    grammar(rules);
    return "no error";
  } catch (const Error& e) {
    return e.code() == ErrorCode::kInvalidArgument ? e.what() : std::string("another error: ") + e.what();
  }
}

TEST(Grammar, LiteralsAndAlternatives) {
  const char* rules = "root ::= \"yes\" | \"no\" tail\ntail ::= \"\" | \"!\" tail";
  for (const char* text : {"yes", "no", "no!", "no!!!!"}) EXPECT_TRUE(matches(rules, text)) << text;
  for (const char* text : {"", "y", "yesno", "yes!", "n!"}) EXPECT_FALSE(matches(rules, text)) << text;
}

TEST(Grammar, Repetition) {
  EXPECT_TRUE(matches("root ::= \"a\"? \"b\"*", ""));
  EXPECT_TRUE(matches("root ::= \"a\"? \"b\"*", "abbb"));
  EXPECT_FALSE(matches("root ::= \"a\"+", ""));
  const auto count = [](const std::string& bounds, size_t n) {
    return matches("root ::= (\"x\" | \"y\")" + bounds, std::string(n, 'x'));
  };
  for (size_t n = 0; n < 7; ++n) {
    EXPECT_EQ(count("{3}", n), n == 3);
    EXPECT_EQ(count("{2,}", n), n >= 2);
    EXPECT_EQ(count("{,4}", n), n <= 4);
    EXPECT_EQ(count("{ 2 , 4 }", n), n >= 2 && n <= 4);
    EXPECT_EQ(count("{0}", n), n == 0);
  }
}

TEST(Grammar, ClassesOfCharacters) {
  EXPECT_TRUE(matches("root ::= [a-cx]+", "abcx"));
  EXPECT_FALSE(matches("root ::= [a-cx]", "d"));
  EXPECT_TRUE(matches("root ::= [^a-c]+", "d\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
  EXPECT_FALSE(matches("root ::= [^\xC3\xA9]", "\xC3\xA9"));
  EXPECT_TRUE(matches("root ::= [\xC3\xA9-\xE2\x82\xAC]+", "\xC3\xA9\xE0\xA4\x85\xE2\x82\xAC"));
  EXPECT_FALSE(matches("root ::= [\xC3\xA9-\xE2\x82\xAC]", "\xE2\x82\xAD"));
  EXPECT_TRUE(matches("root ::= [-a\\]^\\\\]+", "-]a\\^"));
  EXPECT_TRUE(matches("root ::= [\\x41\\u00e9\\U0001F600\\n]+", "A\xC3\xA9\xF0\x9F\x98\x80\n"));
  EXPECT_TRUE(matches("root ::= .", "\xF4\x8F\xBF\xBF"));
}

TEST(Grammar, NothingIsEverHalfACharacter) {
  for (const char* bytes : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80", "\xE0\x80\x80", "\xC3"})
    EXPECT_FALSE(matches("root ::= .", bytes));
}

// Every code point goes through exactly the classes that hold it.
TEST(Grammar, RangesAgreeWithCodePoints) {
  std::mt19937 rng(11);
  const uint32_t edges[] = {0,      0x7F,   0x80,    0x7FF,   0x800,   0xD7FF,
                            0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0x10FFFF};
  const auto point = [&] {
    const uint32_t p = rng() % 2 ? edges[rng() % std::size(edges)] + rng() % 3 - 1 : rng() % 0x110000;
    return p > 0x10FFFF || (p >= 0xD800 && p < 0xE000) ? 0x41 : p;
  };
  const auto escape = [](uint32_t p) {
    char text[16];
    std::snprintf(text, sizeof(text), "\\U%08X", p);
    return std::string(text);
  };
  for (int round = 0; round < 300; ++round) {
    const uint32_t a = point(), b = point(), first = std::min(a, b), last = std::max(a, b);
    const auto constraint = grammar("root ::= [" + escape(first) + "-" + escape(last) + "]");
    for (const uint32_t p : {first, last, first - 1, last + 1, point()}) {
      if (p > 0x10FFFF || (p >= 0xD800 && p < 0xE000)) continue;
      std::string text;
      append_utf8(text, p);
      EXPECT_EQ(matches(*constraint->clone(), text), first <= p && p <= last)
          << p << " in " << first << ".." << last;
    }
  }
}

TEST(Grammar, RulesSpanLinesAndComments) {
  EXPECT_TRUE(matches("# top\nroot ::= a # one\n  b |\n \"z\"\na ::= \"1\" b ::= \"2\"", "12"));
  EXPECT_TRUE(matches("root ::= (\n\"a\"\n)\n", "a"));
}

TEST(Grammar, Recursion) {
  const char* rules = "root ::= \"(\" root \")\" root | \"\"";
  EXPECT_TRUE(matches(rules, "(()())()"));
  EXPECT_FALSE(matches(rules, "(()"));
  EXPECT_FALSE(matches(rules, ")("));
  EXPECT_TRUE(matches(rules, std::string(200, '(') + std::string(200, ')')));
  EXPECT_FALSE(matches(rules, std::string(600, '('))) << "deeper than 512 rules is a dead end";
  EXPECT_TRUE(matches("root ::= \"a\" root | \"b\"", std::string(20000, 'a') + "b"))
      << "tail calls take no depth";
}

TEST(Grammar, ErrorsSayWhere) {
  EXPECT_TRUE(says(refusal("root ::= [z-a]"), "line 1, column 14: a range goes backwards"));
  EXPECT_TRUE(says(refusal("root ::= \"a\"\nx := \"b\""), "line 2, column 3: unexpected ':'"));
  EXPECT_TRUE(says(refusal("root ::= \"a"), "ends too early"));
  EXPECT_TRUE(says(refusal("root ::= \"\\q\""), "unknown escape \\'q'"));
  EXPECT_TRUE(says(refusal("root ::= \"\\ud800\""), "not a Unicode character"));
  EXPECT_TRUE(says(refusal("root ::= \"\\u12g4\""), "expected 4 hexadecimal digits"));
  EXPECT_TRUE(says(refusal("root : x"), "line 1, column 6: expected '::='"));
  EXPECT_TRUE(says(refusal("root ::= other"), "line 1, column 10: the rule 'other' is used but not defined"));
  EXPECT_TRUE(
      says(refusal("root ::= \"a\"\nroot ::= \"b\""), "line 2, column 1: the rule 'root' is defined twice"));
  EXPECT_TRUE(says(refusal("other ::= \"a\""), "no rule 'root'"));
  EXPECT_TRUE(says(refusal(""), "no rule 'root'"));
  EXPECT_TRUE(says(refusal("root ::= (\"a\""), "expected ')'"));
  EXPECT_TRUE(says(refusal("root ::= \"a\")"), "unexpected ')'"));
  EXPECT_TRUE(says(refusal("root ::= *"), "unexpected '*'"));
  EXPECT_TRUE(says(refusal("root ::= \"a\"**"), "needs parentheses"));
  EXPECT_TRUE(says(refusal("root ::= []"), "is empty"));
  EXPECT_TRUE(says(refusal("root ::= \"a\"{}"), "expected a number"));
  EXPECT_TRUE(says(refusal("root ::= \"a\"{3,2}"), "go backwards"));
  EXPECT_TRUE(says(refusal("root ::= \"a\"{1000000}"), "more than 100000 repetitions"));
  EXPECT_TRUE(says(refusal("root ::= <[1]>"), "unexpected '<'"));
}

TEST(Grammar, LeftRecursionIsRefused) {
  EXPECT_TRUE(says(refusal("root ::= root \"a\" | \"b\""), "'root' is left recursive"));
  EXPECT_TRUE(says(refusal("root ::= \"\" a\na ::= \"x\"* root \"y\""), "left recursive"));
  EXPECT_TRUE(says(refusal("root ::= \"a\"\nb ::= \"x\"? b"), "'b' is left recursive"));
  EXPECT_EQ(refusal("root ::= \"a\" root | \"b\""), "no error");
}

TEST(Grammar, LimitsOnSize) {
  EXPECT_TRUE(says(refusal("root ::= (\"a\"{1000}){1000}"), "too large"));
  EXPECT_EQ(refusal("root ::= ((\"\"{100000}){100000}){100000} \"a\""), "no error");
  EXPECT_TRUE(says(refusal("root ::= " + std::string(300, '(')), "nested too deeply"));
  std::string many = "root ::= r0\n";
  for (int i = 0; i < 600; ++i)
    many += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + " \"x\"\n";
  EXPECT_THROW(grammar(many + "r600 ::= \"y\""), Error);
}

TEST(Grammar, AmbiguityIsBounded) {
  std::string doubling = "root ::= r0\n";  // 2^30 ways to read the same text
  for (int i = 0; i < 30; ++i) {
    const std::string next = "r" + std::to_string(i + 1);
    doubling += "r" + std::to_string(i) + " ::= " + next + " \"a\" | " + next + " \"b\"\n";
  }
  EXPECT_THROW(
      {
        const auto c = grammar(doubling + "r30 ::= \"x\"");
        TokenMask mask(vocabulary()->size());
        c->mask(mask);
      },
      Error);
}

TEST(Grammar, MaskIsWhatAcceptTakes) {
  const auto constraint = grammar("root ::= \"hello\" (\" w\" | [0-9]{1,3})");
  TokenMask mask(vocabulary()->size());
  std::mt19937 rng(5);
  while (!constraint->done()) {
    constraint->mask(mask);
    std::vector<TokenId> allowed;
    for (TokenId id = 0; id < mask.size(); ++id) {
      bool taken = true;
      try {
        constraint->clone()->accept(id);
      } catch (const Error&) {
        taken = false;
      }
      ASSERT_EQ(mask.test(id), taken) << id;
      if (taken) allowed.push_back(id);
    }
    ASSERT_FALSE(allowed.empty());
    constraint->accept(allowed[rng() % allowed.size()]);
  }
  constraint->mask(mask);
  TokenMask only_end(mask.size());
  only_end.set(end_token());
  EXPECT_EQ(mask, only_end);
  constraint->accept(end_token());
  constraint->mask(mask);
  EXPECT_EQ(mask, TokenMask(mask.size()));
}

TEST(Grammar, RefusedTokensChangeNothing) {
  const auto constraint = grammar("root ::= \"hello\"");
  EXPECT_THROW(constraint->accept('x'), Error);
  EXPECT_THROW(constraint->accept(end_token()), Error);
  EXPECT_THROW(constraint->accept(-1), Error);
  EXPECT_THROW(constraint->accept(vocabulary()->size()), Error);
  EXPECT_TRUE(matches(*constraint, "hello"));
  EXPECT_TRUE(constraint->done());
}

// Each place in the text is a state of its own: far more than are kept, so most have to be forgotten on the
// way.
TEST(Grammar, LongTextsDoNotGatherStates) {
  const auto constraint =
      grammar("root ::= piece{9000} \"!\"\npiece ::= ([ab]{2} | \"(\" piece \")\") \"-\"");
  TokenMask mask(vocabulary()->size());
  const std::string piece = "((ab-)-)-";
  for (int i = 0; i < 9000; ++i) {
    for (const char c : piece) {
      constraint->mask(mask);
      ASSERT_TRUE(mask.test(static_cast<uint8_t>(c))) << i;
      ASSERT_FALSE(mask.test('!'));
      constraint->accept(static_cast<uint8_t>(c));
    }
  }
  constraint->accept('!');
  EXPECT_TRUE(constraint->done());
}

TEST(Choices, ExactlyOneOfThem) {
  const auto make = [] { return make_choices(vocabulary(), {"yes", "no", "yes please", "hello"}); };
  for (const char* text : {"yes", "no", "yes please", "hello"}) EXPECT_TRUE(matches(*make(), text)) << text;
  for (const char* text : {"", "ye", "yesno", "yes ", "hellow"}) EXPECT_FALSE(matches(*make(), text)) << text;
  const auto constraint = make();
  constraint->accept('y');
  constraint->accept('e');
  constraint->accept('s');
  EXPECT_FALSE(constraint->done()) << "it may go on with ' please'";
  const auto fork = constraint->clone();
  constraint->accept(end_token());
  EXPECT_TRUE(constraint->done());
  EXPECT_FALSE(fork->done());
  const auto whole = make();
  whole->accept(256 + 3);  // the token "hello"
  EXPECT_TRUE(whole->done());
}

TEST(Choices, DeadEndsOfTheVocabularyAreAvoided) {
  // Without a token for 'c' alone, "a" + "bc" and "ab" + ... : after "ab" nothing could follow.
  ev::testing::GgufBuilder file;
  file.add("tokenizer.ggml.model", std::string("gpt2"))
      .add("tokenizer.ggml.merges", std::vector<std::string>{});
  file.add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "ab", "bc"});
  const auto tokenizer = SmallVocabulary::load(file);
  const auto constraint = make_choices(tokenizer, {"abc"});
  TokenMask mask(3);
  constraint->mask(mask);
  EXPECT_TRUE(mask.test(0));
  EXPECT_FALSE(mask.test(1));
  EXPECT_THROW(constraint->accept(1), Error);
  constraint->accept(0);
  constraint->accept(2);
  EXPECT_TRUE(constraint->done());
  EXPECT_THROW(make_choices(tokenizer, {"abc", "abb"}), Error) << "'abb' cannot be spelled";
}

TEST(Choices, RefusesBadOnes) {
  EXPECT_THROW(make_choices(vocabulary(), {}), Error);
  EXPECT_THROW(make_choices(vocabulary(), {"a", ""}), Error);
  EXPECT_THROW(make_choices(vocabulary(), {std::string(70000, 'a')}), Error);
  EXPECT_NO_THROW(make_choices(vocabulary(), {"a", "a"}));
}

}  // namespace
}  // namespace ev::decoder
