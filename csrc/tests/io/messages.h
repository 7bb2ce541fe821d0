// What errors say, for tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace ev::testing {

// The message of the Error(kBadModel) that `act` throws; anything else fails the test by what it returns.
template <typename Act>
std::string bad_model(Act act) {
  try {
    act();
  } catch (const Error& e) {
    return e.code() == ErrorCode::kBadModel ? e.what() : std::string("another error: ") + e.what();
  }
  return "no error";
}

// Whether a message contains `part`; prints it when not.
inline ::testing::AssertionResult says(const std::string& message, const std::string& part) {
  if (message.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "\"" << message << "\" does not say \"" << part << "\"";
}

}  // namespace ev::testing
