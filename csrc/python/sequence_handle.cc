#include "python/sequence_handle.h"

#include <algorithm>
#include <chrono>

namespace py = pybind11;

namespace ev::python {
namespace {

using decoder::LogitRows;
using decoder::Sequence;
using Clock = std::chrono::steady_clock;

// Asks Python for Ctrl-C and the caller's cancel object between layers, rarely enough not to wait for the GIL
// often.
class PythonPoll {
 public:
  explicit PythonPoll(py::object cancel) : cancel_(std::move(cancel)) { ask(); }

  void operator()() {
    if (Clock::now() - asked_ < kPeriod) return;
    const py::gil_scoped_acquire gil;
    ask();
  }

 private:
  static constexpr std::chrono::milliseconds kPeriod{50};

  void ask() {
    asked_ = Clock::now();
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!cancel_.is_none() && cancel_.attr("is_set")().cast<bool>())
      throw Error(ErrorCode::kCancelled, "cancelled by the caller");
  }

  py::object cancel_;
  Clock::time_point asked_;
};

std::chrono::nanoseconds seconds(double s) {
  constexpr double kLongest = 1e9;
  return std::chrono::nanoseconds(s > 0 ? static_cast<int64_t>(std::min(s, kLongest) * 1e9) : 0);
}

LogitRows parse_rows(const std::string& logits) {
  if (logits == "last") return LogitRows::kLast;
  if (logits == "all") return LogitRows::kAll;
  if (logits == "none") return LogitRows::kNone;
  throw Error(ErrorCode::kInvalidArgument, "logits must be 'last', 'all' or 'none', not '" + logits + "'");
}

}  // namespace

py::array_t<float> SequenceHandle::append(int64_t m, const std::string& logits, py::object cancel,
                                          std::optional<double> deadline_s, const Append& append_to) {
  const LogitRows which = parse_rows(logits);
  const uint32_t vocab = use([](Sequence& s) { return s.decoder().config().vocab; });
  py::array_t<float> out({Sequence::rows_for(which, m), int64_t{vocab}});
  const MatrixRef<float> rows(out.mutable_data(), out.shape(0), out.shape(1));
  PythonPoll poll(std::move(cancel));
  RunLimits limits;
  limits.poll = [&poll] { poll(); };
  if (deadline_s) limits.deadline = Clock::now() + seconds(*deadline_s);
  use([&](Sequence& s) { append_to(s, which, rows, limits); });
  return out;
}

void SequenceHandle::close() {
  const py::gil_scoped_release no_gil;
  const std::lock_guard<std::mutex> lock(mutex_);
  sequence_.reset();
}

Sequence& SequenceHandle::open() {
  if (!sequence_) throw Error(ErrorCode::kInvalidArgument, "the sequence is closed");
  return *sequence_;
}

}  // namespace ev::python
