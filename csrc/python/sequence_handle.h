// A Sequence that several Python threads may hold: one call at a time, nothing after close().
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "decoder/sequence.h"
#include "python/array.h"

namespace ev::python {

class SequenceHandle {
 public:
  using Append =
      std::function<void(decoder::Sequence&, decoder::LogitRows, MatrixRef<float>, const RunLimits&)>;

  explicit SequenceHandle(std::unique_ptr<decoder::Sequence> sequence) : sequence_(std::move(sequence)) {}

  // Logits [rows, vocab] of appending m rows. Asks Python for Ctrl-C and `cancel` on the way.
  pybind11::array_t<float> append(int64_t m, const std::string& logits, pybind11::object cancel,
                                  std::optional<double> deadline_s, const Append& append_to);

  // Calls fn on the sequence with the GIL released.
  template <class Fn>
  auto use(const Fn& fn) {
    const pybind11::gil_scoped_release no_gil;
    const std::lock_guard<std::mutex> lock(mutex_);
    return fn(open());
  }

  // The same for what needs the GIL. Taken after the lock, which a running call holds without it.
  template <class Fn>
  auto read(const Fn& fn) {
    return use([&](decoder::Sequence& s) {
      const pybind11::gil_scoped_acquire gil;
      return fn(s);
    });
  }

  void close();

 private:
  decoder::Sequence& open();

  std::mutex mutex_;
  std::unique_ptr<decoder::Sequence> sequence_;
};

// Session files: saving, marks, what lies where.
void bind_session(pybind11::class_<SequenceHandle>& sequence);

}  // namespace ev::python
