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
  // Most sealed tokens that a step attends per KV head; 0: all.
  int64_t attended() const { return policy.everything ? 0 : policy.rule.max_tokens; }
};

// From the dict that KVConfig makes, which checks and names its values.
Retrieval parse_retrieval(const pybind11::dict& d);

// What was retrieved, and from what.
void bind_retrieval(pybind11::class_<SequenceHandle>& sequence);

}  // namespace ev::python
