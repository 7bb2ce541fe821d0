// A fast checksum against torn writes and rotten bits; it keeps out no attacker.
//
// Four lanes take the 64-bit little-endian words of the bytes in turn, the last word padded with zeros: h =
// rotl((h ^ word) * P, 29). Each step is a bijection of h, so that a change of any one word always shows. The
// lanes and the length are joined in the same way.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ev::io {

uint64_t checksum(const void* data, size_t size);

}  // namespace ev::io
