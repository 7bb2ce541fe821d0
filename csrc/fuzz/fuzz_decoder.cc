// Any bytes as a whole model: refused, or loaded and run for a few tokens.
#include <memory>
#include <vector>

#include "decoder/decoder.h"
#include "decoder/sequence.h"
#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ev;
  decoder::DecoderOptions options;
  options.threads = 1;
  options.page_size = 16;
  options.window = 64;
  options.sinks = 16;
  options.chunk = 4;
  // Tensors must be aligned as a mapped file's are.
  static std::vector<uint64_t> aligned;
  aligned.assign(size / 8 + 9, 0);
  auto* bytes = reinterpret_cast<uint8_t*>(aligned.data());
  bytes += (64 - reinterpret_cast<uintptr_t>(bytes) % 64) % 64;
  std::copy(data, data + size, bytes);
  fuzz::allow_refusal([&] {
    auto file = io::GgufFile::parse(bytes, size);
    const auto model = std::make_shared<const decoder::Decoder>(std::move(file), options);
    decoder::Sequence sequence(model);
    const auto vocab = static_cast<int64_t>(model->config().vocab);
    std::vector<float> logits(static_cast<size_t>(vocab));
    std::vector<decoder::TokenId> ids;
    for (int i = 0; i < 6; ++i) ids.push_back(static_cast<decoder::TokenId>((i * 31) % vocab));
    sequence.append_tokens(ids, decoder::LogitRows::kLast, {logits.data(), 1, vocab, vocab}, {});
    EV_CLAIM(sequence.length() == ids.size());
  });
  return 0;
}
