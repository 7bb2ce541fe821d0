#include "decoder/tokenizer_spm.h"

#include <algorithm>
#include <queue>
#include <string>

namespace ev::decoder {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";

// By the first byte alone, as llama.cpp has it: what follows is not looked at.
size_t character_length(char lead) {
  const auto b = static_cast<uint8_t>(lead);
  return b < 0xC0 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

std::string escape_spaces(std::string_view text, bool prefix) {
  std::string out(prefix ? kSpace : "");
  for (const char c : text) {
    if (c == ' ') {
      out += kSpace;
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

class SpmModel::Joiner {
 public:
  Joiner(const Vocabulary& vocabulary, std::string_view text) : vocabulary_(vocabulary), text_(text) {
    for (size_t at = 0; at < text.size();) {
      const size_t n = std::min(character_length(text[at]), text.size() - at);
      const auto i = static_cast<int32_t>(nodes_.size());
      nodes_.push_back({at, n, i - 1, at + n < text.size() ? i + 1 : kNone});
      at += n;
    }
  }

  void join_all() {
    for (size_t i = 0; i + 1 < nodes_.size(); ++i) offer(static_cast<int32_t>(i));
    while (!candidates_.empty()) {
      const Candidate c = candidates_.top();
      candidates_.pop();
      Node& left = node(c.left);
      // Stale when either side has changed: then the joined length differs, or the left side is gone.
      if (left.length == 0 || left.next == kNone || left.length + node(left.next).length != c.length ||
          left.next != c.right)
        continue;
      left.length = c.length;
      node(c.right).length = 0;
      left.next = node(c.right).next;
      if (left.next != kNone) node(left.next).previous = c.left;
      offer(left.previous);
      offer(c.left);
    }
  }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (int32_t i = nodes_.empty() ? kNone : 0; i != kNone; i = nodes_[static_cast<size_t>(i)].next) {
      const Node& n = nodes_[static_cast<size_t>(i)];
      visit(text_.substr(n.begin, n.length));
    }
  }

 private:
  static constexpr int32_t kNone = -1;
  struct Node {
    size_t begin;
    size_t length;
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    float score;
    int32_t left;
    int32_t right;
    size_t length;
    bool operator<(const Candidate& o) const { return score != o.score ? score < o.score : left > o.left; }
  };

  Node& node(int32_t i) { return nodes_[static_cast<size_t>(i)]; }

  void offer(int32_t left) {
    if (left == kNone || node(left).next == kNone) return;
    const Node& a = node(left);
    const size_t length = a.length + node(a.next).length;
    if (length > vocabulary_.longest_name()) return;
    const TokenId id = vocabulary_.find(text_.substr(a.begin, length));
    if (id != kNoToken) candidates_.push({vocabulary_.score(id), left, a.next, length});
  }

  const Vocabulary& vocabulary_;
  std::string_view text_;
  std::vector<Node> nodes_;
  std::priority_queue<Candidate> candidates_;
};

SpmModel::SpmModel(const io::GgufFile& file, const Vocabulary& vocabulary)
    : vocabulary_(vocabulary), add_space_prefix_(file.get_bool("tokenizer.ggml.add_space_prefix", true)) {
  static const char* kHex = "0123456789ABCDEF";
  for (size_t b = 0; b < 256; ++b) {
    const TokenId spelled = vocabulary.find(std::string("<0x") + kHex[b >> 4] + kHex[b & 15] + '>');
    byte_tokens_[b] = spelled != kNoToken ? spelled : vocabulary.find(std::string(1, static_cast<char>(b)));
  }
}

void SpmModel::encode(std::string_view text, bool after_special, std::vector<TokenId>& out) const {
  const std::string escaped = escape_spaces(text, add_space_prefix_ && after_special);
  Joiner joiner(vocabulary_, escaped);
  joiner.join_all();
  joiner.for_each([&](std::string_view symbol) { emit(symbol, out); });
}

void SpmModel::emit(std::string_view symbol, std::vector<TokenId>& out) const {
  const TokenId id = vocabulary_.find(symbol);
  if (id != kNoToken) return out.push_back(id);
  for (const char c : symbol) {
    const TokenId byte = byte_tokens_[static_cast<uint8_t>(c)];
    if (byte != kNoToken) {
      out.push_back(byte);
    } else if (vocabulary_.unknown() != kNoToken) {
      out.push_back(vocabulary_.unknown());
    }
  }
}

}  // namespace ev::decoder
