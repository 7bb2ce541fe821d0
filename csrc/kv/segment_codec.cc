#include "kv/segment_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "io/byte_reader.h"
#include "kv/invariants.h"

namespace ev::kv {
namespace {

constexpr int32_t kLanes = 16;
constexpr uint64_t kMostTokens = uint64_t{1} << 62;  // of a stream: room to add to

template <class T>
void put(std::vector<uint8_t>& out, const T* values, size_t count) {
  const size_t at = out.size();
  out.resize(at + count * sizeof(T));
  if (count > 0) std::memcpy(out.data() + at, values, count * sizeof(T));
}

template <class T>
void put(std::vector<uint8_t>& out, const std::vector<T>& values) {
  put(out, values.data(), values.size());
}

template <class T>
std::vector<T> take(io::ByteReader& in, uint64_t count) {
  const std::string_view bytes = in.read_bytes(count * sizeof(T));  // checked before memory is taken
  std::vector<T> values(static_cast<size_t>(count));
  if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::vector<float> take_finite(io::ByteReader& in, uint64_t count) {
  std::vector<float> values = take<float>(in, count);
  if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); }))
    throw Error(ErrorCode::kBadModel, "session file: a cluster's figure is not a number");
  return values;
}

LayerClusters take_layer(io::ByteReader& in, const io::SessionHeader& session, uint32_t tokens) {
  LayerClusters layer;
  ops::ClusterSummaries& s = layer.summaries;
  s.clusters = in.read<int32_t>();
  if (s.clusters < 1 || static_cast<uint32_t>(s.clusters) > std::min(tokens, session.clusters))
    throw Error(ErrorCode::kBadModel, "session file: a segment has an impossible number of clusters");
  s.stride = (s.clusters + kLanes - 1) / kLanes * kLanes;
  const uint64_t columns = uint64_t{session.kv_heads} * session.head_dim,
                 stride = static_cast<uint64_t>(s.stride);
  layer.begin = take<int32_t>(in, static_cast<uint64_t>(s.clusters) + 1);
  layer.order = take<uint16_t>(in, tokens);
  layer.mean = take_finite(in, columns);
  s.means = take<int8_t>(in, columns * stride);
  s.scales = take_finite(in, session.kv_heads * stride);
  s.radii = take_finite(in, session.kv_heads * stride);
  if (session.moments != 0) {
    layer.moments.value_means = take<int8_t>(in, session.kv_heads * stride * session.v_stride());
    layer.moments.value_scales = take_finite(in, session.kv_heads * stride);
    layer.moments.spreads = take_finite(in, session.kv_heads * stride);
    layer.moments.variance = take_finite(in, columns);
  }
  const std::string violation = find_violation(layer, tokens);
  if (!violation.empty()) throw Error(ErrorCode::kBadModel, "session file: " + violation);
  return layer;
}

}  // namespace

std::vector<uint8_t> encode_index(const CellIndex& index) {
  std::vector<uint8_t> out;
  put(out, index.sums);
  if (!index.segment) return out;
  put(out, &index.segment->summed, 1);
  for (const LayerClusters& layer : index.segment->layers) {
    put(out, &layer.summaries.clusters, 1);
    put(out, layer.begin);
    put(out, layer.order);
    put(out, layer.mean);
    put(out, layer.summaries.means);
    put(out, layer.summaries.scales);
    put(out, layer.summaries.radii);
    put(out, layer.moments.value_means);
    put(out, layer.moments.value_scales);
    put(out, layer.moments.spreads);
    put(out, layer.moments.variance);
  }
  return out;
}

CellIndex decode_index(std::string_view bytes, const io::SessionHeader& session, const io::CellHeader& cell) {
  io::ByteReader in(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  CellIndex index;
  index.sums = take<uint64_t>(in, uint64_t{session.layers} * cell.pages(session));
  if (cell.kind == io::CellKind::kSealed) {
    auto segment = std::make_shared<Segment>();
    segment->tokens = cell.tokens;
    segment->summed = in.read<uint64_t>();
    if (segment->summed < segment->tokens || segment->summed > kMostTokens)
      throw Error(ErrorCode::kBadModel, "session file: a mean over an impossible number of tokens");
    for (uint32_t i = 0; i < session.layers; ++i)
      segment->layers.push_back(take_layer(in, session, cell.tokens));
    index.segment = std::move(segment);
  }
  if (in.remaining() != 0) throw Error(ErrorCode::kBadModel, "session file: an index is too long");
  return index;
}

}  // namespace ev::kv
