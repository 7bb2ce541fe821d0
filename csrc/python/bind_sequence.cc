// Sequence for Python: convert, release the GIL, call.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kv/attended_mass.h"
#include "python/retrieval.h"
#include "python/sequence_handle.h"

namespace py = pybind11;

namespace ev::python {
namespace {

using decoder::LogitRows;
using decoder::Sequence;
using decoder::TokenId;

std::unique_ptr<SequenceHandle> fork(SequenceHandle& handle, const std::optional<py::dict>& retrieval,
                                     bool attended) {
  std::optional<Retrieval> chosen;
  if (retrieval) chosen = parse_retrieval(*retrieval);
  return std::make_unique<SequenceHandle>(handle.use([&](Sequence& s) {
    std::unique_ptr<kv::Selection> selection =
        chosen ? chosen->selection(s.decoder()) : s.selection().clone();
    if (attended) selection = std::make_unique<kv::AttendedMass>(std::move(selection));
    return s.fork(std::move(selection), chosen ? chosen->sealer(s.decoder()) : nullptr);
  }));
}

py::dict kv_dict(SequenceHandle& handle) {
  return handle.read([](Sequence& s) {
    const kv::KvCache& cache = s.cache();
    const uint64_t pages = cache.pages().size() + cache.unshifted_sinks().size();
    py::dict out;
    out["tokens"] = cache.kept();
    out["seen"] = cache.length();
    out["pages"] = pages;
    out["bytes"] = pages * cache.layout().page_bytes();
    out["selection"] = s.selection().name();
    return out;
  });
}

}  // namespace

void bind_sequence(py::module_& m) {
  py::class_<SequenceHandle> sequence(m, "Sequence");
  sequence
      .def(
          "append_tokens",
          [](SequenceHandle& self, const std::vector<TokenId>& ids, const std::string& logits,
             py::object cancel, std::optional<double> deadline_s) {
            return self.append(static_cast<int64_t>(ids.size()), logits, std::move(cancel), deadline_s,
                               [&](Sequence& s, LogitRows which, MatrixRef<float> out,
                                   const RunLimits& limits) { s.append_tokens(ids, which, out, limits); });
          },
          py::arg("ids"), py::kw_only(), py::arg("logits") = "last", py::arg("cancel") = py::none(),
          py::arg("deadline_s") = py::none())
      .def(
          "append_rows",
          [](SequenceHandle& self, const Floats& rows, const std::string& logits, py::object cancel,
             std::optional<double> deadline_s) {
            if (rows.ndim() != 2) throw Error(ErrorCode::kInvalidArgument, "rows must have two dimensions");
            const MatrixRef<const float> in(rows.data(), rows.shape(0), rows.shape(1));
            return self.append(in.rows, logits, std::move(cancel), deadline_s,
                               [&](Sequence& s, LogitRows which, MatrixRef<float> out,
                                   const RunLimits& limits) { s.append_rows(in, which, out, limits); });
          },
          py::arg("rows"), py::kw_only(), py::arg("logits") = "last", py::arg("cancel") = py::none(),
          py::arg("deadline_s") = py::none())
      .def("fork", &fork, py::arg("retrieval") = py::none(), py::arg("attended") = false)
      .def(
          "repeated",
          [](SequenceHandle& self, uint32_t times) {
            return std::make_unique<SequenceHandle>(self.use([=](Sequence& s) { return s.repeated(times); }));
          })
      .def("truncate",
           [](SequenceHandle& self, uint64_t length) { self.use([=](Sequence& s) { s.truncate(length); }); })
      .def("close", &SequenceHandle::close)
      .def_property_readonly(
          "attention_s",
          [](SequenceHandle& self) {
            return self.use([](Sequence& s) { return static_cast<double>(s.attention_ns()) * 1e-9; });
          })
      .def_property_readonly(
          "length", [](SequenceHandle& self) { return self.use([](Sequence& s) { return s.length(); }); })
      .def("kv", &kv_dict);
  bind_retrieval(sequence);
  bind_session(sequence);
}

}  // namespace ev::python
