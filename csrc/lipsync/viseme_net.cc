#include "lipsync/viseme_net.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace ev::lipsync {
namespace {

constexpr float kLimit = 127.0f;

int8_t code_of(float x, float mean, float scale) {
  const float code = (x - mean) * scale;
  if (!(code > -kLimit)) return -127;
  return static_cast<int8_t>(std::nearbyint(std::min(code, kLimit)));
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
  for (int64_t r = 0; r < rows.rows; ++r)
    for (int64_t b = 0; b < w.bands; ++b) {
      const auto band = static_cast<size_t>(b);
      first.push_back(code_of(rows.row(r)[b], w.mel_mean[band], w.mel_scale[band]));
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
