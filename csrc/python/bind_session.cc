// Session files for Python: saving a sequence, its mark, and where its tokens lie.
#include <pybind11/pybind11.h>

#include <string>

#include "kv/slot_pool.h"
#include "python/sequence_handle.h"

namespace py = pybind11;

namespace ev::python {
namespace {

using decoder::Sequence;

// Bytes that count against ram_bytes, and what the slots did; None when all is in pages.
py::object tiers(SequenceHandle& handle) {
  return handle.read([](Sequence& s) -> py::object {
    const kv::KvCache& cache = s.cache();
    if (cache.slots() == nullptr) return py::none();
    const kv::SlotStats slots = cache.slots()->stats();
    uint64_t index = 0;
    for (const kv::SegmentPtr& segment : cache.segments()) index += segment->bytes();
    py::dict out;
    out["pool_bytes"] = s.decoder().pages()->stats().total * cache.layout().page_bytes();
    out["index_bytes"] = index;
    out["slot_bytes"] = slots.slot_bytes;
    out["slots"] = slots.capacity;
    out["slots_used"] = slots.resident;
    out["hits"] = slots.hits;
    out["reads"] = slots.reads;
    return out;
  });
}

}  // namespace

void bind_session(py::class_<SequenceHandle>& sequence) {
  sequence.def("checkpoint", [](SequenceHandle& self) { self.use([](Sequence& s) { s.checkpoint(); }); })
      .def(
          "save",
          [](SequenceHandle& self, const std::string& path) { self.use([&](Sequence& s) { s.save(path); }); },
          py::arg("path"))
      .def_property(
          "mark", [](SequenceHandle& self) { return self.use([](Sequence& s) { return s.cache().mark(); }); },
          [](SequenceHandle& self, uint64_t mark) { self.use([=](Sequence& s) { s.set_mark(mark); }); })
      .def("tiers", &tiers);
}

}  // namespace ev::python
