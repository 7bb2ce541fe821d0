#include "decoder/grammar.h"

#include <string>
#include <unordered_map>
#include <utility>

#include "decoder/grammar_automaton.h"
#include "decoder/grammar_parse.h"
#include "decoder/grammar_program.h"
#include "decoder/token_trie.h"

namespace ev::decoder {
namespace {

constexpr size_t kMaxCachedMasks = 256;

class GrammarConstraint : public Constraint {
 public:
  GrammarConstraint(std::shared_ptr<const Tokenizer> tokenizer, std::shared_ptr<const GrammarProgram> program)
      : tokenizer_(std::move(tokenizer)), automaton_(std::move(program)), state_(automaton_.start()) {}

  void mask(TokenMask& allowed) override {
    allowed.clear();
    if (finished_) return;
    if (automaton_.trim(state_)) masks_.clear();
    const auto cached = masks_.find(state_);
    if (cached != masks_.end()) {
      allowed = cached->second;
      return;
    }
    set_text_tokens(allowed);
    if (automaton_.may_end(state_))
      for (const TokenId id : tokenizer_->vocabulary().end_tokens()) allowed.set(id);
    if (masks_.size() < kMaxCachedMasks) masks_.emplace(state_, allowed);
  }

  void accept(TokenId token) override {
    const Vocabulary& vocabulary = tokenizer_->vocabulary();
    if (!finished_ && vocabulary.is_end(token) && automaton_.may_end(state_)) {
      finished_ = true;
      return;
    }
    const bool text = !finished_ && vocabulary.contains(token) && vocabulary.spells_text(token);
    GrammarAutomaton::State state = text ? state_ : GrammarAutomaton::kDead;
    if (text)
      for (const char c : vocabulary.bytes(token)) {
        state = automaton_.next(state, static_cast<uint8_t>(c));
        if (state == GrammarAutomaton::kDead) break;
      }
    if (state == GrammarAutomaton::kDead)
      throw Error(ErrorCode::kInvalidArgument,
                  "token " + std::to_string(token) + " does not fit the grammar");
    state_ = state;
  }

  bool done() const override { return finished_ || automaton_.must_end(state_); }

  std::unique_ptr<Constraint> clone() const override { return std::make_unique<GrammarConstraint>(*this); }

 private:
  // One pass over the trie of all tokens; a dead end skips all that begin with it.
  void set_text_tokens(TokenMask& allowed) {
    const TokenTrie& trie = tokenizer_->trie();
    path_ = {state_};
    for (uint32_t i = 1; i < trie.nodes().size();) {
      const TokenTrie::Node& node = trie.nodes()[i];
      path_.resize(node.depth);
      const GrammarAutomaton::State state = automaton_.next(path_.back(), node.byte);
      if (state == GrammarAutomaton::kDead) {
        i = node.next;
        continue;
      }
      for (uint32_t k = node.ids_begin; k < node.ids_end; ++k) allowed.set(trie.ids()[k]);
      path_.push_back(state);
      ++i;
    }
  }

  std::shared_ptr<const Tokenizer> tokenizer_;
  GrammarAutomaton automaton_;
  GrammarAutomaton::State state_;
  bool finished_ = false;  // an end token was accepted
  std::unordered_map<GrammarAutomaton::State, TokenMask> masks_;
  std::vector<GrammarAutomaton::State> path_;  // scratch: states along the walk
};

}  // namespace

std::unique_ptr<Constraint> make_grammar(std::shared_ptr<const Tokenizer> tokenizer, std::string_view gbnf) {
  auto program = std::make_shared<const GrammarProgram>(compile_grammar(parse_grammar(gbnf)));
  return std::make_unique<GrammarConstraint>(std::move(tokenizer), std::move(program));
}

}  // namespace ev::decoder
