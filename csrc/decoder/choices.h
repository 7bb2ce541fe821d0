// A constraint to exactly one of given strings.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "decoder/constraint.h"
#include "decoder/tokenizer.h"

namespace ev::decoder {

// Throws Error(kInvalidArgument) for no choices, an empty one, more than 1 MiB of them, or one that the
// vocabulary cannot spell.
std::unique_ptr<Constraint> make_choices(std::shared_ptr<const Tokenizer> tokenizer,
                                         const std::vector<std::string>& choices);

}  // namespace ev::decoder
