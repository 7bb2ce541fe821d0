// What ties a session file to a model: which cache may go on from it, and how RAM is divided.
#pragma once

#include <cstdint>
#include <string>

#include "decoder/decoder.h"
#include "io/session_format.h"
#include "kv/sealing.h"

namespace ev::decoder {

struct SessionOptions {
  std::string path;
  uint64_t ram_bytes =
      0;  // for the decoder's page pool, the cluster index and slots; 0: sealed segments stay in pages
};

// Tells models apart by the first bytes of each of their tensors; no signature.
uint64_t fingerprint(const Decoder& decoder);

// Of a cache of this decoder. `sealer` null: nothing is sealed.
io::SessionHeader session_header(const Decoder& decoder, const kv::Sealer* sealer);

// What is left of ram_bytes beside the page pool. Throws Error(kInvalidArgument), naming the least that will
// do, unless slots for one layer of a full window fit in it beside the largest index.
uint64_t bytes_for_slots(const Decoder& decoder, const io::SessionHeader& header, uint64_t ram_bytes);

}  // namespace ev::decoder
