#include "decoder/choices.h"

#include <utility>

#include "decoder/token_trie.h"
#include "io/quote.h"

namespace ev::decoder {
namespace {

constexpr size_t kMaxBytes = 1u << 20;
constexpr size_t kMaxChoiceBytes = 65535;

// The choices as a trie, with the dead ends of the vocabulary marked. Immutable, shared by clones.
//
// Choice and token tries are walked side by side; a pair (choice node, token node) is reached when the bytes
// that lead from the walk's start to either are the same.
class ChoiceSet {
 public:
  ChoiceSet(std::shared_ptr<const Tokenizer> tokenizer, const std::vector<std::string>& choices)
      : tokenizer_(std::move(tokenizer)), trie_(numbered(choices)), live_(trie_.nodes().size(), false) {
    // Children stand after their parent, so whatever a token can reach from a node is settled before it.
    for (size_t node = live_.size(); node-- > 0;) {
      live_[node] = is_end(node);
      if (!live_[node])
        walk(node,
             [&](size_t reached, const TokenTrie::Node&) { live_[node] = live_[node] || live_[reached]; });
    }
    require_spellable(choices);
  }

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  bool is_end(size_t node) const { return trie_.nodes()[node].ids_begin != trie_.nodes()[node].ids_end; }
  bool is_leaf(size_t node) const { return trie_.nodes()[node].next == node + 1; }
  bool is_live(size_t node) const { return live_[node]; }

  // The node below `node` by these bytes; 0 (the root, which is below none) when there is none.
  size_t descend(size_t node, std::string_view bytes) const {
    const auto& nodes = trie_.nodes();
    for (const char c : bytes) {
      size_t child = node + 1;
      while (child < nodes[node].next && nodes[child].byte != static_cast<uint8_t>(c))
        child = nodes[child].next;
      if (child >= nodes[node].next) return 0;
      node = child;
    }
    return node;
  }

  // Calls visit(choice node, token node) for each token that leads from `from` along some choice.
  template <typename Visit>
  void walk(size_t from, Visit visit) const {
    const auto& ours = trie_.nodes();
    const auto& theirs = tokenizer_->trie().nodes();
    std::vector<std::pair<size_t, size_t>> open = {{from, 0}};
    while (!open.empty()) {
      const auto [a, b] = open.back();
      open.pop_back();
      if (theirs[b].ids_begin != theirs[b].ids_end) visit(a, theirs[b]);
      size_t i = a + 1;
      size_t j = b + 1;
      while (i < ours[a].next && j < theirs[b].next) {  // children of both, ascending by byte
        if (ours[i].byte == theirs[j].byte) open.emplace_back(i, j);
        const bool step_ours = ours[i].byte <= theirs[j].byte;
        const bool step_theirs = theirs[j].byte <= ours[i].byte;
        if (step_ours) i = ours[i].next;
        if (step_theirs) j = theirs[j].next;
      }
    }
  }

 private:
  static std::vector<std::pair<std::string_view, int32_t>> numbered(const std::vector<std::string>& choices) {
    if (choices.empty()) throw Error(ErrorCode::kInvalidArgument, "there are no choices");
    std::vector<std::pair<std::string_view, int32_t>> strings;
    size_t total = 0;
    for (const std::string& choice : choices) {
      if (choice.empty()) throw Error(ErrorCode::kInvalidArgument, "a choice is empty");
      total += choice.size();
      if (choice.size() > kMaxChoiceBytes || total > kMaxBytes)
        throw Error(ErrorCode::kInvalidArgument,
                    "the choices are too long: over 64 KiB for one or 1 MiB together");
      strings.emplace_back(choice, static_cast<int32_t>(strings.size()));
    }
    return strings;
  }

  // Every choice must be reached from the root by some sequence of tokens.
  void require_spellable(const std::vector<std::string>& choices) const {
    std::vector<bool> reached(live_.size(), false);
    reached[0] = true;
    for (size_t node = 0; node < reached.size(); ++node) {
      if (reached[node]) walk(node, [&](size_t at, const TokenTrie::Node&) { reached[at] = true; });
      if (!is_end(node) || reached[node]) continue;
      const auto& choice = choices[static_cast<size_t>(trie_.ids()[trie_.nodes()[node].ids_begin])];
      throw Error(ErrorCode::kInvalidArgument,
                  "the model's vocabulary cannot spell the choice " + io::quoted(choice));
    }
  }

  std::shared_ptr<const Tokenizer> tokenizer_;
  TokenTrie trie_;
  std::vector<bool> live_;
};

class Choices : public Constraint {
 public:
  explicit Choices(std::shared_ptr<const ChoiceSet> set) : set_(std::move(set)) {}

  void mask(TokenMask& allowed) override {
    allowed.clear();
    if (finished_) return;
    const auto& ids = set_->tokenizer().trie().ids();
    set_->walk(node_, [&](size_t reached, const TokenTrie::Node& tokens) {
      if (!set_->is_live(reached)) return;
      for (uint32_t i = tokens.ids_begin; i < tokens.ids_end; ++i) allowed.set(ids[i]);
    });
    if (!set_->is_end(node_)) return;
    for (const TokenId id : set_->tokenizer().vocabulary().end_tokens()) allowed.set(id);
  }

  void accept(TokenId token) override {
    const Vocabulary& vocabulary = set_->tokenizer().vocabulary();
    if (!finished_ && vocabulary.is_end(token) && set_->is_end(node_)) {
      finished_ = true;
      return;
    }
    const bool text = !finished_ && vocabulary.contains(token) && vocabulary.spells_text(token);
    const size_t node = text ? set_->descend(node_, vocabulary.bytes(token)) : 0;
    if (node == 0 || !set_->is_live(node))
      throw Error(ErrorCode::kInvalidArgument,
                  "token " + std::to_string(token) + " leads to none of the choices");
    node_ = node;
  }

  bool done() const override { return finished_ || (set_->is_end(node_) && set_->is_leaf(node_)); }

  std::unique_ptr<Constraint> clone() const override { return std::make_unique<Choices>(*this); }

 private:
  std::shared_ptr<const ChoiceSet> set_;
  size_t node_ = 0;
  bool finished_ = false;  // an end token was accepted
};

}  // namespace

std::unique_ptr<Constraint> make_choices(std::shared_ptr<const Tokenizer> tokenizer,
                                         const std::vector<std::string>& choices) {
  return std::make_unique<Choices>(std::make_shared<const ChoiceSet>(std::move(tokenizer), choices));
}

}  // namespace ev::decoder
