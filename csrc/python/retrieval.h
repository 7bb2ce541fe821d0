// The `retrieval` keywords of sequences.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "decoder/decoder.h"
#include "kv/resv_selection.h"
#include "python/sequence_handle.h"

namespace ev::python {

struct Retrieval {
  kv::SealPolicy seal;
  kv::RetrievalPolicy policy;

  std::unique_ptr<kv::Selection> selection(const decoder::Decoder& d) const;
  std::shared_ptr<const kv::Sealer> sealer(const decoder::Decoder& d) const;
  // Most pages of sealed tokens that a layer attends; 0: all.
  uint64_t attended(const decoder::Decoder& d) const;
};

// From the dict that KVConfig makes, which checks and names its values.
Retrieval parse_retrieval(const pybind11::dict& d);

// What was retrieved, and from what.
void bind_retrieval(pybind11::class_<SequenceHandle>& sequence);

}  // namespace ev::python
