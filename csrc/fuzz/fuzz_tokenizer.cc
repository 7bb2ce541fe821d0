// An input that begins with "GGUF" is a file whose vocabulary is loaded and used; any other input is text,
// read under every pre-tokenizer and by a SentencePiece model.
#include <string>
#include <vector>

#include "decoder/tokenizer.h"
#include "decoder/utf8.h"
#include "fuzz/fuzz.h"
#include "tests/decoder/small_vocabulary.h"

namespace {

using namespace ev;
using decoder::Tokenizer;

std::shared_ptr<const Tokenizer> sentence_piece() {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> kinds = {2, 3, 3};
  std::vector<float> scores(3, 0);
  char name[8];
  for (int b = 0; b < 256; ++b) {
    std::snprintf(name, sizeof(name), "<0x%02X>", static_cast<unsigned>(b));
    tokens.emplace_back(name);
    kinds.push_back(6);
    scores.push_back(0);
  }
  for (const char* piece : {"\xE2\x96\x81", "a", "b", "ab", "ba", "aba",
                            "\xE2\x96\x81"
                            "a",
                            "\xC3\xA9",
                            "\xC3\xA9"
                            "a"}) {
    tokens.emplace_back(piece);
    kinds.push_back(1);
    scores.push_back(static_cast<float>(tokens.back().size()));
  }
  ev::testing::GgufBuilder b;
  b.add("tokenizer.ggml.model", std::string("llama")).add("tokenizer.ggml.tokens", tokens);
  b.add("tokenizer.ggml.token_type", kinds).add("tokenizer.ggml.scores", scores);
  return ev::testing::SmallVocabulary::load(b);
}

std::vector<std::shared_ptr<const Tokenizer>> byte_level_tokenizers() {
  std::vector<std::shared_ptr<const Tokenizer>> all;
  for (const char* pre : {"gpt-2", "smollm", "qwen2", "default", "llama-bpe"}) {
    ev::testing::SmallVocabulary vocabulary;
    vocabulary.pre = pre;
    all.push_back(
        ev::testing::SmallVocabulary::load(vocabulary.file().add("tokenizer.ggml.add_bos_token", false)));
  }
  return all;
}

// What the lenient reading of the bytes amounts to, as UTF-8.
std::string normalized(std::string_view text) {
  std::string out;
  for (const uint32_t c : decoder::decode_utf8_leniently(text)) decoder::append_utf8(out, c);
  return out;
}

void check_stream(std::string_view bytes) {
  decoder::Utf8Stream whole, again;
  std::string text = whole.push(bytes);
  text += whole.finish();
  std::string same = again.push(text);
  same += again.finish();
  EV_CLAIM(same == text);
}

void check_text(std::string_view text) {
  static const auto byte_level = byte_level_tokenizers();
  static const auto pieces = sentence_piece();
  const std::string expected = normalized(text);
  for (const auto& tokenizer : byte_level) {
    EV_CLAIM(tokenizer->decode(tokenizer->encode(text, {false, false})) == expected);
    EV_CLAIM(tokenizer->decode(tokenizer->encode(text), true) == expected);
  }
  // U+2581 itself reads back as a space, and a stray first byte may swallow one: only clean text comes back
  // whole.
  if (expected == text && !text.empty() && text.find("\xE2\x96\x81") == std::string_view::npos)
    EV_CLAIM(pieces->decode(pieces->encode(text, {false, false})) == ' ' + expected);
  pieces->encode(text);
  check_stream(text);
}

void check_file(const uint8_t* data, size_t size) {
  const auto tokenizer = Tokenizer::from_gguf(*io::GgufFile::parse(data, size));
  const std::string_view sample = "Hello, <|im_end|> w\xC3\xB6rld 123\n\n \xF0\x9F\x98\x80\xFF's";
  for (const auto& options : {decoder::EncodeOptions{true, true}, decoder::EncodeOptions{false, false}})
    for (const decoder::TokenId id : tokenizer->encode(sample, options))
      EV_CLAIM(id >= 0 && id < tokenizer->size());
  for (decoder::TokenId id = 0; id < tokenizer->size(); ++id) check_stream(tokenizer->piece(id, true));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (fuzz::view(data, size).substr(0, 4) == "GGUF") {
    fuzz::allow_refusal([&] { check_file(data, size); });
  } else {
    check_text(fuzz::view(data, size).substr(0, 1024));  // longer text repeats itself
  }
  return 0;
}
