// Any bytes as VisemeNet weights: read or refused; what is read runs. The checksum is set right first, or no
// input would get past it.
#include <cstring>
#include <vector>

#include "fuzz/fuzz.h"
#include "io/checksum.h"
#include "lipsync/viseme_net.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ev;
  constexpr size_t kSumAt = 8, kHead = 16;
  std::vector<uint8_t> bytes(data, data + size);
  if (size >= kHead) {
    const uint64_t sum = io::checksum(bytes.data() + kHead, size - kHead);
    std::memcpy(bytes.data() + kSumAt, &sum, sizeof(sum));
  }
  fuzz::allow_refusal([&] {
    const auto weights = lipsync::VisemeWeights::parse(bytes.data(), bytes.size());
    EV_CLAIM(weights->lip_directions.size() == weights->lip_mean.size() * weights->param_scale.size());
    lipsync::VisemeStream stream(weights);
    const std::vector<float> rows(static_cast<size_t>(64 * weights->bands), 0.5f);
    const std::vector<float> steps = stream.push({rows.data(), 64, weights->bands});
    EV_CLAIM(steps.size() % static_cast<size_t>(weights->params) == 0);
  });
  return 0;
}
