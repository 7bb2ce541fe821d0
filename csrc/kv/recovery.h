// Which of the whole cells in a session file make up the state it resumes from.
#pragma once

#include <functional>
#include <vector>

#include "kv/session_file.h"

namespace ev::kv {

// `whole` reads a cell's tokens and says whether they are as written; asked of candidates only.
//   - sinks: the newest complete set of plain cells from position 0 on;
//   - segments: the newest whole one, and those before it up to the first that is missing. What is older
//     counts as dropped by the window. None when the sinks are not complete;
//   - tail: of the newest save possible, the parts that follow the segments: what a save wrote before the
//   last
//     segments were sealed still counts. With no segments it may begin anywhere: the window has moved on.
Recovered choose_cells(const std::vector<CellPtr>& cells, uint32_t sinks,
                       const std::function<bool(const Cell&)>& whole);

}  // namespace ev::kv
