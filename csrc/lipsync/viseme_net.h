// VisemeNet: from log-mel rows to mouth parameters, int8 convolutions along time (edgevid/lipsync/visemes.py
// says what rows and parameters mean; docs/FORMATS.md, "VisemeNet weights", has the bytes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/tensor.h"
#include "base/thread_pool.h"
#include "ops/conv1d_int8.h"

namespace ev::lipsync {

// Everything in a weights file. Immutable; shared by streams.
struct VisemeWeights {
  int64_t bands = 0, params = 0, rows_per_step = 0;
  std::vector<float> mel_mean, mel_scale;        // [bands]: code = (x - mean) * scale, rounded, within +-127
  std::vector<ops::PackedConv> layers;           // each takes what the one before gives
  std::vector<float> param_scale, param_offset;  // [params]: value = code * scale + offset
  int64_t lip_points = 0, visemes = 0;
  std::vector<float> lip_mean;        // [lip_points, 2]
  std::vector<float> lip_directions;  // [params, lip_points, 2]
  std::vector<float> targets;         // [visemes, params]

  // Throws Error(kBadModel) unless the bytes are a whole, unbroken file whose layers fit each other.
  static std::shared_ptr<VisemeWeights> parse(const uint8_t* data, size_t size);
};

// The network over one sound, fed in pieces of any length; how it is cut does not change what comes out.
class VisemeStream {
 public:
  explicit VisemeStream(std::shared_ptr<const VisemeWeights> weights);

  // Takes rows f32 [n, bands], what is no number counting as the lowest level; returns the steps that have
  // become complete, f32 [steps, params]. Throws Error(kInvalidArgument) when the width is wrong.
  std::vector<float> push(MatrixRef<const float> rows);
  void reset();

 private:
  std::shared_ptr<const VisemeWeights> weights_;
  std::vector<std::vector<int8_t>> waiting_;  // of each layer: rows its next step begins with
  std::vector<int8_t> codes_;                 // the last layer's new rows
  ThreadPool pool_{1};
};

}  // namespace ev::lipsync
