// Grammar text -> tree. The notation is in grammar.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ev::decoder {

// Code points first..last.
struct CodePointRange {
  uint32_t first;
  uint32_t last;
};

struct GrammarExpr {
  enum class Kind { kLiteral, kClass, kRule, kSequence, kAlternatives, kRepeat };
  static constexpr uint32_t kUnbounded = 0xFFFFFFFF;

  Kind kind = Kind::kSequence;
  std::string literal;                 // kLiteral: UTF-8
  std::vector<CodePointRange> ranges;  // kClass: ascending, disjoint, without surrogates
  uint32_t rule = 0;                   // kRule: index into Grammar::rules
  uint32_t min = 1, max = 1;           // kRepeat
  std::vector<GrammarExpr> children;   // kSequence, kAlternatives: any number; kRepeat: one
};

struct Grammar {
  struct Rule {
    std::string name;
    GrammarExpr body;
  };
  std::vector<Rule> rules;
  uint32_t root = 0;  // index of the rule called "root"
};

// Throws Error(kInvalidArgument) as make_grammar does, but for left recursion and the limit on compiled
// steps.
Grammar parse_grammar(std::string_view text);

}  // namespace ev::decoder
