// A cell's index as bytes: the checksums of its pages and, of a sealed segment, its clusters
// (docs/FORMATS.md).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "io/session_format.h"
#include "kv/sealing.h"

namespace ev::kv {

struct CellIndex {
  std::vector<uint64_t> sums;  // of the padded layer pages, [layers, pages]
  SegmentPtr segment;          // null for a plain cell
};

std::vector<uint8_t> encode_index(const CellIndex& index);

// Throws Error(kBadModel) for anything that encode_index() does not write for such a cell.
CellIndex decode_index(std::string_view bytes, const io::SessionHeader& session, const io::CellHeader& cell);

}  // namespace ev::kv
