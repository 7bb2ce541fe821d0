#include "decoder/grammar_automaton.h"

#include <algorithm>
#include <unordered_set>

#include "base/error.h"

namespace ev::decoder {
namespace {

using Op = GrammarStep::Op;

constexpr uint32_t kMaxDepth = 512;
constexpr size_t kMaxFollowed = 1u << 14;  // steps to make one state
constexpr size_t kMaxStates = 1u << 16;
constexpr size_t kMaxAllConfigurations = 1u << 22;
constexpr size_t kMaxFrames = 1u << 20;
constexpr size_t kTrimStates = 1u << 13;
constexpr size_t kTrimConfigurations = 1u << 19;
constexpr size_t kTrimFrames = 1u << 17;

constexpr uint32_t kNoFrame = 0;                  // the caller of the root rule
constexpr GrammarAutomaton::State kUnknown = -2;  // a transition not taken yet

uint64_t key_of(uint32_t a, uint32_t b) {
  return uint64_t{a} << 32 | b;
}

[[noreturn]] void fail_limit(const char* what) {
  throw Error(ErrorCode::kInvalidArgument,
              std::string("the grammar is too ambiguous to follow: too many ") + what);
}

}  // namespace

// Follows all steps that consume nothing, down to those that wait for a byte.
class GrammarAutomaton::Closure {
 public:
  explicit Closure(GrammarAutomaton& automaton) : automaton_(automaton), steps_(automaton.program_->steps) {}

  void add(uint32_t step, uint32_t frame) {
    push(step, frame);
    while (!open_.empty()) {
      const auto [at, above] = open_.back();
      open_.pop_back();
      follow(at, above);
    }
  }

  StateData take() {
    std::sort(state_.configurations.begin(), state_.configurations.end());
    return std::move(state_);
  }

 private:
  void push(uint32_t step, uint32_t frame) {
    if (!seen_.insert(key_of(step, frame)).second) return;
    if (seen_.size() > kMaxFollowed) fail_limit("parallel readings");
    open_.emplace_back(step, frame);
  }

  void follow(uint32_t at, uint32_t frame) {
    const GrammarStep& step = steps_[at];
    switch (step.op) {
      case Op::kByte: state_.configurations.emplace_back(at, frame); break;
      case Op::kSplit:
        push(at + 1, frame);
        push(step.target, frame);
        break;
      case Op::kJump: push(step.target, frame); break;
      case Op::kCall: call(step.target, at + 1, frame); break;
      case Op::kReturn:
        if (frame == kNoFrame) {
          state_.may_end = true;
        } else {
          push(automaton_.frames_[frame].return_to, automaton_.frames_[frame].parent);
        }
        break;
    }
  }

  // A call at the end of a rule needs no frame of its own: repetition by recursion then takes no depth.
  void call(uint32_t target, uint32_t return_to, uint32_t frame) {
    while (steps_[return_to].op == Op::kJump) return_to = steps_[return_to].target;
    if (steps_[return_to].op == Op::kReturn) return push(target, frame);
    if (automaton_.frames_[frame].depth >= kMaxDepth) return;
    push(target, automaton_.frame(return_to, frame));
  }

  GrammarAutomaton& automaton_;
  const std::vector<GrammarStep>& steps_;
  StateData state_;
  std::vector<Configuration> open_;
  std::unordered_set<uint64_t> seen_;
};

GrammarAutomaton::GrammarAutomaton(std::shared_ptr<const GrammarProgram> program)
    : program_(std::move(program)) {
  frames_.push_back({0, 0, 0});
  Closure closure(*this);
  closure.add(program_->start, kNoFrame);
  start_ = intern(closure.take());
  if (start_ == kDead)
    throw Error(ErrorCode::kInvalidArgument, "the grammar nests its rules too deeply to begin");
}

uint32_t GrammarAutomaton::frame(uint32_t return_to, uint32_t parent) {
  const auto [it, is_new] =
      frame_index_.emplace(key_of(return_to, parent), static_cast<uint32_t>(frames_.size()));
  if (is_new) {
    if (frames_.size() >= kMaxFrames) fail_limit("nested rules");
    frames_.push_back({return_to, parent, frames_[parent].depth + 1});
  }
  return it->second;
}

GrammarAutomaton::State GrammarAutomaton::intern(StateData data) {
  if (data.configurations.empty() && !data.may_end) return kDead;
  uint64_t hash = data.may_end ? 1 : 0;
  for (const auto& [step, frame] : data.configurations)
    hash = (hash ^ key_of(step, frame)) * 0x9E3779B97F4A7C15u;
  hash ^= hash >> 32;
  const auto [first, last] = state_index_.equal_range(hash);
  for (auto it = first; it != last; ++it)
    if (at(it->second) == data) return it->second;
  if (states_.size() >= kMaxStates || configurations_ + data.configurations.size() > kMaxAllConfigurations)
    fail_limit("states");
  configurations_ += data.configurations.size();
  const auto state = static_cast<State>(states_.size());
  states_.push_back(std::move(data));
  transitions_.resize(transitions_.size() + program_->n_classes, kUnknown);
  state_index_.emplace(hash, state);
  return state;
}

GrammarAutomaton::State GrammarAutomaton::next(State state, uint8_t byte) {
  const size_t cell = static_cast<size_t>(state) * program_->n_classes + program_->byte_class[byte];
  if (transitions_[cell] == kUnknown) {
    const State reached = step(state, byte);
    transitions_[cell] = reached;
  }
  return transitions_[cell];
}

GrammarAutomaton::State GrammarAutomaton::step(State state, uint8_t byte) {
  Closure closure(*this);
  for (const auto& [at_step, frame_above] : at(state).configurations) {
    const GrammarStep& waiting = program_->steps[at_step];
    if (waiting.low <= byte && byte <= waiting.high) closure.add(at_step + 1, frame_above);
  }
  return intern(closure.take());
}

bool GrammarAutomaton::trim(State& keep) {
  if (states_.size() < kTrimStates && configurations_ < kTrimConfigurations && frames_.size() < kTrimFrames)
    return false;
  const std::vector<Frame> old_frames = std::move(frames_);
  const StateData kept = std::move(states_[static_cast<size_t>(keep)]);
  *this = GrammarAutomaton(program_);
  StateData copy;
  copy.may_end = kept.may_end;
  for (const auto& [step, frame_above] : kept.configurations)
    copy.configurations.emplace_back(step, copy_frame(old_frames, frame_above));
  std::sort(copy.configurations.begin(), copy.configurations.end());
  keep = intern(std::move(copy));
  return true;
}

uint32_t GrammarAutomaton::copy_frame(const std::vector<Frame>& from, uint32_t index) {
  if (index == kNoFrame) return kNoFrame;
  const uint32_t parent = copy_frame(from, from[index].parent);  // at most kMaxDepth deep
  return frame(from[index].return_to, parent);
}

}  // namespace ev::decoder
