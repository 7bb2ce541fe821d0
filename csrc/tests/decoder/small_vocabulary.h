// A byte-level vocabulary small enough to read in a test: ids 0-255 are the bytes, then the results of
// merges, then special tokens.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "decoder/tokenizer.h"
#include "tests/io/gguf_builder.h"

namespace ev::testing {

struct SmallVocabulary {
  std::vector<std::string> merges = {"h e", "l l", "he ll", "hell o", "Ġ w",
                                     "a b", "b c", "ab c",  "0 1",    "01 2"};
  std::vector<std::string> special = {"<|end|>", "<|start|>"};  // the first ends generation
  std::string pre = "gpt-2";

  GgufBuilder file() const {
    std::vector<std::string> tokens;
    for (int b = 0; b < 256; ++b) tokens.push_back(decoder::byte_level_name(static_cast<uint8_t>(b)));
    for (std::string merge : merges) {
      merge.erase(merge.find(' '), 1);
      tokens.push_back(merge);
    }
    std::vector<int32_t> kinds(tokens.size(), 1);
    const auto end = static_cast<uint32_t>(tokens.size());
    tokens.insert(tokens.end(), special.begin(), special.end());
    kinds.resize(tokens.size(), 3);
    GgufBuilder b;
    b.add("tokenizer.ggml.model", std::string("gpt2")).add("tokenizer.ggml.pre", pre);
    b.add("tokenizer.ggml.tokens", tokens).add("tokenizer.ggml.token_type", kinds);
    b.add("tokenizer.ggml.merges", merges).add("tokenizer.ggml.eos_token_id", end);
    return b;
  }

  std::shared_ptr<const decoder::Tokenizer> tokenizer() const { return load(file()); }

  static std::shared_ptr<const decoder::Tokenizer> load(const GgufBuilder& builder) {
    const std::string bytes = builder.bytes();
    return decoder::Tokenizer::from_gguf(*parse(bytes));
  }
};

}  // namespace ev::testing
