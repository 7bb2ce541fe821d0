#include "decoder/tokenizer_split.h"

#include "decoder/unicode.h"

namespace ev::decoder {
namespace {

using Ends = std::vector<uint32_t>;

// A window [begin, end) on the text and a cursor. Beyond the window there is nothing: patterns look ahead no
// further.
class Scanner {
 public:
  Scanner(const std::vector<uint32_t>& text, const std::vector<CharClass>& classes, uint32_t begin,
          uint32_t end)
      : text_(text), classes_(classes), position_(begin), end_(end) {}

  bool done() const { return position_ >= end_; }
  uint32_t position() const { return position_; }
  void advance(uint32_t n) { position_ += n; }

  bool has(uint32_t ahead) const { return ahead < end_ - position_; }
  uint32_t at(uint32_t ahead) const { return has(ahead) ? text_[position_ + ahead] : kNothing; }
  bool is(uint32_t ahead, CharClass c) const { return has(ahead) && classes_[position_ + ahead] == c; }
  bool is_newline(uint32_t ahead) const { return at(ahead) == '\r' || at(ahead) == '\n'; }
  // [^\s\p{L}\p{N}]
  bool is_mark(uint32_t ahead) const {
    return has(ahead) && !is(ahead, CharClass::kSpace) && !is(ahead, CharClass::kLetter) &&
           !is(ahead, CharClass::kNumber);
  }
  uint32_t run(uint32_t ahead, CharClass c) const {
    uint32_t n = ahead;
    while (is(n, c)) ++n;
    return n - ahead;
  }
  uint32_t run_of_marks(uint32_t ahead) const {
    uint32_t n = ahead;
    while (is_mark(n)) ++n;
    return n - ahead;
  }

 private:
  static constexpr uint32_t kNothing = 0xFFFFFFFF;
  const std::vector<uint32_t>& text_;
  const std::vector<CharClass>& classes_;
  uint32_t position_;
  uint32_t end_;
};

uint32_t ascii_lower(uint32_t c) {
  return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

// 's|'t|'re|'ve|'m|'ll|'d: its length, or 0.
uint32_t contraction(const Scanner& in, bool any_case) {
  if (in.at(0) != '\'') return 0;
  const uint32_t a = any_case ? ascii_lower(in.at(1)) : in.at(1);
  const uint32_t b = any_case ? ascii_lower(in.at(2)) : in.at(2);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

// \s+(?!\S)|\s+: a run of spaces leaves its last one to the word that follows.
uint32_t spaces(const Scanner& in) {
  const uint32_t n = in.run(0, CharClass::kSpace);
  return n > 1 && in.has(n) ? n - 1 : n;
}

uint32_t gpt2_piece(const Scanner& in) {
  if (const uint32_t n = contraction(in, false)) return n;
  const uint32_t lead = in.at(0) == ' ' ? 1 : 0;
  if (const uint32_t n = in.run(lead, CharClass::kLetter)) return lead + n;
  if (const uint32_t n = in.run(lead, CharClass::kNumber)) return lead + n;
  if (const uint32_t n = in.run_of_marks(lead)) return lead + n;
  return spaces(in);
}

// \s*[\r\n]+: spaces up to and with the last line end among them, or 0.
uint32_t spaces_to_line_end(const Scanner& in) {
  uint32_t length = 0;
  for (uint32_t n = 0; in.is(n, CharClass::kSpace); ++n)
    if (in.is_newline(n)) length = n + 1;
  return length;
}

uint32_t llama3_piece(const Scanner& in, uint32_t max_digits) {
  if (const uint32_t n = contraction(in, true)) return n;
  if (in.is(0, CharClass::kLetter)) return in.run(0, CharClass::kLetter);
  if (in.is(0, CharClass::kNumber)) {
    uint32_t n = 1;
    while (n < max_digits && in.is(n, CharClass::kNumber)) ++n;
    return n;
  }
  if (!in.is_newline(0) && in.is(1, CharClass::kLetter)) return 1 + in.run(1, CharClass::kLetter);
  const uint32_t lead = in.at(0) == ' ' ? 1 : 0;
  if (const uint32_t n = in.run_of_marks(lead)) {
    uint32_t length = lead + n;
    while (in.is_newline(length)) ++length;
    return length;
  }
  if (const uint32_t n = spaces_to_line_end(in)) return n;
  return spaces(in);
}

// One cut of the text into smaller pieces: each former piece is cut on its own.
class Cutter {
 public:
  explicit Cutter(const std::vector<uint32_t>& text) : text_(text) {
    classes_.reserve(text.size());
    for (const uint32_t c : text) classes_.push_back(char_class(c));
    if (!text.empty()) ends_.push_back(static_cast<uint32_t>(text.size()));
  }

  // `piece(scanner)` gives the length of the piece at the cursor, at least 1.
  template <typename Piece>
  void cut(Piece piece) {
    Ends finer;
    uint32_t begin = 0;
    for (const uint32_t end : ends_) {
      for (Scanner in(text_, classes_, begin, end); !in.done();) {
        in.advance(piece(in));
        finer.push_back(in.position());
      }
      begin = end;
    }
    ends_ = std::move(finer);
  }

  // Runs of up to `longest` characters for which `match(scanner, ahead)` holds stand alone, whole; so does
  // what lies between them. `exact`: only runs of exactly `longest` count.
  template <typename Match>
  void isolate(Match match, uint32_t longest, bool exact) {
    const auto matched = [&](const Scanner& in, uint32_t ahead) {
      uint32_t n = 0;
      while (n < longest && in.has(ahead + n) && match(in, ahead + n)) ++n;
      return exact && n < longest ? 0 : n;
    };
    cut([&](const Scanner& in) {
      if (const uint32_t n = matched(in, 0)) return n;
      uint32_t n = 1;
      while (in.has(n) && matched(in, n) == 0) ++n;
      return n;
    });
  }

  Ends take() { return std::move(ends_); }

 private:
  const std::vector<uint32_t>& text_;
  std::vector<CharClass> classes_;
  Ends ends_;
};

bool is_number(const Scanner& in, uint32_t ahead) {
  return in.is(ahead, CharClass::kNumber);
}

bool is_ascii_digit(const Scanner& in, uint32_t ahead) {
  return in.at(ahead) >= '0' && in.at(ahead) <= '9';
}

// [\p{P}$+<=>^~|]
bool is_default_mark(const Scanner& in, uint32_t ahead) {
  const uint32_t c = in.at(ahead);
  return in.is(ahead, CharClass::kPunctuation) ||
         (c < 0x80 && std::string_view("$+<=>^~|").find(static_cast<char>(c)) != std::string_view::npos);
}

}  // namespace

std::vector<uint32_t> split_text(SplitRule rule, const std::vector<uint32_t>& text) {
  constexpr uint32_t kAnyLength = 0xFFFFFFFF;
  Cutter cutter(text);
  switch (rule) {
    case SplitRule::kGpt2: cutter.cut(gpt2_piece); break;
    case SplitRule::kSmolLm:
      cutter.isolate(is_number, 1, true);
      cutter.cut(gpt2_piece);
      break;
    case SplitRule::kLlama3: cutter.cut([](const Scanner& in) { return llama3_piece(in, 3); }); break;
    case SplitRule::kQwen2: cutter.cut([](const Scanner& in) { return llama3_piece(in, 1); }); break;
    case SplitRule::kDefault:
      cutter.isolate(is_default_mark, kAnyLength, false);
      cutter.cut(gpt2_piece);
      cutter.isolate(is_number, kAnyLength, false);
      cutter.isolate(is_ascii_digit, 3, true);
      break;
  }
  return cutter.take();
}

}  // namespace ev::decoder
