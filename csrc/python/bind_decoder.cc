// Decoder for Python: convert, release the GIL, call.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "decoder/decoder.h"
#include "decoder/sequence.h"
#include "decoder/session.h"
#include "kv/tracing.h"
#include "ops/dequantize.h"
#include "python/retrieval.h"
#include "python/sequence_handle.h"

namespace py = pybind11;

namespace ev::python {
namespace {

using decoder::Decoder;
using decoder::Sequence;
using decoder::TokenId;

py::dict config_dict(const Decoder& d) {
  const decoder::ModelConfig& c = d.config();
  const io::GgufValue* chat = d.file().find("tokenizer.chat_template");
  const auto* text = chat != nullptr ? std::get_if<std::string>(chat) : nullptr;
  py::dict out;
  out["architecture"] = c.architecture;
  out["layers"] = c.n_layers;
  out["hidden"] = c.hidden;
  out["heads"] = c.n_heads;
  out["kv_heads"] = c.n_kv_heads;
  out["head_dim"] = c.head_dim;
  out["vocab"] = c.vocab;
  out["context_length"] = c.context_length;
  out["chat_template"] = text != nullptr ? py::object(py::bytes(*text)) : py::object(py::none());
  return out;
}

py::array_t<float> embed(const Decoder& d, const std::vector<TokenId>& ids) {
  py::array_t<float> out({static_cast<int64_t>(ids.size()), int64_t{d.config().hidden}});
  const MatrixRef<float> rows(out.mutable_data(), out.shape(0), out.shape(1));
  const py::gil_scoped_release no_gil;
  d.embed(ids.data(), rows);
  return out;
}

// The same rows without loading the model.
py::array_t<float> embedding_rows(const std::string& path, const std::vector<TokenId>& ids) {
  const auto file = io::GgufFile::open(path);
  const io::GgufTensor& t = file->tensor("token_embd.weight");
  const ops::WeightSource table{t.type, t.data, static_cast<int64_t>(t.rows()),
                                static_cast<int64_t>(t.cols())};
  py::array_t<float> out({static_cast<int64_t>(ids.size()), table.cols});
  ThreadPool threads(1);
  ops::gather_rows(table, ids.data(), {out.mutable_data(), out.shape(0), out.shape(1)}, threads);
  return out;
}

std::unique_ptr<SequenceHandle> new_sequence(const std::shared_ptr<Decoder>& self, uint32_t attend_sinks,
                                             uint32_t attend_recent, const std::optional<py::dict>& retrieval,
                                             bool trace, const std::string& session_file,
                                             uint64_t ram_bytes) {
  std::unique_ptr<kv::Selection> selection =
      std::make_unique<kv::WindowSelection>(attend_sinks, attend_recent);
  std::shared_ptr<const kv::Sealer> sealer;
  uint64_t attended = 0;
  if (retrieval) {
    const Retrieval r = parse_retrieval(*retrieval);
    selection = r.selection(*self);
    sealer = r.sealer(*self);
    attended = r.attended(*self);
  }
  if (trace) selection = std::make_unique<kv::TracingSelection>(std::move(selection));
  auto sequence = std::make_unique<Sequence>(self, std::move(selection), std::move(sealer));
  if (!session_file.empty()) {
    const py::gil_scoped_release no_gil;
    sequence->attach({session_file, ram_bytes, attended});
  }
  return std::make_unique<SequenceHandle>(std::move(sequence));
}

}  // namespace

void bind_decoder(py::module_& m) {
  py::class_<Decoder, std::shared_ptr<Decoder>>(m, "Decoder")
      .def(py::init([](const std::string& path, int threads, uint32_t page_size, uint32_t window,
                       uint32_t sinks, uint64_t kv_tokens, uint32_t chunk, bool exact,
                       const std::string& kv_type) {
             const decoder::DecoderOptions options{threads,   page_size, window, sinks,
                                                   kv_tokens, chunk,     exact,  ops::kv_type(kv_type)};
             const py::gil_scoped_release no_gil;
             return std::make_shared<Decoder>(io::GgufFile::open(path), options);
           }),
           py::arg("path"), py::kw_only(), py::arg("threads") = 0, py::arg("page_size") = 64,
           py::arg("window") = 0, py::arg("sinks") = 64, py::arg("kv_tokens") = 0, py::arg("chunk") = 256,
           py::arg("exact") = false, py::arg("kv_type") = "f16")
      .def_property_readonly("config", &config_dict)
      .def_property_readonly("threads", [](const Decoder& d) { return d.options().threads; })
      .def_property_readonly("weight_bytes", &Decoder::weight_bytes)
      .def_property_readonly(
          "tokenizer",
          [](const Decoder& d) { return std::const_pointer_cast<decoder::Tokenizer>(d.tokenizer()); })
      .def("embed", &embed, py::arg("ids"))
      .def(
          "least_ram",
          [](const Decoder& d, const py::dict& retrieval) {
            const Retrieval r = parse_retrieval(retrieval);
            return decoder::ram_plan(d, r.sealer(d).get(), r.attended(d)).least();
          },
          py::arg("retrieval"))
      .def("new_sequence", &new_sequence, py::kw_only(), py::arg("attend_sinks") = 0,
           py::arg("attend_recent") = 0, py::arg("retrieval") = py::none(), py::arg("trace") = false,
           py::arg("session_file") = "", py::arg("ram_bytes") = 0);
  m.def("embedding_rows", &embedding_rows, py::arg("path"), py::arg("ids"));
}

}  // namespace ev::python
