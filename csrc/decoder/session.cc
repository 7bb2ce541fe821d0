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

// Of the cluster tables of so many segments, in one layer.
uint64_t most_columns(const io::SessionHeader& header, const kv::Sealer* sealer, uint64_t segments) {
  const uint64_t most = segments * header.cluster_stride();
  const uint64_t mean = sealer == nullptr ? 0 : sealer->policy().mean_clusters;
  return mean == 0 ? most : std::min(most, (segments + kv::kMostSaved) * mean);
}

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

RamPlan ram_plan(const Decoder& decoder, const kv::Sealer* sealer, uint64_t attended) {
  const io::SessionHeader header = session_header(decoder, sealer);
  const uint64_t segments = decoder.window().tokens / header.cell_tokens();
  const uint64_t columns = most_columns(header, sealer, segments);
  uint64_t pages = segments * header.cell_pages;
  // After a resume the newest segment is attended whole besides.
  if (attended > 0) pages = std::min(pages, attended + header.cell_pages);
  RamPlan plan;
  plan.pool = decoder.pages()->stats().total * decoder.pages()->layout().page_bytes();
  plan.scratch = sizeof(float) * decoder.options().chunk * decoder.config().n_heads * segments *
                     uint64_t{header.cluster_stride()} +
                 header.index_bytes() + header.unit_bytes();
  plan.index = segments * header.index_bytes(0) + columns * header.column_bytes();
  plan.layer = pages * kv::SlotPool::slot_cost(header);
  return plan;
}

}  // namespace ev::decoder
