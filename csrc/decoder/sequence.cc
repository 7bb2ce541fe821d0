#include "decoder/sequence.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "kv/page_rows.h"
#include "ops/kv_pages.h"
#include "ops/rope.h"

namespace ev::decoder {
namespace {

void require_ram(const RamPlan& plan, uint64_t bytes) {
  if (bytes >= plan.least()) return;
  const auto mb = [](uint64_t n) { return std::to_string((n + 999'999) / 1'000'000) + " MB"; };
  throw Error(ErrorCode::kInvalidArgument, "ram_bytes is " + mb(bytes) + ", must be at least " +
                                               mb(plan.least()) + ": pages of tokens not sealed " +
                                               mb(plan.pool) + ", scratch " + mb(plan.scratch) +
                                               ", cluster index of a full window " + mb(plan.index) +
                                               ", what one layer attends " + mb(plan.layer));
}

}  // namespace

Sequence::Sequence(std::shared_ptr<const Decoder> decoder, std::unique_ptr<kv::Selection> selection,
                   std::shared_ptr<const kv::Sealer> sealer)
    : decoder_(std::move(decoder)),
      cache_(std::make_unique<kv::KvCache>(decoder_->pages(), decoder_->window(), decoder_->key_rotation(),
                                           std::move(sealer))),
      selection_(selection ? std::move(selection) : std::make_unique<kv::WindowSelection>()) {}

int64_t Sequence::rows_for(LogitRows which, int64_t m) {
  switch (which) {
    case LogitRows::kNone: return 0;
    case LogitRows::kLast: return std::min<int64_t>(m, 1);
    case LogitRows::kAll: return m;
  }
  return 0;
}

void Sequence::append_tokens(const std::vector<TokenId>& ids, LogitRows which, MatrixRef<float> logits,
                             const RunLimits& limits) {
  for (const TokenId id : ids) {
    if (id < 0 || static_cast<uint32_t>(id) >= decoder_->config().vocab)
      throw Error(ErrorCode::kInvalidArgument, "there is no token " + std::to_string(id));
  }
  append(static_cast<int64_t>(ids.size()), which, logits, limits,
         [&](int64_t first, MatrixRef<float> input) { decoder_->embed(ids.data() + first, input); });
}

void Sequence::append_rows(MatrixRef<const float> rows, LogitRows which, MatrixRef<float> logits,
                           const RunLimits& limits) {
  if (rows.cols != decoder_->config().hidden)
    throw Error(ErrorCode::kInvalidArgument, "rows are " + std::to_string(rows.cols) +
                                                 " wide, the model takes " +
                                                 std::to_string(decoder_->config().hidden));
  append(rows.rows, which, logits, limits, [&](int64_t first, MatrixRef<float> input) {
    for (int64_t i = 0; i < input.rows; ++i) std::copy_n(rows.row(first + i), rows.cols, input.row(i));
  });
}

template <class Fill>
void Sequence::append(int64_t m, LogitRows which, MatrixRef<float> logits, const RunLimits& limits,
                      const Fill& fill) {
  if (logits.rows != rows_for(which, m) || (logits.rows > 0 && logits.cols != decoder_->config().vocab))
    throw Error(ErrorCode::kInvalidArgument, "the logits have a wrong shape");
  const Decoder::Loan forward(*decoder_);
  int64_t filled = 0;  // rows of logits
  const int64_t longest = std::min(decoder_->options().chunk, cache_->max_step());
  for (int64_t first = 0; first < m;) {
    const auto step = static_cast<uint32_t>(std::min(m - first, longest));
    const bool last = first + step == m;
    limits.check();
    cache_->begin_append(step, decoder_->threads());
    try {
      fill(first, forward->input(step));
      forward->run(*cache_, *selection_, limits);
      attention_ns_ += forward->attention_ns();
      const int64_t wanted = which == LogitRows::kAll ? step : which == LogitRows::kLast && last ? 1 : 0;
      if (wanted > 0) forward->logits(logits.slice(filled, wanted));
      filled += wanted;
    } catch (...) {
      cache_->rollback();
      throw;
    }
    cache_->commit();
    first += step;
  }
}

std::unique_ptr<Sequence> Sequence::repeated(uint32_t times) const {
  const kv::PageLayout& layout = cache_->layout();
  const ops::KvShape& shape = layout.shape;
  if (cache_->sealer() != nullptr || cache_->evicted() != 0)
    throw Error(ErrorCode::kInvalidArgument, "only a past that is kept whole, in order, can be repeated");
  const uint64_t past = length(), window = cache_->window().tokens;
  if (window != 0 && past * times > window)
    throw Error(ErrorCode::kOutOfMemory, "the window holds " + std::to_string(window) + " tokens");
  auto copy = std::make_unique<Sequence>(decoder_);
  const int64_t cols = int64_t{shape.num_kv_heads} * shape.head_dim;
  std::vector<float> k(static_cast<size_t>(shape.page_size * cols)), v(k.size());
  ops::RopeTable on(decoder_->key_rotation().inv_freq);
  const std::vector<int32_t> distance(static_cast<size_t>(shape.page_size),
                                      static_cast<int32_t>(past * (times - 1)));
  for (uint64_t at = 0; at < past * times;) {
    const uint64_t from = at % past;
    const auto rows = static_cast<uint32_t>(
        std::min<uint64_t>(layout.page_size() - from % layout.page_size(), past - from));
    on.set_positions(distance.data(), rows);
    std::vector<ops::Extent> source, slots;
    cache_->add_extents(static_cast<uint32_t>(from), rows, source);
    const ops::Extent& taken = source.front();
    copy->cache_->begin_append(rows, decoder_->threads());
    copy->cache_->add_extents(static_cast<uint32_t>(at), rows, slots);
    for (uint32_t layer = 0; layer < layout.n_layers; ++layer) {
      const auto* page = static_cast<const uint8_t*>(taken.page);
      kv::read_keys(layout.layer(layer), page, {k.data(), shape.page_size, cols});
      kv::read_values(layout.layer(layer), page, {v.data(), shape.page_size, cols});
      const MatrixRef<float> keys(k.data() + taken.first * cols, rows, cols);
      ops::rope(keys, shape.num_kv_heads, shape.head_dim, on, decoder_->key_rotation().layout,
                decoder_->threads());
      ops::kv_append(layout.layer(layer), keys, {v.data() + taken.first * cols, rows, cols}, slots,
                     decoder_->threads());
    }
    copy->cache_->commit();
    at += rows;
  }
  return copy;
}

std::unique_ptr<Sequence> Sequence::fork() const {
  return fork(selection_->clone(), nullptr);
}

std::unique_ptr<Sequence> Sequence::fork(std::unique_ptr<kv::Selection> selection,
                                         std::shared_ptr<const kv::Sealer> sealer) const {
  auto copy = std::make_unique<Sequence>(decoder_, std::move(selection));
  copy->cache_ = cache_->fork(std::move(sealer));
  return copy;
}

void Sequence::attach(const SessionOptions& session) {
  const io::SessionHeader header = session_header(*decoder_, cache_->sealer());
  const RamPlan plan = ram_plan(*decoder_, cache_->sealer(), session.attended);
  if (session.ram_bytes != 0) require_ram(plan, session.ram_bytes);
  if (session.ram_bytes != 0 && cache_->sealer() == nullptr)
    throw Error(ErrorCode::kInvalidArgument, "a cap on RAM needs retrieval");
  auto file = std::make_shared<kv::SessionFile>(session.path, header);
  std::shared_ptr<kv::SlotPool> slots;
  if (session.ram_bytes != 0)
    slots = std::make_shared<kv::SlotPool>(file, session.ram_bytes - plan.pool - plan.scratch);
  cache_->attach(std::move(file), std::move(slots), decoder_->threads());
  session_path_ = session.path;
}

void Sequence::save(const std::string& path) {
  std::error_code missing;
  if (!session_path_.empty() && std::filesystem::equivalent(path, session_path_, missing))
    return checkpoint();
  const std::string whole = path + ".tmp";
  std::remove(whole.c_str());
  try {
    cache_->copy_to(std::make_shared<kv::SessionFile>(whole, session_header(*decoder_, cache_->sealer())));
  } catch (...) {
    std::remove(whole.c_str());
    throw;
  }
  if (std::rename(whole.c_str(), path.c_str()) != 0) {
    const std::string why = std::strerror(errno);
    std::remove(whole.c_str());
    throw Error(ErrorCode::kIo, path + ": cannot be replaced: " + why);
  }
}

}  // namespace ev::decoder
