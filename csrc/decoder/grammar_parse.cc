#include "decoder/grammar_parse.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "decoder/utf8.h"
#include "io/quote.h"

namespace ev::decoder {
namespace {

constexpr size_t kMaxText = 1u << 20;
constexpr size_t kMaxRules = 4096;
constexpr int kMaxNesting = 256;
constexpr uint32_t kMaxRepeat = 100000;
constexpr uint32_t kEnd = 0xFFFFFFFF;

bool is_digit(uint32_t c) {
  return c >= '0' && c <= '9';
}

bool is_name_char(uint32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_';
}

int hex_value(uint32_t c) {
  if (c >= '0' && c <= '9') return static_cast<int>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<int>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<int>(c - 'A' + 10);
  return -1;
}

// Sorted, joined where they touch; with `negate`, everything else. Surrogates are left out: UTF-8 has none.
std::vector<CodePointRange> normalized(std::vector<CodePointRange> ranges, bool negate) {
  constexpr CodePointRange kSurrogates = {0xD800, 0xDFFF};
  constexpr uint32_t kLast = 0x10FFFF;
  if (negate) ranges.push_back(kSurrogates);
  std::sort(ranges.begin(), ranges.end(),
            [](CodePointRange a, CodePointRange b) { return a.first < b.first; });
  std::vector<CodePointRange> joined;
  for (const CodePointRange r : ranges) {
    if (!joined.empty() && r.first <= joined.back().last + 1) {
      joined.back().last = std::max(joined.back().last, r.last);
    } else {
      joined.push_back(r);
    }
  }
  std::vector<CodePointRange> out;
  if (negate) {
    uint32_t next = 0;
    for (const CodePointRange r : joined) {
      if (r.first > next) out.push_back({next, r.first - 1});
      next = r.last + 1;
    }
    if (next <= kLast) out.push_back({next, kLast});
    return out;
  }
  for (const CodePointRange r : joined) {
    if (r.first < kSurrogates.first) out.push_back({r.first, std::min(r.last, kSurrogates.first - 1)});
    if (r.last > kSurrogates.last) out.push_back({std::max(r.first, kSurrogates.last + 1), r.last});
  }
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(decode_utf8_leniently(text)) {}

  Grammar parse() {
    skip_space();
    while (peek() != kEnd) parse_rule();
    for (size_t i = 0; i < grammar_.rules.size(); ++i)
      if (!defined_[i])
        fail_at(first_use_[i], "the rule '" + grammar_.rules[i].name + "' is used but not defined");
    const auto root = index_.find("root");
    if (root == index_.end()) fail("there is no rule 'root'");
    grammar_.root = root->second;
    return std::move(grammar_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { fail_at(at_, what); }

  [[noreturn]] void fail_at(size_t at, const std::string& what) const {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; ++i) {
      column = text_[i] == '\n' ? 1 : column + 1;
      if (text_[i] == '\n') ++line;
    }
    throw Error(ErrorCode::kInvalidArgument,
                "grammar, line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + what);
  }

  uint32_t peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : kEnd; }
  uint32_t next() {
    if (at_ >= text_.size()) fail("the grammar ends too early");
    return text_[at_++];
  }
  bool take(uint32_t c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  void skip_space() {
    for (;; ++at_) {
      const uint32_t c = peek();
      if (c == '#') {
        while (peek() != '\n' && peek() != kEnd) ++at_;
      } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
        return;
      }
      if (peek() == kEnd) return;
    }
  }

  std::string parse_name() {
    std::string name;
    while (is_name_char(peek())) name += static_cast<char>(next());
    if (name.empty()) fail("expected the name of a rule");
    return name;
  }

  bool take_defines() {
    if (peek() != ':' || peek(1) != ':' || peek(2) != '=') return false;
    at_ += 3;
    return true;
  }

  // Whether `name ::=` stands here: the rule before ends.
  bool at_rule_start() {
    const size_t begin = at_;
    while (is_name_char(peek())) ++at_;
    const bool named = at_ > begin;
    skip_space();
    const bool found = named && take_defines();
    at_ = begin;
    return found;
  }

  uint32_t rule_index(const std::string& name, size_t used_at) {
    const auto [it, is_new] = index_.emplace(name, static_cast<uint32_t>(grammar_.rules.size()));
    if (is_new) {
      if (grammar_.rules.size() == kMaxRules) fail("more than " + std::to_string(kMaxRules) + " rules");
      grammar_.rules.push_back({name, {}});
      defined_.push_back(false);
      first_use_.push_back(used_at);
    }
    return it->second;
  }

  void parse_rule() {
    const size_t begin = at_;
    const uint32_t rule = rule_index(parse_name(), begin);
    if (defined_[rule]) fail_at(begin, "the rule '" + grammar_.rules[rule].name + "' is defined twice");
    defined_[rule] = true;
    skip_space();
    if (!take_defines()) fail("expected '::='");
    skip_space();
    GrammarExpr body = parse_alternatives(0);
    grammar_.rules[rule].body = std::move(body);
    if (peek() != kEnd && !at_rule_start()) fail("unexpected " + here());
  }

  std::string here() const {
    std::string c;
    append_utf8(c, peek());
    return io::quoted(c);
  }

  GrammarExpr parse_alternatives(int depth) {
    if (depth > kMaxNesting) fail("groups are nested too deeply");
    GrammarExpr expr;
    expr.kind = GrammarExpr::Kind::kAlternatives;
    do {
      skip_space();
      expr.children.push_back(parse_sequence(depth));
    } while (take('|'));
    return expr.children.size() > 1 ? expr : std::move(expr.children.front());
  }

  GrammarExpr parse_sequence(int depth) {
    GrammarExpr sequence;
    for (;;) {
      const uint32_t c = peek();
      if (c == kEnd || c == '|' || c == ')' || (is_name_char(c) && at_rule_start())) return sequence;
      GrammarExpr item = parse_item(depth);
      if (is_repeat(peek())) item = parse_repeat(std::move(item));
      if (is_repeat(peek())) fail("a repetition of a repetition needs parentheses");
      sequence.children.push_back(std::move(item));
      skip_space();
    }
  }

  GrammarExpr parse_item(int depth) {
    GrammarExpr expr;
    if (take('"')) {
      expr.kind = GrammarExpr::Kind::kLiteral;
      while (!take('"')) append_utf8(expr.literal, parse_char());
    } else if (take('[')) {
      expr.kind = GrammarExpr::Kind::kClass;
      expr.ranges = parse_class();
    } else if (take('.')) {
      expr.kind = GrammarExpr::Kind::kClass;
      expr.ranges = normalized({}, true);
    } else if (take('(')) {
      expr = parse_alternatives(depth + 1);
      if (!take(')')) fail("expected ')'");
    } else if (is_name_char(peek())) {
      const size_t begin = at_;
      expr.kind = GrammarExpr::Kind::kRule;
      expr.rule = rule_index(parse_name(), begin);
    } else {
      fail("unexpected " + here());
    }
    return expr;
  }

  std::vector<CodePointRange> parse_class() {
    const size_t begin = at_ - 1;
    const bool negate = take('^');
    std::vector<CodePointRange> ranges;
    while (!take(']')) {
      const uint32_t first = parse_char();
      uint32_t last = first;
      if (peek() == '-' && peek(1) != ']') {
        ++at_;
        last = parse_char();
      }
      if (last < first) fail("a range goes backwards");
      ranges.push_back({first, last});
    }
    ranges = normalized(std::move(ranges), negate);
    if (ranges.empty()) fail_at(begin, "the class of characters is empty");
    return ranges;
  }

  uint32_t parse_char() {
    const uint32_t c = next();
    if (c != '\\') return c;
    const uint32_t escaped = next();
    switch (escaped) {
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case 'x': return parse_hex(2);
      case 'u': return parse_hex(4);
      case 'U': return parse_hex(8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^': return escaped;
      default: --at_; fail("unknown escape \\" + here());
    }
  }

  uint32_t parse_hex(int digits) {
    uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const int digit = hex_value(peek());
      if (digit < 0) fail("expected " + std::to_string(digits) + " hexadecimal digits");
      value = value << 4 | static_cast<uint32_t>(digit);
      ++at_;
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) fail("not a Unicode character");
    return value;
  }

  static bool is_repeat(uint32_t c) { return c == '?' || c == '*' || c == '+' || c == '{'; }

  GrammarExpr parse_repeat(GrammarExpr item) {
    GrammarExpr expr;
    expr.kind = GrammarExpr::Kind::kRepeat;
    switch (next()) {
      case '?': expr.min = 0, expr.max = 1; break;
      case '*': expr.min = 0, expr.max = GrammarExpr::kUnbounded; break;
      case '+': expr.min = 1, expr.max = GrammarExpr::kUnbounded; break;
      default: parse_bounds(expr); break;
    }
    expr.children.push_back(std::move(item));
    return expr;
  }

  // n} n,} ,m} or n,m}
  void parse_bounds(GrammarExpr& expr) {
    skip_space();
    const bool has_min = is_digit(peek());
    expr.min = has_min ? parse_count() : 0;
    expr.max = expr.min;
    if (take(',')) {
      skip_space();
      const bool has_max = peek() != '}';
      if (!has_min && !has_max) fail("expected a number of repetitions");
      expr.max = has_max ? parse_count() : GrammarExpr::kUnbounded;
    } else if (!has_min) {
      fail("expected a number of repetitions");
    }
    if (!take('}')) fail("expected '}'");
    if (expr.max < expr.min) fail("a repetition's bounds go backwards");
  }

  uint32_t parse_count() {
    uint32_t value = 0;
    if (!is_digit(peek())) fail("expected a number of repetitions");
    for (; is_digit(peek()); ++at_) {
      value = value * 10 + (peek() - '0');
      if (value > kMaxRepeat) fail("more than " + std::to_string(kMaxRepeat) + " repetitions");
    }
    skip_space();
    return value;
  }

  std::vector<uint32_t> text_;
  size_t at_ = 0;
  Grammar grammar_;
  std::map<std::string, uint32_t> index_;
  std::vector<bool> defined_;
  std::vector<size_t> first_use_;
};

}  // namespace

Grammar parse_grammar(std::string_view text) {
  if (text.size() > kMaxText) throw Error(ErrorCode::kInvalidArgument, "the grammar is over 1 MiB");
  return Parser(text).parse();
}

}  // namespace ev::decoder
