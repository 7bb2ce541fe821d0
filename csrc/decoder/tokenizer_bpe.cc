#include "decoder/tokenizer_bpe.h"

#include <algorithm>
#include <queue>

#include "decoder/utf8.h"
#include "io/quote.h"

namespace ev::decoder {
namespace {

uint64_t pair_key(uint32_t left, uint32_t right) {
  return uint64_t{left} << 32 | right;
}

}  // namespace

// Scratch of one encode() call.
class BpeModel::Merger {
 public:
  explicit Merger(const BpeModel& model) : model_(model) {}

  // Merges in place; what is left is read by for_each.
  void merge(std::string_view bytes) {
    nodes_.clear();
    const auto n = static_cast<int32_t>(bytes.size());
    for (int32_t i = 0; i < n; ++i)
      nodes_.push_back({model_.byte_symbols_[static_cast<uint8_t>(bytes[static_cast<size_t>(i)])], i - 1,
                        i + 1 < n ? i + 1 : kNone});
    for (int32_t i = 0; i + 1 < n; ++i) offer(i);
    while (!candidates_.empty()) {
      const Candidate c = candidates_.top();
      candidates_.pop();
      Node& left = node(c.left);
      // Stale when either side has been merged since: no symbol comes back once its node has grown or gone.
      if (left.symbol != c.left_symbol || left.next == kNone || node(left.next).symbol != c.right_symbol)
        continue;
      join(c);
    }
  }

  template <typename Visit>
  void for_each(Visit visit) const {
    for (int32_t i = nodes_.empty() ? kNone : 0; i != kNone; i = nodes_[static_cast<size_t>(i)].next)
      visit(nodes_[static_cast<size_t>(i)].symbol);
  }

 private:
  static constexpr int32_t kNone = -1;
  static constexpr Symbol kGone = 0xFFFFFFFF;
  struct Node {
    Symbol symbol;
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    uint32_t rank;
    int32_t left;
    Symbol left_symbol;
    Symbol right_symbol;
    Symbol result;
    bool operator<(const Candidate& o) const { return rank != o.rank ? rank > o.rank : left > o.left; }
  };

  Node& node(int32_t i) { return nodes_[static_cast<size_t>(i)]; }

  void offer(int32_t left) {
    if (left == kNone || node(left).next == kNone) return;
    const Symbol a = node(left).symbol;
    const Symbol b = node(node(left).next).symbol;
    if (const Merge* merge = model_.find_merge(a, b))
      candidates_.push({merge->rank, left, a, b, merge->result});
  }

  void join(const Candidate& c) {
    Node& left = node(c.left);
    Node& right = node(left.next);
    left.symbol = c.result;
    left.next = right.next;
    right.symbol = kGone;
    if (left.next != kNone) node(left.next).previous = c.left;
    offer(left.previous);
    offer(c.left);
  }

  const BpeModel& model_;
  std::vector<Node> nodes_;
  std::priority_queue<Candidate> candidates_;
};

size_t BpeModel::PairHash::operator()(uint64_t pair) const {
  pair ^= pair >> 31;  // the steps of splitmix64: ids are small and dense, their pairs must not collide
  pair *= 0x9E3779B97F4A7C15u;
  return static_cast<size_t>(pair ^ pair >> 29);
}

BpeModel::BpeModel(const io::GgufFile& file, const Vocabulary& vocabulary, SplitRule rule, bool whole_words)
    : vocabulary_(vocabulary), rule_(rule), whole_words_(whole_words) {
  std::unordered_map<std::string, Symbol> extra;
  for (size_t b = 0; b < 256; ++b) byte_symbols_[b] = intern(byte_level_name(static_cast<uint8_t>(b)), extra);
  const auto& merges = file.get_strings("tokenizer.ggml.merges");
  merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string& merge = merges[rank];
    const size_t space = merge.find(' ', 1);
    if (space == std::string::npos || space + 1 == merge.size())
      throw Error(ErrorCode::kBadModel,
                  "merge " + std::to_string(rank) + ", " + io::quoted(merge) + ", is not two names");
    const std::string left = merge.substr(0, space);
    const std::string right = merge.substr(space + 1);
    const uint64_t key = pair_key(intern(left, extra), intern(right, extra));
    merges_.emplace(key, Merge{static_cast<uint32_t>(rank), intern(left + right, extra)});
  }
}

BpeModel::Symbol BpeModel::intern(const std::string& name, std::unordered_map<std::string, Symbol>& extra) {
  const TokenId id = vocabulary_.find(name);
  if (id != kNoToken) return static_cast<Symbol>(id);
  const auto next = static_cast<Symbol>(vocabulary_.size()) + static_cast<Symbol>(extra_spelling_.size());
  const auto [it, is_new] = extra.emplace(name, next);
  if (is_new) {
    std::vector<TokenId> spelling;
    for (const uint32_t c : decode_utf8_leniently(name)) {
      std::string one;
      append_utf8(one, c);
      const TokenId byte = vocabulary_.find(one);
      if (byte != kNoToken) spelling.push_back(byte);
    }
    extra_spelling_.push_back(std::move(spelling));
  }
  return it->second;
}

const BpeModel::Merge* BpeModel::find_merge(Symbol left, Symbol right) const {
  const auto it = merges_.find(pair_key(left, right));
  return it == merges_.end() ? nullptr : &it->second;
}

void BpeModel::encode(std::string_view text, bool /*after_special*/, std::vector<TokenId>& out) const {
  const std::vector<uint32_t> characters = decode_utf8_leniently(text);
  Merger merger(*this);
  std::string piece;
  size_t begin = 0;
  for (const uint32_t end : split_text(rule_, characters)) {
    piece.clear();
    for (; begin < end; ++begin) append_utf8(piece, characters[begin]);
    encode_piece(piece, merger, out);
  }
}

void BpeModel::encode_piece(std::string_view bytes, Merger& merger, std::vector<TokenId>& out) const {
  if (whole_words_ && bytes.size() <= vocabulary_.longest_name()) {
    std::string name;
    for (const char c : bytes) name += byte_level_name(static_cast<uint8_t>(c));
    const TokenId id = vocabulary_.find(name);
    if (id != kNoToken) return out.push_back(id);
  }
  merger.merge(bytes);
  merger.for_each([&](Symbol symbol) { emit(symbol, out); });
}

void BpeModel::emit(Symbol symbol, std::vector<TokenId>& out) const {
  const auto n = static_cast<Symbol>(vocabulary_.size());
  if (symbol < n) return out.push_back(static_cast<TokenId>(symbol));
  const auto& spelling = extra_spelling_[symbol - n];
  out.insert(out.end(), spelling.begin(), spelling.end());
}

}  // namespace ev::decoder
