// A grammar compiled to steps over bytes: characters have become the ranges of their UTF-8 bytes, so matching
// never sees half a character. Rules call one another; a call may recur, but never before a byte is consumed.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "decoder/grammar_parse.h"

namespace ev::decoder {

struct GrammarStep {
  enum class Op : uint8_t {
    kByte,    // consume one byte in low..high, go on with the next step
    kSplit,   // go on with the next step and with `target`
    kJump,    // go on with `target`
    kCall,    // do the rule that begins at `target`, then the next step
    kReturn,  // the rule is done
  };
  Op op;
  uint8_t low = 0;
  uint8_t high = 0;
  uint32_t target = 0;
};

struct GrammarProgram {
  std::vector<GrammarStep> steps;
  uint32_t start = 0;  // first step of the root rule
  // Bytes that no step tells apart share a class, 0 .. n_classes - 1.
  std::array<uint8_t, 256> byte_class{};
  uint32_t n_classes = 1;
};

// Throws Error(kInvalidArgument) for left recursion or a program of more than 200,000 steps.
GrammarProgram compile_grammar(const Grammar& grammar);

}  // namespace ev::decoder
