// Matches a GrammarProgram byte by byte as a deterministic automaton whose states are built when first met,
// so that walking a whole vocabulary costs little more than one table look-up per byte.
//
//   configuration = (step that waits for a byte, frame)     frame = where the rule returns to, and the frame
//   above it state         = set of configurations + "the text may end here"
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "decoder/grammar_program.h"

namespace ev::decoder {

// Copyable; copies share the program only. Not thread-safe.
class GrammarAutomaton {
 public:
  using State = int32_t;
  static constexpr State kDead = -1;

  // Throws Error(kInvalidArgument) when the grammar has no first byte within these limits.
  explicit GrammarAutomaton(std::shared_ptr<const GrammarProgram> program);

  State start() const { return start_; }
  // kDead when no text goes on like this. Rules nested deeper than 512 count as dead ends. Throws
  // Error(kInvalidArgument) when the grammar is so ambiguous that a state needs over 16384 steps to make, or
  // when states take too much memory (limits in the .cc).
  State next(State state, uint8_t byte);
  bool may_end(State state) const { return at(state).may_end; }
  bool must_end(State state) const { return at(state).configurations.empty(); }

  // Once many states have gathered, forgets all but `keep`, which gets a new name, and returns true.
  bool trim(State& keep);

 private:
  using Configuration = std::pair<uint32_t, uint32_t>;  // step, frame
  struct Frame {
    uint32_t return_to;
    uint32_t parent;
    uint32_t depth;
  };
  struct StateData {
    std::vector<Configuration> configurations;  // ascending
    bool may_end = false;
    bool operator==(const StateData& o) const {
      return may_end == o.may_end && configurations == o.configurations;
    }
  };
  class Closure;

  const StateData& at(State s) const { return states_[static_cast<size_t>(s)]; }
  State intern(StateData data);
  State step(State state, uint8_t byte);
  uint32_t frame(uint32_t return_to, uint32_t parent);
  uint32_t copy_frame(const std::vector<Frame>& from, uint32_t index);

  std::shared_ptr<const GrammarProgram> program_;
  State start_ = kDead;
  std::vector<Frame> frames_;                           // frames_[0] is the root's caller
  std::unordered_map<uint64_t, uint32_t> frame_index_;  // return_to << 32 | parent
  std::vector<StateData> states_;
  std::unordered_multimap<uint64_t, State> state_index_;  // by hash
  std::vector<State> transitions_;                        // [state][byte class]
  size_t configurations_ = 0;                             // of all states
};

}  // namespace ev::decoder
