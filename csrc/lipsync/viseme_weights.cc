// Reading VisemeNet's weights from bytes that may be anything.
#include <cmath>

#include "base/error.h"
#include "io/byte_reader.h"
#include "io/checksum.h"
#include "lipsync/viseme_net.h"

namespace ev::lipsync {
namespace {

constexpr std::string_view kMagic = "EVVN";
constexpr uint32_t kVersion = 1;
// Far beyond what is made, and small enough that no size overflows.
constexpr uint32_t kMaxLayers = 32, kMaxChannels = 1024, kMaxTaps = 64, kMaxSpacing = 256, kMaxTable = 1024;

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::kBadModel, "VisemeNet weights: " + what);
}

uint32_t read_size(io::ByteReader& in, uint32_t most, const char* what) {
  const auto value = in.read<uint32_t>();
  if (value < 1 || value > most) refuse(std::string(what) + " out of range");
  return value;
}

std::vector<float> read_floats(io::ByteReader& in, size_t count) {
  in.require(count * sizeof(float));
  std::vector<float> values(count);
  for (float& v : values) {
    v = in.read<float>();
    if (!std::isfinite(v)) refuse("a number is not finite");
  }
  return values;
}

ops::PackedConv read_layer(io::ByteReader& in) {
  ops::ConvShape s{};
  s.in_channels = read_size(in, kMaxChannels, "channels");
  s.out_channels = read_size(in, kMaxChannels, "channels");
  s.taps = read_size(in, kMaxTaps, "taps");
  s.stride = read_size(in, kMaxSpacing, "stride");
  s.dilation = read_size(in, kMaxSpacing, "dilation");
  if (s.stride > s.reach()) refuse("a layer skips rows");
  const auto relu = in.read<uint32_t>();
  if (relu > 1) refuse("an unknown activation");
  const std::vector<float> scales = read_floats(in, static_cast<size_t>(s.out_channels));
  std::vector<int32_t> bias(static_cast<size_t>(s.out_channels));
  for (int32_t& b : bias) b = in.read<int32_t>();
  const auto bytes = in.read_bytes(static_cast<uint64_t>(s.in_channels * s.out_channels * s.taps));
  try {
    return {s, reinterpret_cast<const int8_t*>(bytes.data()), bias.data(), scales.data(), relu == 1};
  } catch (const Error& e) {
    refuse(e.what());
  }
}

}  // namespace

std::shared_ptr<VisemeWeights> VisemeWeights::parse(const uint8_t* data, size_t size) {
  io::ByteReader in(data, size);
  if (in.read_bytes(kMagic.size()) != kMagic) refuse("these are none");
  if (in.read<uint32_t>() != kVersion) refuse("made for another version of edgevid");
  const auto sum = in.read<uint64_t>();
  if (sum != io::checksum(data + in.position(), in.remaining())) refuse("damaged (the checksum differs)");
  auto w = std::make_shared<VisemeWeights>();
  w->bands = read_size(in, kMaxChannels, "bands");
  w->params = read_size(in, kMaxTable, "parameters");
  w->lip_points = read_size(in, kMaxTable, "lip points");
  w->visemes = read_size(in, kMaxTable, "visemes");
  const uint32_t layers = read_size(in, kMaxLayers, "layers");
  w->mel_mean = read_floats(in, static_cast<size_t>(w->bands));
  w->mel_scale = read_floats(in, static_cast<size_t>(w->bands));
  w->rows_per_step = 1;
  int64_t channels = w->bands;
  for (uint32_t i = 0; i < layers; ++i) {
    w->layers.push_back(read_layer(in));
    const ops::ConvShape& s = w->layers.back().shape();
    if (s.in_channels != channels) refuse("layers do not fit each other");
    channels = s.out_channels;
    w->rows_per_step *= s.stride;
    if (w->rows_per_step > kMaxSpacing) refuse("strides out of range");
  }
  if (channels != w->params) refuse("the last layer does not give the parameters");
  w->param_scale = read_floats(in, static_cast<size_t>(w->params));
  w->param_offset = read_floats(in, static_cast<size_t>(w->params));
  w->lip_mean = read_floats(in, static_cast<size_t>(w->lip_points * 2));
  w->lip_directions = read_floats(in, static_cast<size_t>(w->params * w->lip_points * 2));
  w->targets = read_floats(in, static_cast<size_t>(w->visemes * w->params));
  if (in.remaining() != 0) refuse("bytes after the end");
  return w;
}

}  // namespace ev::lipsync
