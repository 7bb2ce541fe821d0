#include "kv/recovery.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

namespace ev::kv {
namespace {

using Whole = std::function<bool(const Cell&)>;
using Cells = std::vector<CellPtr>;

// The last parts of one save, in order and without a gap; empty when one is missing or damaged.
Cells complete(Cells parts, const Whole& whole) {
  const auto before = [](const CellPtr& a, const CellPtr& b) { return a->header.part < b->header.part; };
  std::sort(parts.begin(), parts.end(), before);
  const uint32_t first = parts.front()->header.part;
  for (uint32_t i = 0; i < parts.size(); ++i) {
    const io::CellHeader& h = parts[i]->header;
    if (h.parts != first + parts.size() || h.part != first + i ||
        (i > 0 && h.first_position != parts[i - 1]->end()) || !whole(*parts[i]))
      return {};
  }
  return parts;
}

// The newest of the saves that have complete last parts, of those cells that `fits` says yes for, and begin
// at `begin` or, when that is none, anywhere.
template <class Fits>
Cells newest_save(const Cells& cells, const Fits& fits, std::optional<uint64_t> begin, const Whole& whole) {
  std::map<uint64_t, Cells, std::greater<>> saves;
  for (const CellPtr& cell : cells)
    if (cell->header.kind == io::CellKind::kPlain && fits(cell->header.first_position))
      saves[cell->header.serial].push_back(cell);
  for (auto& [serial, parts] : saves) {
    Cells found = complete(std::move(parts), whole);
    if (!found.empty() && (!begin || found.front()->header.first_position == *begin)) return found;
  }
  return {};
}

// Segments are written in order of position, so a later one has the higher serial: what contradicts that was
// taken back.
Cells newest_run(Cells cells, const Whole& whole) {
  const auto newer = [](const CellPtr& a, const CellPtr& b) { return a->header.serial > b->header.serial; };
  std::sort(cells.begin(), cells.end(), newer);
  Cells run;
  for (const CellPtr& cell : cells) {
    if (cell->header.kind != io::CellKind::kSealed) continue;
    if (!run.empty() && cell->header.first_position >= run.back()->header.first_position) continue;
    const bool joins = run.empty() || cell->end() == run.back()->header.first_position;
    if (joins && whole(*cell)) {
      run.push_back(cell);
    } else if (!run.empty()) {
      break;
    }
  }
  std::reverse(run.begin(), run.end());
  return run;
}

}  // namespace

Recovered choose_cells(const std::vector<CellPtr>& cells, uint32_t sinks, const Whole& whole) {
  Recovered out;
  if (sinks > 0) {
    const auto before_end = [sinks](uint64_t at) { return at < sinks; };
    out.sinks = newest_save(cells, before_end, 0, whole);
    if (out.sinks.empty() || out.sinks.back()->end() != sinks) return out;
  }
  out.segments = newest_run(cells, whole);
  std::optional<uint64_t> begin;
  if (!out.segments.empty()) begin = out.segments.back()->end();
  out.tail =
      newest_save(cells, [least = begin.value_or(sinks)](uint64_t at) { return at >= least; }, begin, whole);
  return out;
}

}  // namespace ev::kv
