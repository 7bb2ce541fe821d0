#include "decoder/utf8.h"

namespace ev::decoder {
namespace {

uint8_t byte_at(std::string_view s, size_t i) {
  return static_cast<uint8_t>(s[i]);
}

bool is_continuation(uint8_t b) {
  return (b & 0xC0) == 0x80;
}

// Length that the first byte announces; 0 for a byte that begins nothing.
size_t announced_length(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC0) return 0;
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF8 ? 4 : 0;
}

uint32_t assemble(std::string_view s, size_t length) {
  if (length == 1) return byte_at(s, 0);
  uint32_t code_point = byte_at(s, 0) & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) code_point = code_point << 6 | (byte_at(s, i) & 0x3F);
  return code_point;
}

// Whether `second` may follow `lead` in well-formed UTF-8 (Unicode 15.1, table 3-7).
bool well_formed_pair(uint8_t lead, uint8_t second) {
  switch (lead) {
    case 0xE0: return second >= 0xA0 && second <= 0xBF;
    case 0xED: return second >= 0x80 && second <= 0x9F;
    case 0xF0: return second >= 0x90 && second <= 0xBF;
    case 0xF4: return second >= 0x80 && second <= 0x8F;
    default: return is_continuation(second);
  }
}

// Bytes at the beginning of `s` that are well-formed as far as they go, and how many the character needs in
// all.
struct Prefix {
  size_t good;
  size_t needed;
};

Prefix well_formed_prefix(std::string_view s) {
  const uint8_t lead = byte_at(s, 0);
  const size_t needed = lead == 0xC0 || lead == 0xC1 || lead > 0xF4 ? 0 : announced_length(lead);
  if (needed <= 1) return {needed, needed};
  size_t good = 1;
  while (good < needed && good < s.size() &&
         (good == 1 ? well_formed_pair(lead, byte_at(s, 1)) : is_continuation(byte_at(s, good))))
    ++good;
  return {good, needed};
}

}  // namespace

void append_utf8(std::string& out, uint32_t code_point) {
  const auto put = [&out](uint32_t byte) { out += static_cast<char>(byte); };
  if (code_point < 0x80) return put(code_point);
  if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
  } else {
    if (code_point < 0x10000) {
      put(0xE0 | code_point >> 12);
    } else {
      put(0xF0 | code_point >> 18);
      put(0x80 | (code_point >> 12 & 0x3F));
    }
    put(0x80 | (code_point >> 6 & 0x3F));
  }
  put(0x80 | (code_point & 0x3F));
}

std::vector<uint32_t> decode_utf8_leniently(std::string_view bytes) {
  std::vector<uint32_t> out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t length = announced_length(byte_at(bytes, 0));
    bool complete = length > 0 && length <= bytes.size();
    for (size_t i = 1; complete && i < length; ++i) complete = is_continuation(byte_at(bytes, i));
    const uint32_t code_point = complete ? assemble(bytes, length) : kReplacement;
    complete = complete && code_point <= 0x10FFFF;
    out.push_back(complete ? code_point : kReplacement);
    bytes.remove_prefix(complete ? length : 1);
  }
  return out;
}

std::string Utf8Stream::push(std::string_view bytes) {
  pending_ += bytes;
  std::string_view rest = pending_;
  std::string out;
  while (!rest.empty()) {
    const Prefix prefix = well_formed_prefix(rest);
    const bool complete = prefix.good == prefix.needed && prefix.needed > 0;
    if (!complete && prefix.needed > 0 && prefix.good == rest.size()) break;  // more bytes may complete it
    if (complete) {
      out += rest.substr(0, prefix.good);
    } else {
      append_utf8(out, kReplacement);
    }
    rest.remove_prefix(prefix.good > 0 ? prefix.good : 1);
  }
  pending_ = std::string(rest);
  return out;
}

std::string Utf8Stream::finish() {
  std::string out;
  if (!pending_.empty()) append_utf8(out, kReplacement);
  pending_.clear();
  return out;
}

}  // namespace ev::decoder
