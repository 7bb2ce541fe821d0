#include "decoder/decoder.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "ops/dequantize.h"

namespace ev::decoder {

std::shared_ptr<const Decoder> Decoder::open(const std::string& path, const DecoderOptions& options) {
  return std::make_shared<const Decoder>(io::GgufFile::open(path), options);
}

Decoder::Decoder(std::unique_ptr<io::GgufFile> file, const DecoderOptions& options)
    : file_(std::move(file)), config_(read_config(*file_)), options_(options), threads_(options.threads) {
  fill_defaults();
  tokenizer_ = Tokenizer::from_gguf(*file_);
  if (static_cast<uint32_t>(tokenizer_->size()) > config_.vocab)
    throw Error(ErrorCode::kBadModel, "the vocabulary has more tokens than the embedding has rows");
  weights_ = load_weights(*file_, config_, options_.exact ? ops::Precision::kExact : ops::Precision::kFast,
                          threads_);
  const uint64_t pages = (options_.kv_tokens + options_.page_size - 1) / options_.page_size;
  pages_ = std::make_shared<kv::PagePool>(page_layout(), pages);
}

void Decoder::fill_defaults() {
  const auto bad = [](const std::string& what) { throw Error(ErrorCode::kInvalidArgument, what); };
  if (options_.page_size == 0 || options_.page_size % 16 != 0 || options_.page_size > 4096)
    bad("page_size must be a multiple of 16, at most 4096");
  if (options_.chunk == 0 || options_.chunk > 4096) bad("chunk must be in 1..4096");
  if (options_.exact && options_.kv_type == ops::KvType::kI8) bad("exact keeps keys and values in f32");
  if (options_.window == 0) options_.window = config_.context_length;
  if (options_.window > config_.context_length)
    bad("window is larger than the model's trained context of " + std::to_string(config_.context_length) +
        " tokens");
  const uint64_t sink_pages = (uint64_t{options_.sinks} + options_.page_size - 1) / options_.page_size;
  if ((sink_pages + 2) * options_.page_size > options_.window)
    bad("window must hold the sinks and two pages more");
  options_.sinks = static_cast<uint32_t>(sink_pages * options_.page_size);
  // A window that has slid also keeps its sinks as they were.
  if (options_.kv_tokens == 0) options_.kv_tokens = 2 * (uint64_t{options_.window} + options_.sinks);
  if (options_.kv_tokens > uint64_t{options_.page_size} * std::numeric_limits<int32_t>::max() / 2)
    bad("kv_tokens is too large");
  options_.chunk = std::min(options_.chunk, options_.window - options_.sinks - options_.page_size);
  options_.threads = threads_.num_threads();
}

kv::PageLayout Decoder::page_layout() const {
  kv::PageLayout layout;
  layout.shape.page_size = static_cast<int>(options_.page_size);
  layout.shape.num_kv_heads = static_cast<int>(config_.n_kv_heads);
  layout.shape.head_dim = static_cast<int>(config_.head_dim);
  layout.shape.type = options_.exact ? ops::KvType::kF32 : options_.kv_type;
  layout.n_layers = config_.n_layers;
  return layout;
}

size_t Decoder::weight_bytes() const {
  size_t bytes = weights_.head.bytes();
  for (const LayerWeights& w : weights_.layers)
    bytes += w.qkv.bytes() + w.attn_output.bytes() + w.gate_up.bytes() + w.down.bytes();
  return bytes;
}

void Decoder::embed(const TokenId* ids, MatrixRef<float> out) const {
  ops::gather_rows(weights_.embedding, ids, out, threads_);
}

Decoder::Loan::Loan(const Decoder& owner) : owner_(owner) {
  {
    std::lock_guard<std::mutex> lock(owner_.idle_mutex_);
    if (!owner_.idle_.empty()) {
      forward_ = std::move(owner_.idle_.back());
      owner_.idle_.pop_back();
      return;
    }
  }
  forward_ =
      std::make_unique<Forward>(owner_.config_, owner_.weights_, owner_.options_.chunk, owner_.threads_);
}

Decoder::Loan::~Loan() {
  std::lock_guard<std::mutex> lock(owner_.idle_mutex_);
  owner_.idle_.push_back(std::move(forward_));
}

}  // namespace ev::decoder
