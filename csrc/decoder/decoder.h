// A model ready to run: weights, vocabulary, page pool and threads, shared by all its sequences. Any number
// of threads may use one Decoder, each with a Sequence of its own; their steps share the thread pool loop by
// loop.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "decoder/config.h"
#include "decoder/forward.h"
#include "decoder/tokenizer.h"
#include "decoder/weights.h"
#include "kv/page_pool.h"
#include "kv/window.h"

namespace ev::decoder {

struct DecoderOptions {
  int threads = 0;          // 0: all usable CPUs
  uint32_t page_size = 64;  // tokens, a multiple of 16
  uint32_t window = 0;      // most tokens one sequence keeps; 0: the model's trained context
  uint32_t sinks = 64;      // tokens at the start that a full window keeps; rounded up to whole pages
  uint64_t kv_tokens = 0;   // cap on the tokens that all sequences keep together; 0: two windows
  uint32_t chunk = 256;     // rows of a prefill step
  bool exact = false;       // f32 weights, activations and KV, for comparisons: slow and large
  ops::KvType kv_type = ops::KvType::kF16;  // otherwise
};

class Decoder {
 public:
  // Throws Error(kIo) when the file cannot be read, Error(kBadModel) or Error(kUnsupported) when it cannot be
  // run, Error(kInvalidArgument) for options that contradict the model or each other.
  static std::shared_ptr<const Decoder> open(const std::string& path, const DecoderOptions& options = {});
  Decoder(std::unique_ptr<io::GgufFile> file, const DecoderOptions& options);

  const ModelConfig& config() const { return config_; }
  const DecoderOptions& options() const { return options_; }  // as given, with the defaults filled in
  const std::shared_ptr<const Tokenizer>& tokenizer() const { return tokenizer_; }
  const io::GgufFile& file() const { return *file_; }
  const std::shared_ptr<kv::PagePool>& pages() const { return pages_; }
  ThreadPool& threads() const { return threads_; }
  kv::WindowPolicy window() const { return {options_.window, options_.sinks}; }
  kv::KeyRotation key_rotation() const { return {config_.rope_inv_freq, config_.rope_layout}; }
  size_t weight_bytes() const;  // of the packed weights that one token reads

  // Embedding rows of tokens into out [ids.size(), hidden]. Throws Error(kInvalidArgument) for an unknown id.
  void embed(const TokenId* ids, MatrixRef<float> out) const;

  // Lends the scratch memory of a step; the borrower gives it back by dropping it.
  class Loan {
   public:
    explicit Loan(const Decoder& owner);
    ~Loan();
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    Forward* operator->() const { return forward_.get(); }

   private:
    const Decoder& owner_;
    std::unique_ptr<Forward> forward_;
  };

 private:
  void fill_defaults();
  kv::PageLayout page_layout() const;

  std::unique_ptr<io::GgufFile> file_;
  ModelConfig config_;
  DecoderOptions options_;
  mutable ThreadPool threads_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Weights weights_;
  std::shared_ptr<kv::PagePool> pages_;
  mutable std::mutex idle_mutex_;
  mutable std::vector<std::unique_ptr<Forward>> idle_;  // scratch that no step is using
};

}  // namespace ev::decoder
