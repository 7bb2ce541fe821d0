// Errors of the native core: one exception type with a code. The Python binding turns codes into edgevid's
// exception classes, the C API into ev_status values. Messages are one line and name what to do.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace ev {

enum class ErrorCode {
  kInvalidArgument,  // the caller broke a documented precondition
  kBadModel,         // a model file is malformed, truncated or of an unsupported kind
  kOutOfMemory,      // a configured or physical limit was reached
  kCancelled,        // a CancelToken fired
  kDeadline,         // a deadline passed
  kUnsupported,      // the machine lacks what was asked for (an ISA, an operator, a type)
  kIo,               // the operating system refused a read or a write
  kInternal,         // a bug in edgevid
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

// For the preconditions of a call.
inline void require(bool ok, const char* message) {
  if (!ok) throw Error(ErrorCode::kInvalidArgument, message);
}

}  // namespace ev
