#include "io/session_format.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "base/error.h"
#include "io/byte_reader.h"
#include "io/checksum.h"

namespace ev::io {
namespace {

constexpr char kSessionMagic[] = "EVIDKVS\n", kCellMagic[] = "EVIDCEL\n";  // 8 bytes each
constexpr size_t kMagicBytes = 8;
constexpr uint32_t kVersion = 2;
constexpr uint32_t kLanes = 16;
constexpr uint64_t kScaleDims = 32, kScaleBytes = 2;  // of keys in int8; a value has one scale

// Beyond these no model goes; they keep all sizes far from overflow.
constexpr uint32_t kMostLayers = 4096, kMostHeads = 4096, kMostDim = 4096, kMostTokens = 65536;
constexpr uint64_t kMostSerial = uint64_t{1} << 36;  // a cell per millisecond for two years

uint64_t padded(uint64_t bytes) {
  return (bytes + kSessionBlock - 1) / kSessionBlock * kSessionBlock;
}

class Writer {
 public:
  explicit Writer(const char* magic) { put_bytes(magic, kMagicBytes); }

  template <class T>
  Writer& put(T value) {
    put_bytes(&value, sizeof(T));
    return *this;
  }
  SessionBlock sealed() {
    put(checksum(block_.data(), at_));
    return block_;
  }

 private:
  void put_bytes(const void* from, size_t n) {
    std::memcpy(block_.data() + at_, from, n);
    at_ += n;
  }

  SessionBlock block_{};
  size_t at_ = 0;
};

bool sum_matches(std::string_view bytes, ByteReader& reader) {
  const uint64_t want = checksum(bytes.data(), reader.position());
  return reader.read<uint64_t>() == want;
}

void require_sound(bool ok, const char* what) {
  if (!ok) throw Error(ErrorCode::kBadModel, std::string("session file: ") + what);
}

}  // namespace

bool SessionHeader::operator==(const SessionHeader& o) const {
  const auto all = [](const SessionHeader& h) {
    return std::tie(h.model, h.layers, h.kv_heads, h.head_dim, h.element_bytes, h.page_size, h.cell_pages,
                    h.sinks, h.hamming, h.clusters, h.centred, h.rotated, h.moments, h.seed);
  };
  return all(*this) == all(o);
}

const char* SessionHeader::type_name() const {
  return element_bytes == 1 ? "int8" : element_bytes == 2 ? "f16" : "f32";
}

uint32_t SessionHeader::cluster_stride() const {
  return (std::min(clusters, cell_tokens()) + kLanes - 1) / kLanes * kLanes;
}

uint32_t SessionHeader::v_stride() const {
  return (head_dim + kLanes - 1) / kLanes * kLanes;
}

uint64_t SessionHeader::layer_bytes() const {
  const uint64_t scales = element_bytes == 1 ? (head_dim + kScaleDims - 1) / kScaleDims + 1 : 0;
  const uint64_t elements = uint64_t{head_dim} + v_stride();
  return uint64_t{kv_heads} * page_size * (elements * element_bytes + scales * kScaleBytes);
}

uint64_t SessionHeader::unit_bytes() const {
  return padded(layer_bytes());
}

uint64_t SessionHeader::index_bytes() const {
  return padded(index_bytes(cluster_stride()));
}

uint64_t SessionHeader::index_bytes(uint32_t stride) const {
  const uint64_t columns = uint64_t{kv_heads} * head_dim;
  const uint64_t means = 4 * columns * (moments != 0 ? 2 : 1);  // of keys, and variances
  const uint64_t lists = 4 * 2 + 2 * uint64_t{cell_tokens()};
  return 8 + layers * (8 * uint64_t{cell_pages} + means + lists) + stride * column_bytes();
}

uint64_t SessionHeader::column_bytes() const {
  const uint64_t values = moments != 0 ? v_stride() + 8 : 0;
  return layers * (kv_heads * (head_dim + 8 + values) + 4);
}

SessionBlock encode(const SessionHeader& h) {
  Writer out(kSessionMagic);
  out.put(kVersion).put(h.layers).put(h.model).put(h.seed);
  for (const uint32_t value : {h.kv_heads, h.head_dim, h.element_bytes, h.page_size, h.cell_pages, h.sinks,
                               h.hamming, h.clusters, h.centred, h.rotated, h.moments})
    out.put(value);
  return out.sealed();
}

SessionHeader parse_session_header(std::string_view bytes) {
  ByteReader in(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  require_sound(
      bytes.size() >= kSessionBlock && in.read_bytes(kMagicBytes) == std::string_view(kSessionMagic),
      "this is not a session file");
  require_sound(in.read<uint32_t>() == kVersion, "it has another version of the format");
  SessionHeader h;
  h.layers = in.read<uint32_t>();
  h.model = in.read<uint64_t>();
  h.seed = in.read<uint64_t>();
  for (uint32_t* value : {&h.kv_heads, &h.head_dim, &h.element_bytes, &h.page_size, &h.cell_pages, &h.sinks,
                          &h.hamming, &h.clusters, &h.centred, &h.rotated, &h.moments})
    *value = in.read<uint32_t>();
  require_sound(sum_matches(bytes, in), "its header is damaged");
  const auto within = [](uint32_t value, uint32_t most) { return value >= 1 && value <= most; };
  require_sound(within(h.layers, kMostLayers) && within(h.kv_heads, kMostHeads) &&
                    within(h.head_dim, kMostDim) &&
                    (h.element_bytes == 1 || h.element_bytes == 2 || h.element_bytes == 4) &&
                    within(h.page_size, kMostTokens) && within(h.cell_pages, kMostTokens) &&
                    uint64_t{h.cell_pages} * h.page_size <= kMostTokens,
                "its sizes are impossible");
  return h;
}

SessionBlock encode(const CellHeader& h) {
  Writer out(kCellMagic);
  out.put(h.serial).put(static_cast<uint32_t>(h.kind)).put(h.tokens).put(h.first_position);
  out.put(h.part).put(h.parts).put(h.mark).put(h.index_sum).put(h.index_bytes);
  return out.sealed();
}

bool parse_cell_header(std::string_view bytes, const SessionHeader& session, CellHeader& h) {
  if (bytes.size() < kSessionBlock) return false;
  ByteReader in(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (in.read_bytes(kMagicBytes) != std::string_view(kCellMagic)) return false;
  h.serial = in.read<uint64_t>();
  h.kind = static_cast<CellKind>(in.read<uint32_t>());
  h.tokens = in.read<uint32_t>();
  h.first_position = in.read<uint64_t>();
  h.part = in.read<uint32_t>();
  h.parts = in.read<uint32_t>();
  h.mark = in.read<uint64_t>();
  h.index_sum = in.read<uint64_t>();
  h.index_bytes = in.read<uint32_t>();
  return sum_matches(bytes, in) && (h.kind == CellKind::kPlain || h.kind == CellKind::kSealed) &&
         h.tokens >= 1 && h.tokens <= session.cell_tokens() &&
         (h.kind == CellKind::kPlain || h.tokens == session.cell_tokens()) && h.part < h.parts &&
         h.serial < kMostSerial && h.index_bytes <= session.index_bytes() &&
         h.first_position <= uint64_t{1} << 31;
}

}  // namespace ev::io
