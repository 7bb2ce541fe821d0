// Retrieval for Python: its options, what it did, and the tokens it chooses among.
#include <pybind11/stl.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "kv/attended_mass.h"
#include "kv/tracing.h"
#include "python/retrieval.h"

namespace py = pybind11;

namespace ev::python {
namespace {

using decoder::Decoder;
using decoder::Sequence;

// The sequence's selection of this kind, also below ones that only look on; null: there is none.
template <class Kind>
const Kind* find(const Sequence& s) {
  const kv::Selection* selection = &s.selection();
  while (selection != nullptr && dynamic_cast<const Kind*>(selection) == nullptr)
    selection = selection->wrapped();
  return dynamic_cast<const Kind*>(selection);
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

// Per layer what was retrieved since the sequence began or was forked; None without retrieval.
py::object retrieval_stats(SequenceHandle& handle) {
  return handle.read([](Sequence& s) -> py::object {
    const auto* resv = find<kv::ResvSelection>(s);
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
    const auto* tracing = find<kv::TracingSelection>(s);
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

// (position, share of the attention, most of any row) of each kept token; for forks made with attended=True.
std::tuple<Array<int64_t>, Floats, Floats> attended(SequenceHandle& handle) {
  return handle.read([](Sequence& s) {
    const auto* counted = find<kv::AttendedMass>(s);
    if (counted == nullptr) throw Error(ErrorCode::kInvalidArgument, "attention was not counted");
    std::vector<float> shares = counted->shares(), peaks = counted->peaks();
    shares.resize(s.cache().kept());
    peaks.resize(s.cache().kept());
    Array<int64_t> positions(static_cast<py::ssize_t>(shares.size()));
    Floats share(positions.size()), peak(positions.size());
    for (size_t i = 0; i < shares.size(); ++i) {
      const bool sink = i < s.cache().window().sinks;
      positions.mutable_data()[i] = static_cast<int64_t>(i + (sink ? 0 : s.cache().evicted()));
      share.mutable_data()[i] = shares[i];
      peak.mutable_data()[i] = peaks[i];
    }
    return std::make_tuple(positions, share, peak);
  });
}

}  // namespace

std::unique_ptr<kv::Selection> Retrieval::selection(const Decoder& d) const {
  return std::make_unique<kv::ResvSelection>(policy, d.config().n_layers);
}

std::shared_ptr<const kv::Sealer> Retrieval::sealer(const Decoder& d) const {
  return std::make_shared<kv::Sealer>(seal, d.pages()->layout(), d.key_rotation());
}

uint64_t Retrieval::attended(const Decoder& d) const {
  if (policy.everything) return 0;
  // Each token may lie in a page of its own.
  const auto tokens = static_cast<uint64_t>(policy.rule.max_tokens) * d.config().n_kv_heads;
  if (policy.max_pages == 0 || tokens == 0) return std::max(tokens, uint64_t{policy.max_pages});
  return std::min(tokens, uint64_t{policy.max_pages});
}

Retrieval parse_retrieval(const py::dict& d) {
  Retrieval r;
  r.seal.segment = d["segment"].cast<uint32_t>();
  r.seal.recent = d["recent"].cast<uint32_t>();
  r.seal.rule.threshold = d["hamming"].cast<int>();
  r.seal.rule.capacity = d["clusters"].cast<int64_t>();
  r.seal.mean_clusters = d["mean_clusters"].cast<uint32_t>();
  r.seal.centred = d["centred"].cast<bool>();
  r.seal.rotated = d["rotated"].cast<bool>();
  r.seal.moments = d["estimate"].cast<bool>();
  r.seal.seed = d["seed"].cast<uint64_t>();
  r.policy.rule.threshold = d["mass"].cast<float>();
  r.policy.rule.pooled = d["pooled"].cast<bool>();
  r.policy.rule.exact = d["sorted"].cast<bool>();
  r.policy.rule.max_tokens = d["max_tokens"].cast<int64_t>();
  r.policy.max_pages = d["max_pages"].cast<uint32_t>();
  r.policy.everything = d["everything"].cast<bool>();
  r.policy.dense_share = d["dense_share"].cast<float>();
  r.policy.min_sealed = d["min_sealed"].cast<uint32_t>();
  r.policy.estimate = d["estimate"].cast<bool>();
  r.policy.certify = d["certify"].cast<bool>();
  return r;
}

void bind_retrieval(py::class_<SequenceHandle>& sequence) {
  sequence.def("clusters", &clusters, py::arg("layer"))
      .def("retrieval", &retrieval_stats)
      .def("attended", &attended)
      .def("trace", &trace, py::arg("layer"));
}

}  // namespace ev::python
