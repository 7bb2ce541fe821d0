#include "decoder/tokenizer.h"

#include <algorithm>

#include "decoder/token_trie.h"
#include "decoder/tokenizer_bpe.h"
#include "decoder/tokenizer_spm.h"
#include "io/quote.h"

namespace ev::decoder {
namespace {

constexpr size_t kMaxText = 1u << 30;  // positions are 32 bits wide

struct PreTokenizer {
  const char* name;  // tokenizer.ggml.pre
  SplitRule rule;
  bool whole_words;
  bool add_bos;
};

constexpr PreTokenizer kPreTokenizers[] = {
    {"default", SplitRule::kDefault, false, false}, {"gpt-2", SplitRule::kGpt2, false, false},
    {"smollm", SplitRule::kSmolLm, false, false},   {"qwen2", SplitRule::kQwen2, false, false},
    {"llama-bpe", SplitRule::kLlama3, true, true},  {"llama3", SplitRule::kLlama3, true, true},
    {"llama-v3", SplitRule::kLlama3, true, true},   {"deepseek-r1-qwen", SplitRule::kQwen2, false, false},
};

const PreTokenizer& find_pre_tokenizer(const io::GgufFile& file) {
  const bool named = file.find("tokenizer.ggml.pre") != nullptr;
  const std::string name = named ? file.get_string("tokenizer.ggml.pre") : "default";
  std::string known;
  for (const PreTokenizer& pre : kPreTokenizers) {
    if (name == pre.name) return pre;
    known += std::string(known.empty() ? "" : ", ") + pre.name;
  }
  throw Error(ErrorCode::kBadModel,
              "the pre-tokenizer " + io::quoted(name) + " is not supported (known: " + known + ")");
}

std::unique_ptr<TokenTrie> make_trie(const Vocabulary& vocabulary) {
  std::vector<std::pair<std::string_view, int32_t>> strings;
  for (TokenId id = 0; id < vocabulary.size(); ++id)
    if (vocabulary.spells_text(id)) strings.emplace_back(vocabulary.bytes(id), id);
  return std::make_unique<TokenTrie>(std::move(strings));
}

}  // namespace

struct Tokenizer::Fragment {
  std::string_view text;
  TokenId token = kNoToken;  // when set, the fragment is this token
};

Tokenizer::~Tokenizer() = default;

std::shared_ptr<const Tokenizer> Tokenizer::from_gguf(const io::GgufFile& file) {
  std::shared_ptr<Tokenizer> tokenizer(new Tokenizer);
  const std::string& model = file.get_string("tokenizer.ggml.model");
  bool add_bos = true;
  if (model == "gpt2") {
    const PreTokenizer& pre = find_pre_tokenizer(file);
    tokenizer->vocabulary_ = std::make_unique<Vocabulary>(file, Spelling::kByteLevel);
    tokenizer->model_ = std::make_unique<BpeModel>(file, *tokenizer->vocabulary_, pre.rule, pre.whole_words);
    add_bos = pre.add_bos;
  } else if (model == "llama") {
    tokenizer->vocabulary_ = std::make_unique<Vocabulary>(file, Spelling::kSentencePiece);
    tokenizer->model_ = std::make_unique<SpmModel>(file, *tokenizer->vocabulary_);
  } else {
    throw Error(ErrorCode::kBadModel,
                "the tokenizer model " + io::quoted(model) + " is not supported (known: gpt2, llama)");
  }
  tokenizer->add_bos_ = file.get_bool("tokenizer.ggml.add_bos_token", add_bos);
  tokenizer->add_eos_ = file.get_bool("tokenizer.ggml.add_eos_token", false);
  const Vocabulary& vocabulary = tokenizer->vocabulary();
  if ((tokenizer->add_bos_ && vocabulary.bos() == kNoToken) ||
      (tokenizer->add_eos_ && vocabulary.eos() == kNoToken))
    throw Error(ErrorCode::kBadModel,
                "the tokenizer is to add begin or end tokens, but the file does not name them");
  tokenizer->find_special_names();
  tokenizer->trie_ = make_trie(vocabulary);
  return tokenizer;
}

void Tokenizer::find_special_names() {
  for (TokenId id = 0; id < size(); ++id) {
    const TokenKind kind = vocabulary_->kind(id);
    const bool special =
        kind == TokenKind::kControl || kind == TokenKind::kUserDefined || kind == TokenKind::kUnknown;
    if (special && !vocabulary_->name(id).empty()) special_.push_back(id);
  }
  std::stable_sort(special_.begin(), special_.end(), [this](TokenId a, TokenId b) {
    return vocabulary_->name(a).size() > vocabulary_->name(b).size();
  });
}

// A longer name goes before a shorter one wherever they stand; equal ones are found from left to right.
std::vector<Tokenizer::Fragment> Tokenizer::split_special(std::string_view text, bool parse_special) const {
  std::vector<Fragment> fragments;
  if (!text.empty()) fragments.push_back({text});
  for (const TokenId id : special_) {
    if (!parse_special && vocabulary_->kind(id) != TokenKind::kUserDefined) continue;
    const std::string& name = vocabulary_->name(id);
    if (text.find(name) == std::string_view::npos) continue;
    std::vector<Fragment> finer;
    for (const Fragment& fragment : fragments) {
      if (fragment.token != kNoToken) {
        finer.push_back(fragment);
        continue;
      }
      std::string_view rest = fragment.text;
      for (size_t at = rest.find(name); at != std::string_view::npos; at = rest.find(name)) {
        if (at > 0) finer.push_back({rest.substr(0, at)});
        finer.push_back({rest.substr(at, name.size()), id});
        rest.remove_prefix(at + name.size());
      }
      if (!rest.empty()) finer.push_back({rest});
    }
    fragments = std::move(finer);
  }
  return fragments;
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  if (text.size() > kMaxText) throw Error(ErrorCode::kInvalidArgument, "the text is over 1 GiB");
  std::vector<TokenId> ids;
  if (options.add_special && add_bos_) ids.push_back(vocabulary_->bos());
  bool after_special = true;
  for (const Fragment& fragment : split_special(text, options.parse_special)) {
    after_special = after_special || fragment.token != kNoToken;
    if (fragment.token != kNoToken) {
      ids.push_back(fragment.token);
    } else {
      model_->encode(fragment.text, after_special, ids);
      after_special = false;
    }
  }
  if (options.add_special && add_eos_) ids.push_back(vocabulary_->eos());
  return ids;
}

std::string_view Tokenizer::piece(TokenId id, bool special) const {
  if (!vocabulary_->contains(id))
    throw Error(ErrorCode::kInvalidArgument,
                "token " + std::to_string(id) + " is not in the vocabulary of " + std::to_string(size()));
  const TokenKind kind = vocabulary_->kind(id);
  if (!special && (kind == TokenKind::kControl || kind == TokenKind::kUnknown)) return {};
  return vocabulary_->bytes(id);
}

std::string Tokenizer::decode(const std::vector<TokenId>& ids, bool special) const {
  std::string text;
  for (const TokenId id : ids) text += piece(id, special);
  return text;
}

}  // namespace ev::decoder
