// The bytes of a session file: what a KV cache leaves on the disk. Layout and rules: docs/FORMATS.md.
//
//   [ header 4 KiB ][ cell 0 ][ cell 1 ] ...        all cells of one size, all parts at multiples of 4 KiB
//   cell   [ header 4 KiB ][ index ][ layer 0: page 0 | page 1 ... ][ layer 1 ... ] ...
//
// A layer's page is its K plane and V plane as in RAM (ops/kv_pages.h), padded to 4 KiB: read with one pread
// into a slot. A cell is written before its header, so that what has a valid header is whole; a free cell has
// none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ev::io {

constexpr size_t kSessionBlock = 4096;
using SessionBlock = std::array<uint8_t, kSessionBlock>;

// What a session can be resumed with; two sessions go together when all of it is equal.
struct SessionHeader {
  uint64_t model = 0;  // fingerprint of the weights
  uint32_t layers = 0, kv_heads = 0, head_dim = 0;
  uint32_t element_bytes = 2;  // 1: int8 with scales, 2: f16, 4: f32
  uint32_t page_size = 0;      // tokens
  uint32_t cell_pages = 0;     // pages of a segment
  uint32_t sinks = 0;          // tokens
  uint32_t hamming = 0;
  uint32_t clusters = 0;  // most of a segment
  uint32_t centred = 0, rotated = 0;
  uint32_t moments = 0;  // 1: clusters have mean values and spreads
  uint64_t seed = 0;

  bool operator==(const SessionHeader& o) const;
  const char* type_name() const;  // of the elements, as users know it

  uint32_t cell_tokens() const { return cell_pages * page_size; }
  uint32_t v_stride() const;                    // head_dim rounded up to 16
  uint32_t cluster_stride() const;              // most clusters of a segment, rounded up to 16
  uint64_t layer_bytes() const;                 // of one layer of a page
  uint64_t unit_bytes() const;                  // the same padded
  uint64_t index_bytes() const;                 // most that an index takes, padded
  uint64_t index_bytes(uint32_t stride) const;  // of clusters rounded up to `stride` in each layer
  uint64_t column_bytes() const;                // of them for one more cluster in each layer
  uint64_t cell_bytes() const { return kSessionBlock + index_bytes() + unit_bytes() * layers * cell_pages; }
  uint64_t cell_at(uint64_t cell) const { return kSessionBlock + cell * cell_bytes(); }
  uint64_t unit_at(uint64_t cell, uint32_t layer, uint32_t page) const {
    return cell_at(cell) + kSessionBlock + index_bytes() +
           (uint64_t{layer} * cell_pages + page) * unit_bytes();
  }
};

enum class CellKind : uint32_t {
  kPlain = 1,   // tokens in order: the sinks, or the newest ones at a save
  kSealed = 2,  // a sealed segment
};

struct CellHeader {
  uint64_t serial = 0;  // grows from cell to cell written; equal for the parts of one save
  CellKind kind = CellKind::kPlain;
  uint32_t tokens = 0;          // 1 .. cell_tokens; of a sealed segment all
  uint64_t first_position = 0;  // of the tokens in their stream
  uint32_t part = 0, parts = 1;
  uint64_t mark = 0;         // the application's, of the newest token here; 0: none
  uint32_t index_bytes = 0;  // used
  uint64_t index_sum = 0;

  uint32_t pages(const SessionHeader& session) const {
    return (tokens + session.page_size - 1) / session.page_size;
  }
};

SessionBlock encode(const SessionHeader& header);
SessionBlock encode(const CellHeader& header);

// Throws Error(kBadModel) naming what is wrong: not a session file, a newer version, damage, or sizes beyond
// any model's.
SessionHeader parse_session_header(std::string_view bytes);
// False for bytes that are no valid header of a cell in this session.
bool parse_cell_header(std::string_view bytes, const SessionHeader& session, CellHeader& out);

}  // namespace ev::io
