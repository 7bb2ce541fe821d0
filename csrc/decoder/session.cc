#include "decoder/session.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "io/checksum.h"
#include "kv/slot_pool.h"

namespace ev::decoder {
namespace {

constexpr size_t kLooked = 4096;            // bytes of a tensor that its fingerprint is taken of
constexpr uint32_t kPlainCellTokens = 256;  // of sessions without retrieval, about

}  // namespace

uint64_t fingerprint(const Decoder& decoder) {
  std::vector<uint64_t> sums;
  for (const io::GgufTensor& tensor : decoder.file().tensors()) {
    sums.push_back(tensor.bytes);
    sums.push_back(io::checksum(tensor.data, std::min<size_t>(tensor.bytes, kLooked)));
  }
  const std::vector<float>& frequencies = decoder.config().rope_inv_freq;
  sums.push_back(io::checksum(frequencies.data(), frequencies.size() * sizeof(float)));
  return io::checksum(sums.data(), sums.size() * sizeof(uint64_t));
}

io::SessionHeader session_header(const Decoder& decoder, const kv::Sealer* sealer) {
  const kv::PageLayout& layout = decoder.pages()->layout();
  io::SessionHeader h;
  h.model = fingerprint(decoder);
  h.layers = layout.n_layers;
  h.kv_heads = static_cast<uint32_t>(layout.shape.num_kv_heads);
  h.head_dim = static_cast<uint32_t>(layout.shape.head_dim);
  h.element_bytes = static_cast<uint32_t>(layout.shape.element_bytes());
  h.page_size = layout.page_size();
  h.sinks = decoder.window().sinks;
  if (sealer == nullptr) {
    h.cell_pages = std::max(1u, kPlainCellTokens / h.page_size);
    return h;
  }
  const kv::SealPolicy& policy = sealer->policy();
  h.cell_pages = sealer->pages();
  h.hamming = static_cast<uint32_t>(policy.rule.threshold);
  h.clusters = static_cast<uint32_t>(std::min<int64_t>(policy.rule.capacity, policy.segment));
  h.centred = policy.centred ? 1 : 0;
  h.rotated = policy.rotated ? 1 : 0;
  h.moments = policy.moments ? 1 : 0;
  h.seed = policy.seed;
  return h;
}

RamPlan ram_plan(const Decoder& decoder, const io::SessionHeader& header) {
  const uint64_t segments = decoder.window().tokens / header.cell_tokens();
  const uint64_t scores = sizeof(float) * decoder.options().chunk * decoder.config().n_heads * segments *
                          uint64_t{header.cluster_stride()};
  RamPlan plan;
  plan.pool = decoder.pages()->stats().total * decoder.pages()->layout().page_bytes();
  plan.scratch = scores + header.index_bytes() + header.unit_bytes();
  plan.index = segments * header.index_bytes();
  plan.layer = segments * header.cell_pages * kv::SlotPool::slot_cost(header);
  return plan;
}

}  // namespace ev::decoder
