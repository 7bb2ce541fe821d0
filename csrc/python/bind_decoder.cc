// Decoder and Sequence for Python: convert, release the GIL, call.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "decoder/decoder.h"
#include "decoder/sequence.h"
#include "kv/resv_selection.h"
#include "kv/tracing.h"
#include "ops/dequantize.h"

namespace py = pybind11;

namespace ev::python {
namespace {

using decoder::Decoder;
using decoder::LogitRows;
using decoder::Sequence;
using decoder::TokenId;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;
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

// A Sequence that several Python threads may hold: one call at a time, nothing after close().
class SequenceHandle {
 public:
  explicit SequenceHandle(std::unique_ptr<Sequence> sequence) : sequence_(std::move(sequence)) {}

  template <class Append>
  py::array_t<float> append(int64_t m, const std::string& logits, py::object cancel,
                            std::optional<double> deadline_s, const Append& append_to) {
    const LogitRows which = parse_rows(logits);
    py::array_t<float> out({Sequence::rows_for(which, m), static_cast<int64_t>(vocab())});
    const MatrixRef<float> rows(out.mutable_data(), out.shape(0), out.shape(1));
    PythonPoll poll(std::move(cancel));
    RunLimits limits;
    limits.poll = [&poll] { poll(); };
    if (deadline_s) limits.deadline = Clock::now() + seconds(*deadline_s);
    use([&](Sequence& s) { append_to(s, which, rows, limits); });
    return out;
  }

  // Calls fn on the sequence with the GIL released.
  template <class Fn>
  auto use(const Fn& fn) {
    const py::gil_scoped_release no_gil;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!sequence_) throw Error(ErrorCode::kInvalidArgument, "the sequence is closed");
    return fn(*sequence_);
  }

  // The same for what needs the GIL. Taken after the lock, which a running call holds without it.
  template <class Fn>
  auto read(const Fn& fn) {
    py::gil_scoped_release no_gil;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!sequence_) throw Error(ErrorCode::kInvalidArgument, "the sequence is closed");
    const py::gil_scoped_acquire gil;
    return fn(*sequence_);
  }

  void close() {
    const py::gil_scoped_release no_gil;
    const std::lock_guard<std::mutex> lock(mutex_);
    sequence_.reset();
  }

 private:
  uint32_t vocab() {
    return use([](Sequence& s) { return s.decoder().config().vocab; });
  }

  std::mutex mutex_;
  std::unique_ptr<Sequence> sequence_;
};

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

struct KvSummary {
  uint64_t tokens, seen, pages, bytes;
  std::string selection;
};

KvSummary summarize(const Sequence& s) {
  const kv::KvCache& cache = s.cache();
  const uint64_t pages = cache.pages().size() + cache.unshifted_sinks().size();
  return {cache.kept(), cache.length(), pages, pages * cache.layout().page_bytes(), s.selection().name()};
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

// The optional keywords of new_sequence's `retrieval`; KVConfig checks and names them.
struct Retrieval {
  kv::SealPolicy seal;
  kv::RetrievalPolicy policy;
};

Retrieval parse_retrieval(const py::dict& d) {
  Retrieval r;
  r.seal.segment = d["segment"].cast<uint32_t>();
  r.seal.recent = d["recent"].cast<uint32_t>();
  r.seal.rule.threshold = d["hamming"].cast<int>();
  r.seal.rule.capacity = d["clusters"].cast<int64_t>();
  r.seal.centred = d["centred"].cast<bool>();
  r.seal.rotated = d["rotated"].cast<bool>();
  r.seal.seed = d["seed"].cast<uint64_t>();
  r.policy.rule.threshold = d["mass"].cast<float>();
  r.policy.rule.pooled = d["pooled"].cast<bool>();
  r.policy.rule.exact = d["sorted"].cast<bool>();
  r.policy.rule.max_tokens = d["max_tokens"].cast<int64_t>();
  r.policy.everything = d["everything"].cast<bool>();
  r.policy.dense_share = d["dense_share"].cast<float>();
  r.policy.min_sealed = d["min_sealed"].cast<uint32_t>();
  r.policy.certify = d["certify"].cast<bool>();
  return r;
}

std::shared_ptr<const kv::Sealer> make_sealer(const Decoder& d, const Retrieval& r) {
  return std::make_shared<kv::Sealer>(r.seal, d.pages()->layout(), d.key_rotation());
}

std::unique_ptr<SequenceHandle> fork(SequenceHandle& handle, const std::optional<py::dict>& retrieval) {
  if (!retrieval) return std::make_unique<SequenceHandle>(handle.use([](Sequence& s) { return s.fork(); }));
  const Retrieval r = parse_retrieval(*retrieval);
  return std::make_unique<SequenceHandle>(handle.use([&](Sequence& s) {
    return s.fork(std::make_unique<kv::ResvSelection>(r.policy, s.decoder().config().n_layers),
                  make_sealer(s.decoder(), r));
  }));
}

// Per sealed segment of one layer: (tokens in the order of their slots, first slot of each cluster and the
// end).
std::vector<std::tuple<std::vector<uint16_t>, std::vector<int32_t>>> clusters(SequenceHandle& handle,
                                                                              uint32_t layer) {
  return handle.use([&](Sequence& s) {
    if (layer >= s.decoder().config().n_layers)
      throw Error(ErrorCode::kInvalidArgument, "there is no such layer");
    std::vector<std::tuple<std::vector<uint16_t>, std::vector<int32_t>>> out;
    for (const kv::SegmentPtr& segment : s.cache().segments())
      out.emplace_back(segment->layers[layer].order, segment->layers[layer].begin);
    return out;
  });
}

std::unique_ptr<SequenceHandle> new_sequence(const std::shared_ptr<Decoder>& self, uint32_t attend_sinks,
                                             uint32_t attend_recent, const std::optional<py::dict>& retrieval,
                                             bool trace) {
  std::unique_ptr<kv::Selection> selection =
      std::make_unique<kv::WindowSelection>(attend_sinks, attend_recent);
  std::shared_ptr<const kv::Sealer> sealer;
  if (retrieval) {
    const Retrieval r = parse_retrieval(*retrieval);
    selection = std::make_unique<kv::ResvSelection>(r.policy, self->config().n_layers);
    sealer = make_sealer(*self, r);
  }
  if (trace) selection = std::make_unique<kv::TracingSelection>(std::move(selection));
  return std::make_unique<SequenceHandle>(
      std::make_unique<Sequence>(self, std::move(selection), std::move(sealer)));
}

// Per layer what was retrieved since the sequence began or was forked; None without retrieval.
py::object retrieval_stats(SequenceHandle& handle) {
  return handle.read([](Sequence& s) -> py::object {
    const auto* resv = dynamic_cast<const kv::ResvSelection*>(&s.selection());
    if (resv == nullptr) return py::none();
    py::list layers;
    for (const kv::LayerStats& l : resv->stats()) {
      py::dict d;
      d["steps"] = l.steps;
      d["dense"] = l.dense;
      d["retrieved"] = l.retrieved;
      d["kv_bytes"] = l.kv_bytes;
      d["table_bytes"] = l.table_bytes;
      d["bound"] = l.bound;
      layers.append(d);
    }
    uint64_t table = 0, clusters = 0;
    for (const kv::SegmentPtr& segment : s.cache().segments()) {
      table += segment->bytes();
      for (const kv::LayerClusters& l : segment->layers)
        clusters += static_cast<uint64_t>(l.summaries.clusters);
    }
    py::dict out;
    out["layers"] = layers;
    out["prediction_s"] = static_cast<double>(resv->prediction_ns()) * 1e-9;
    out["sealed"] = s.cache().sealed();
    out["clusters"] = clusters;
    out["table_bytes"] = table;
    return out;
  });
}

// (queries of the last step, keys, values) of one layer, rows [n, heads * head_dim]; for sequences made with
// trace.
std::tuple<Floats, Floats, Floats> trace(SequenceHandle& handle, uint32_t layer) {
  return handle.read([&](Sequence& s) {
    const auto* tracing = dynamic_cast<const kv::TracingSelection*>(&s.selection());
    if (tracing == nullptr || layer >= tracing->layers())
      throw Error(ErrorCode::kInvalidArgument, "there is no trace of this layer");
    const std::vector<float>& queries = tracing->queries(layer);
    const auto width = static_cast<int64_t>(s.decoder().config().q_dim());
    const auto kv_dim = static_cast<int64_t>(s.decoder().config().kv_dim());
    Floats q({static_cast<int64_t>(queries.size()) / width, width});
    std::copy(queries.begin(), queries.end(), q.mutable_data());
    const auto kept = static_cast<int64_t>(s.cache().kept());
    Floats k({kept, kv_dim}), v({kept, kv_dim});
    kv::read_tokens(s.cache(), layer, {k.mutable_data(), kept, kv_dim}, {v.mutable_data(), kept, kv_dim});
    return std::make_tuple(q, k, v);
  });
}

void bind_sequence(py::module_& m) {
  py::class_<SequenceHandle>(m, "Sequence")
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
      .def("fork", &fork, py::arg("retrieval") = py::none())
      .def("clusters", &clusters, py::arg("layer"))
      .def("truncate",
           [](SequenceHandle& self, uint64_t length) { self.use([=](Sequence& s) { s.truncate(length); }); })
      .def("close", &SequenceHandle::close)
      .def_property_readonly(
          "attention_s",
          [](SequenceHandle& self) {
            return self.use([](Sequence& s) { return static_cast<double>(s.attention_ns()) * 1e-9; });
          })
      .def("retrieval", &retrieval_stats)
      .def("trace", &trace, py::arg("layer"))
      .def_property_readonly(
          "length", [](SequenceHandle& self) { return self.use([](Sequence& s) { return s.length(); }); })
      .def("kv", [](SequenceHandle& self) {
        const KvSummary kv = self.use([](Sequence& s) { return summarize(s); });
        py::dict out;
        out["tokens"] = kv.tokens;
        out["seen"] = kv.seen;
        out["pages"] = kv.pages;
        out["bytes"] = kv.bytes;
        out["selection"] = kv.selection;
        return out;
      });
}

}  // namespace

void bind_decoder(py::module_& m) {
  bind_sequence(m);
  py::class_<Decoder, std::shared_ptr<Decoder>>(m, "Decoder")
      .def(py::init([](const std::string& path, int threads, uint32_t page_size, uint32_t window,
                       uint32_t sinks, uint64_t kv_tokens, uint32_t chunk, bool exact) {
             const decoder::DecoderOptions options{threads,   page_size, window, sinks,
                                                   kv_tokens, chunk,     exact};
             const py::gil_scoped_release no_gil;
             return std::make_shared<Decoder>(io::GgufFile::open(path), options);
           }),
           py::arg("path"), py::kw_only(), py::arg("threads") = 0, py::arg("page_size") = 64,
           py::arg("window") = 0, py::arg("sinks") = 64, py::arg("kv_tokens") = 0, py::arg("chunk") = 256,
           py::arg("exact") = false)
      .def_property_readonly("config", &config_dict)
      .def_property_readonly("threads", [](const Decoder& d) { return d.options().threads; })
      .def_property_readonly("weight_bytes", &Decoder::weight_bytes)
      .def_property_readonly(
          "tokenizer",
          [](const Decoder& d) { return std::const_pointer_cast<decoder::Tokenizer>(d.tokenizer()); })
      .def("embed", &embed, py::arg("ids"))
      .def("new_sequence", &new_sequence, py::kw_only(), py::arg("attend_sinks") = 0,
           py::arg("attend_recent") = 0, py::arg("retrieval") = py::none(), py::arg("trace") = false);
  m.def("embedding_rows", &embedding_rows, py::arg("path"), py::arg("ids"));
}

}  // namespace ev::python
