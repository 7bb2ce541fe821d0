#include "lipsync/viseme_net.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace ev::lipsync {
namespace {

constexpr float kLimit = 127.0f;

// Written so that compilers turn a row of it into vectors: what is not above -kLimit, NaN too, becomes that;
// adding and taking away 1.5 * 2^23 leaves no fraction, halves rounded to even.
int8_t code_of(float x, float mean, float scale) {
  constexpr float kShift = 12582912.0f;
  float code = (x - mean) * scale;
  code = code > -kLimit ? code : -kLimit;
  code = code < kLimit ? code : kLimit;
  return static_cast<int8_t>(static_cast<int32_t>((code + kShift) - kShift));
}

// Every step the rows of `waiting` hold; what no further step needs is dropped from it.
void run_layer(const ops::PackedConv& layer, std::vector<int8_t>& waiting, std::vector<int8_t>& out,
               ThreadPool& pool) {
  const ops::ConvShape& s = layer.shape();
  const auto rows = static_cast<int64_t>(waiting.size()) / s.in_channels;
  const int64_t steps = s.rows_out(rows);
  out.resize(static_cast<size_t>(steps * s.out_channels));
  ops::conv1d_int8({waiting.data(), rows, s.in_channels}, layer, {out.data(), steps, s.out_channels}, pool);
  const int64_t used = std::min(steps * s.stride, rows);
  waiting.erase(waiting.begin(), waiting.begin() + used * s.in_channels);
}

}  // namespace

VisemeStream::VisemeStream(std::shared_ptr<const VisemeWeights> weights)
    : weights_(std::move(weights)), waiting_(weights_->layers.size()) {}

void VisemeStream::reset() {
  for (auto& rows : waiting_) rows.clear();
}

std::vector<float> VisemeStream::push(MatrixRef<const float> rows) {
  const VisemeWeights& w = *weights_;
  require(rows.cols == w.bands, "VisemeNet: rows have the wrong number of bands");
  std::vector<int8_t>& first = waiting_.front();
  const float* mean = w.mel_mean.data();
  const float* scale = w.mel_scale.data();
  const size_t held = first.size();
  first.resize(held + static_cast<size_t>(rows.rows * rows.cols));
  for (int64_t r = 0; r < rows.rows; ++r) {
    const float* row = rows.row(r);
    int8_t* codes = first.data() + held + static_cast<size_t>(r * rows.cols);
    for (int64_t b = 0; b < rows.cols; ++b) codes[b] = code_of(row[b], mean[b], scale[b]);
  }
  for (size_t i = 0; i < w.layers.size(); ++i) {
    run_layer(w.layers[i], waiting_[i], codes_, pool_);
    if (i + 1 < w.layers.size()) waiting_[i + 1].insert(waiting_[i + 1].end(), codes_.begin(), codes_.end());
  }
  std::vector<float> values(codes_.size());
  for (size_t i = 0; i < codes_.size(); ++i) {
    const size_t p = i % w.param_scale.size();
    values[i] = static_cast<float>(codes_[i]) * w.param_scale[p] + w.param_offset[p];
  }
  return values;
}

}  // namespace ev::lipsync
