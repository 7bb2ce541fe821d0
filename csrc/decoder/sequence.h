// One growing text on a Decoder: what it holds in the KV cache and what it attends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/tensor.h"
#include "decoder/decoder.h"
#include "decoder/session.h"
#include "kv/cache.h"
#include "kv/selection.h"

namespace ev::decoder {

// Which of an append's rows need logits.
enum class LogitRows { kNone, kLast, kAll };

// Not thread-safe; different sequences of one decoder may be used on different threads at the same time.
class Sequence {
 public:
  // `selection` null: dense attention. `sealer` null: nothing is sealed.
  explicit Sequence(std::shared_ptr<const Decoder> decoder,
                    std::unique_ptr<kv::Selection> selection = nullptr,
                    std::shared_ptr<const kv::Sealer> sealer = nullptr);

  // Runs tokens or embedding rows [m, hidden] in steps of the decoder's chunk. `logits` [rows_for(which, m),
  // vocab] receives what `which` names. Throws what `limits` throws, Error(kOutOfMemory) when the page pool
  // is full and Error(kInvalidArgument) for an unknown id or a wrong shape; the steps finished before stay,
  // length() tells.
  void append_tokens(const std::vector<TokenId>& ids, LogitRows which, MatrixRef<float> logits,
                     const RunLimits& limits);
  void append_rows(MatrixRef<const float> rows, LogitRows which, MatrixRef<float> logits,
                   const RunLimits& limits);
  static int64_t rows_for(LogitRows which, int64_t m);

  // A second sequence with the same past.
  std::unique_ptr<Sequence> fork() const;
  // The same, attending in another way from now on; see KvCache::fork().
  std::unique_ptr<Sequence> fork(std::unique_ptr<kv::Selection> selection,
                                 std::shared_ptr<const kv::Sealer> sealer) const;
  // A dense sequence with the past `times` times in a row, nothing computed again. Keys are rotated on so
  // that every copy is as far from what comes next as the past is here: what is attended is spread over the
  // copies, and otherwise the same. Throws Error(kInvalidArgument) with a sealer, or once something was
  // dropped, Error(kOutOfMemory) when the page pool or the window is full.
  std::unique_ptr<Sequence> repeated(uint32_t times) const;
  void truncate(uint64_t length) { cache_->truncate(length, decoder_->threads()); }

  // Goes on where the session file ends (length() tells), or begins one; of an empty sequence, which is of no
  // more use after an error. Throws Error(kInvalidArgument) for too little RAM, or when slots are asked for
  // without retrieval, Error(kIo) and Error(kBadModel) from the file, Error(kOutOfMemory) when the pool is
  // full.
  void attach(const SessionOptions& session);
  void checkpoint() { cache_->checkpoint(); }
  // Writes a session file of its own, whole or not at all; one that exists is replaced, and the sequence's
  // own brought up to date. Error(kIo).
  void save(const std::string& path);
  void set_mark(uint64_t mark) { cache_->set_mark(mark); }

  // Nanoseconds its steps spent choosing what to attend and attending it.
  uint64_t attention_ns() const { return attention_ns_; }
  uint64_t length() const { return cache_->length(); }
  const kv::KvCache& cache() const { return *cache_; }
  const kv::Selection& selection() const { return *selection_; }
  const Decoder& decoder() const { return *decoder_; }

 private:
  // Fills the step's input rows [first, first + input.rows).
  template <class Fill>
  void append(int64_t m, LogitRows which, MatrixRef<float> logits, const RunLimits& limits, const Fill& fill);

  std::shared_ptr<const Decoder> decoder_;
  std::unique_ptr<kv::KvCache> cache_;
  std::unique_ptr<kv::Selection> selection_;
  std::string session_path_;  // empty: none
  uint64_t attention_ns_ = 0;
};

}  // namespace ev::decoder
