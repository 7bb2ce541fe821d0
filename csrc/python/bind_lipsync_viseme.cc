// edgevid._native.lipsync: VisemeNet.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <mutex>
#include <string_view>

#include "base/error.h"
#include "lipsync/viseme_net.h"
#include "python/array.h"

namespace py = pybind11;

namespace ev::python {
namespace {

using lipsync::VisemeStream;
using lipsync::VisemeWeights;

Floats array_of(const std::vector<float>& values, std::vector<py::ssize_t> shape) {
  Floats out(std::move(shape));
  std::copy(values.begin(), values.end(), out.mutable_data());
  return out;
}

std::shared_ptr<VisemeWeights> parse(const py::bytes& bytes) {
  const auto view = static_cast<std::string_view>(bytes);
  return VisemeWeights::parse(reinterpret_cast<const uint8_t*>(view.data()), view.size());
}

// A stream under a lock: its calls let other Python threads run.
class StreamHandle {
 public:
  explicit StreamHandle(std::shared_ptr<VisemeWeights> weights)
      : params_(weights->params), stream_(std::move(weights)) {}

  Floats push(const Floats& rows) {
    require(rows.ndim() == 2, "VisemeNet: rows are [n, bands]");
    std::vector<float> values;
    {
      const py::gil_scoped_release unlocked;
      const std::lock_guard<std::mutex> lock(mutex_);
      values = stream_.push({rows.data(), rows.shape(0), rows.shape(1)});
    }
    return array_of(values, {static_cast<py::ssize_t>(values.size()) / params_, params_});
  }

  void reset() {
    const py::gil_scoped_release unlocked;
    const std::lock_guard<std::mutex> lock(mutex_);
    stream_.reset();
  }

 private:
  int64_t params_;
  VisemeStream stream_;
  std::mutex mutex_;
};

}  // namespace

void bind_lipsync_viseme(py::module_& root) {
  py::module_ m = root.def_submodule("lipsync", "Native parts of dubbing.");
  py::class_<VisemeWeights, std::shared_ptr<VisemeWeights>>(m, "VisemeWeights")
      .def(py::init(&parse), py::arg("bytes"))
      .def_property_readonly("lip_mean",
                             [](const VisemeWeights& w) { return array_of(w.lip_mean, {w.lip_points, 2}); })
      .def_property_readonly(
          "lip_directions",
          [](const VisemeWeights& w) { return array_of(w.lip_directions, {w.params, w.lip_points, 2}); })
      .def_property_readonly(
          "targets", [](const VisemeWeights& w) { return array_of(w.targets, {w.visemes, w.params}); });
  py::class_<StreamHandle>(m, "VisemeStream")
      .def(py::init<std::shared_ptr<VisemeWeights>>(), py::arg("weights"))
      .def("push", &StreamHandle::push, py::arg("rows"))
      .def("reset", &StreamHandle::reset);
}

}  // namespace ev::python
