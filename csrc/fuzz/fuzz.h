// What the fuzz targets share: an input taken apart, errors that are expected, claims that must hold.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/error.h"

// Unlike assert(), in every build; libFuzzer keeps the input that breaks it.
#define EV_CLAIM(what)                                                \
  do {                                                                \
    if (!(what)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
      std::abort();                                                   \
    }                                                                 \
  } while (false)

namespace ev::fuzz {

inline std::string_view view(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Runs `act`; a refusal is fine, a bug that calls itself one is not.
template <typename Act>
void allow_refusal(Act act) {
  try {
    act();
  } catch (const Error& e) {
    EV_CLAIM(e.code() != ErrorCode::kInternal);
    EV_CLAIM(std::string_view(e.what()).find('\n') == std::string_view::npos);
  }
}

}  // namespace ev::fuzz
