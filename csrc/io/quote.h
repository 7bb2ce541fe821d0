// Names from files and users, made safe for messages.
#pragma once

#include <string>
#include <string_view>

namespace ev::io {

// In quotes, control and non-ASCII bytes as \xNN, cut after 80 bytes.
inline std::string quoted(std::string_view name) {
  static const char* kHex = "0123456789abcdef";
  std::string out = "'";
  for (const char c : name.substr(0, 80)) {
    const auto b = static_cast<unsigned char>(c);
    if (b >= 0x20 && b < 0x7F) {
      out += c;
    } else {
      out += "\\x";
      out += kHex[b >> 4];
      out += kHex[b & 15];
    }
  }
  return out + (name.size() > 80 ? "...'" : "'");
}

}  // namespace ev::io
