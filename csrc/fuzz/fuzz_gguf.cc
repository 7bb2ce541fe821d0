// Any bytes as a GGUF file: read or refused, never more memory than the limits, tensors inside the bytes.
#include "fuzz/fuzz.h"
#include "io/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ev;
  io::GgufLimits limits;
  limits.max_metadata_bytes = 16u << 20;
  fuzz::allow_refusal([&] {
    const auto file = io::GgufFile::parse(data, size, limits);
    for (const io::GgufTensor& tensor : file->tensors()) {
      EV_CLAIM(tensor.data >= data && tensor.bytes <= size && tensor.data + tensor.bytes <= data + size);
      EV_CLAIM(tensor.rows() > 0 && tensor.cols() > 0);
      EV_CLAIM(file->find_tensor(tensor.name) == &tensor);
    }
    for (const char* key :
         {"general.architecture", "general.name", "llama.context_length", "llama.rope.freq_base"}) {
      fuzz::allow_refusal([&] { file->get_string(key); });
      fuzz::allow_refusal([&] { file->get_uint(key, 1); });
      fuzz::allow_refusal([&] { file->get_float(key, 1); });
    }
  });
  return 0;
}
