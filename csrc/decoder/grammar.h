// A constraint to the language of a grammar, written in the usual GBNF notation:
//
//   root   ::= item ("," ws item)*          a rule; generation begins with the rule `root`
//   item   ::= "yes" | [0-9a-fé]{1,4} | .   literal, class of characters, any character
//   ws     ::= [^"\\\n]*  # comment         ? * + {n} {n,} {,m} {n,m} apply to the item before them
//
// Escapes in literals and classes: \n \r \t \\ \" \] \[ \- \^ \xHH \uHHHH \UHHHHHHHH. White space, line ends
// included, only separates; a rule goes on until the next `name ::=`.
#pragma once

#include <memory>
#include <string_view>

#include "decoder/constraint.h"
#include "decoder/tokenizer.h"

namespace ev::decoder {

// Throws Error(kInvalidArgument) with line and column for a malformed grammar: syntax, an undefined or
// repeated rule, no `root`, left recursion, a grammar over the limits (1 MiB of text, 256 nested groups,
// 200,000 compiled steps).
std::unique_ptr<Constraint> make_grammar(std::shared_ptr<const Tokenizer> tokenizer, std::string_view gbnf);

}  // namespace ev::decoder
