// Input: a grammar, a zero byte, then bytes that choose which of the allowed tokens comes next. Whatever the
// mask allows must be accepted and nothing else; a text that is over must be over.
#include <string>
#include <vector>

#include "decoder/choices.h"
#include "decoder/grammar.h"
#include "fuzz/fuzz.h"
#include "tests/decoder/small_vocabulary.h"

namespace {

using namespace ev;
using decoder::Constraint;
using decoder::TokenId;

bool accepts(const Constraint& constraint, TokenId id) {
  const auto fork = constraint.clone();
  try {
    fork->accept(id);
    return true;
  } catch (const Error&) {
    return false;
  }
}

void follow(Constraint& constraint, int32_t vocabulary, std::string_view path) {
  decoder::TokenMask mask(vocabulary);
  for (size_t i = 0; i < path.size() && i < 64 && !constraint.done(); ++i) {
    constraint.mask(mask);
    std::vector<TokenId> allowed;
    for (TokenId id = 0; id < vocabulary; ++id)
      if (mask.test(id)) allowed.push_back(id);
    const auto choice = static_cast<uint8_t>(path[i]);
    const TokenId probe = choice % vocabulary;
    EV_CLAIM(accepts(constraint, probe) == mask.test(probe));
    if (allowed.empty()) return;  // a grammar that demands what no token spells
    constraint.accept(allowed[choice % allowed.size()]);
  }
}

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    out.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto tokenizer = ev::testing::SmallVocabulary().tokenizer();
  const std::string_view input = fuzz::view(data, size);
  const size_t cut = std::min(input.find('\0'), input.size());
  const std::string_view text = input.substr(0, cut);
  const std::string_view path = input.substr(std::min(cut + 1, input.size()));
  fuzz::allow_refusal([&] {
    const auto constraint = decoder::make_grammar(tokenizer, text);
    follow(*constraint, tokenizer->size(), path);
  });
  fuzz::allow_refusal([&] {
    const auto constraint = decoder::make_choices(tokenizer, lines(text));
    follow(*constraint, tokenizer->size(), path);
  });
  return 0;
}
