// Memory that runs out: while a FailingMemory lives, the allocation number `after` (from 0) of this thread
// throws.
#pragma once

namespace ev::testing {

class FailingMemory {
 public:
  explicit FailingMemory(int after);
  ~FailingMemory();
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;
};

}  // namespace ev::testing
