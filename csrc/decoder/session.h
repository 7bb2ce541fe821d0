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
  // For the decoder's page pool, the cluster index and slots; 0: sealed segments stay in pages.
  uint64_t ram_bytes = 0;
  uint64_t attended = 0;  // most pages of sealed tokens that a layer attends; 0: all
};

// Tells models apart by the first bytes of each of their tensors; no signature.
uint64_t fingerprint(const Decoder& decoder);

// Of a cache of this decoder. `sealer` null: nothing is sealed.
io::SessionHeader session_header(const Decoder& decoder, const kv::Sealer* sealer);

// How RAM is divided, in bytes.
struct RamPlan {
  uint64_t pool = 0;     // pages of tokens that are not sealed
  uint64_t scratch = 0;  // of scores, and of writing
  uint64_t index = 0;    // clusters of a full window, at most
  uint64_t layer = 0;    // slots for what one layer attends, at most

  uint64_t least() const { return pool + scratch + index + layer; }
};

// `attended` as in SessionOptions. `sealer` null: nothing is sealed.
RamPlan ram_plan(const Decoder& decoder, const kv::Sealer* sealer, uint64_t attended);

}  // namespace ev::decoder
