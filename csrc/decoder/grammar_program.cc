#include "decoder/grammar_program.h"

#include <string>
#include <utility>

#include "base/error.h"
#include "decoder/utf8.h"

namespace ev::decoder {
namespace {

using Op = GrammarStep::Op;

constexpr size_t kMaxSteps = 200000;

// One run of ranges of bytes, matched one after another.
using ByteRanges = std::vector<std::pair<uint8_t, uint8_t>>;

// Cuts first..last, whose UTF-8 is of one length, so that each part's bytes vary independently of one
// another.
void cut_by_bytes(uint32_t first, uint32_t last, std::vector<ByteRanges>& out) {
  for (uint32_t bits = 6; bits <= 18 && first >= 0x80; bits += 6) {
    const uint32_t low = (1u << bits) - 1;
    if ((first & ~low) == (last & ~low)) continue;
    if ((first & low) != 0) {
      cut_by_bytes(first, first | low, out);
      return cut_by_bytes((first | low) + 1, last, out);
    }
    if ((last & low) != low) {
      cut_by_bytes(first, (last & ~low) - 1, out);
      return cut_by_bytes(last & ~low, last, out);
    }
  }
  std::string a, b;
  append_utf8(a, first);
  append_utf8(b, last);
  ByteRanges ranges;
  for (size_t i = 0; i < a.size(); ++i)
    ranges.emplace_back(static_cast<uint8_t>(a[i]), static_cast<uint8_t>(b[i]));
  out.push_back(std::move(ranges));
}

std::vector<ByteRanges> byte_ranges(const std::vector<CodePointRange>& ranges) {
  constexpr uint32_t kLastOfLength[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
  std::vector<ByteRanges> out;
  for (const CodePointRange range : ranges) {
    uint32_t first = range.first;
    for (const uint32_t limit : kLastOfLength) {
      if (first > limit || first > range.last) continue;
      const uint32_t last = range.last < limit ? range.last : limit;
      cut_by_bytes(first, last, out);
      first = last + 1;
    }
  }
  return out;
}

// Follows what rules can do before they consume a byte. A rule met again on the way is left recursive;
// without such, the way is free of loops, so one visit per rule settles whether it can be empty.
class LeftRecursionCheck {
 public:
  LeftRecursionCheck(const Grammar& grammar, const GrammarProgram& program,
                     const std::vector<uint32_t>& starts)
      : grammar_(grammar),
        program_(program),
        starts_(starts),
        states_(program.steps.size(), kUnseen),
        seen_(program.steps.size(), false) {}

  void check() {
    for (const uint32_t start : starts_) can_be_empty(start);
  }

 private:
  enum State : uint8_t { kUnseen, kOpen, kNotEmpty, kEmpty };  // of the rule that begins at a step

  bool can_be_empty(uint32_t start) {
    if (states_[start] == kOpen) fail(start);
    if (states_[start] != kUnseen) return states_[start] == kEmpty;
    states_[start] = kOpen;
    bool empty = false;
    std::vector<uint32_t> open = {start};
    while (!open.empty()) {
      const uint32_t at = open.back();
      open.pop_back();
      if (seen_[at]) continue;
      seen_[at] = true;
      const GrammarStep& step = program_.steps[at];
      if (step.op == Op::kReturn) empty = true;
      if (step.op == Op::kJump || step.op == Op::kSplit) open.push_back(step.target);
      if (step.op == Op::kSplit || (step.op == Op::kCall && can_be_empty(step.target)))
        open.push_back(at + 1);
    }
    states_[start] = empty ? kEmpty : kNotEmpty;
    return empty;
  }

  [[noreturn]] void fail(uint32_t start) const {
    size_t rule = 0;
    while (starts_[rule] != start) ++rule;
    throw Error(ErrorCode::kInvalidArgument, "grammar: the rule '" + grammar_.rules[rule].name +
                                                 "' is left recursive: it can begin with itself");
  }

  const Grammar& grammar_;
  const GrammarProgram& program_;
  const std::vector<uint32_t>& starts_;
  std::vector<State> states_;
  std::vector<bool> seen_;  // each step belongs to one rule, so it is followed once
};

class Compiler {
 public:
  explicit Compiler(const Grammar& grammar) : grammar_(grammar), starts_(grammar.rules.size()) {}

  GrammarProgram compile() {
    for (size_t i = 0; i < grammar_.rules.size(); ++i) {
      starts_[i] = here();
      emit(grammar_.rules[i].body);
      add(Op::kReturn);
    }
    for (GrammarStep& step : program_.steps)
      if (step.op == Op::kCall) step.target = starts_[step.target];
    program_.start = starts_[grammar_.root];
    LeftRecursionCheck(grammar_, program_, starts_).check();
    set_byte_classes();
    return std::move(program_);
  }

 private:
  uint32_t here() const { return static_cast<uint32_t>(program_.steps.size()); }

  uint32_t add(Op op, uint32_t target = 0) {
    if (program_.steps.size() >= kMaxSteps)
      throw Error(ErrorCode::kInvalidArgument, "the grammar is too large: more than 200000 steps");
    program_.steps.push_back({op, 0, 0, target});
    return here() - 1;
  }

  void add_byte(uint8_t low, uint8_t high) {
    GrammarStep& step = program_.steps[add(Op::kByte)];
    step.low = low;
    step.high = high;
  }

  void aim(uint32_t step, uint32_t target) { program_.steps[step].target = target; }

  void emit(const GrammarExpr& expr) {
    switch (expr.kind) {
      case GrammarExpr::Kind::kLiteral:
        for (const char c : expr.literal) add_byte(static_cast<uint8_t>(c), static_cast<uint8_t>(c));
        break;
      case GrammarExpr::Kind::kClass: {
        const std::vector<ByteRanges> runs = byte_ranges(expr.ranges);
        emit_alternatives(runs.size(), [&](size_t i) {
          for (const auto& [low, high] : runs[i]) add_byte(low, high);
        });
        break;
      }
      case GrammarExpr::Kind::kRule:
        add(Op::kCall, expr.rule);
        break;  // compile() puts the rule's start there
      case GrammarExpr::Kind::kSequence:
        for (const GrammarExpr& child : expr.children) emit(child);
        break;
      case GrammarExpr::Kind::kAlternatives:
        emit_alternatives(expr.children.size(), [&](size_t i) { emit(expr.children[i]); });
        break;
      case GrammarExpr::Kind::kRepeat: emit_repeat(expr); break;
    }
  }

  //   split(next) A jump(end) next: split(...) B jump(end) ... end:
  template <typename EmitOne>
  void emit_alternatives(size_t n, EmitOne emit_one) {
    std::vector<uint32_t> jumps;
    for (size_t i = 0; i + 1 < n; ++i) {
      const uint32_t split = add(Op::kSplit);
      emit_one(i);
      jumps.push_back(add(Op::kJump));
      aim(split, here());
    }
    emit_one(n - 1);
    for (const uint32_t jump : jumps) aim(jump, here());
  }

  //   A A A  then  split(end) A split(end) A end:   or   again: split(end) A jump(again) end:
  void emit_repeat(const GrammarExpr& expr) {
    const GrammarExpr& child = expr.children.front();
    const uint32_t begin = here();
    for (uint32_t i = 0; i < expr.min; ++i) {
      emit(child);
      if (here() == begin) return;  // the item is the empty text: any number of it is one
    }
    std::vector<uint32_t> splits;
    if (expr.max == GrammarExpr::kUnbounded) {
      const uint32_t again = add(Op::kSplit);
      emit(child);
      add(Op::kJump, again);
      splits.push_back(again);
    } else {
      for (uint32_t i = expr.min; i < expr.max; ++i) {
        splits.push_back(add(Op::kSplit));
        emit(child);
      }
    }
    for (const uint32_t split : splits) aim(split, here());
  }

  void set_byte_classes() {
    std::array<bool, 257> begins{};  // a class begins at this byte
    for (const GrammarStep& step : program_.steps) {
      if (step.op != Op::kByte) continue;
      begins[step.low] = true;
      begins[step.high + 1u] = true;
    }
    uint8_t current = 0;
    for (size_t b = 0; b < 256; ++b) {
      if (b > 0 && begins[b]) ++current;
      program_.byte_class[b] = current;
    }
    program_.n_classes = current + 1u;
  }

  const Grammar& grammar_;
  std::vector<uint32_t> starts_;
  GrammarProgram program_;
};

}  // namespace

GrammarProgram compile_grammar(const Grammar& grammar) {
  return Compiler(grammar).compile();
}

}  // namespace ev::decoder
