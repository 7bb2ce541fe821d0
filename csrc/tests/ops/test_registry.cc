#include "ops/registry.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace ev::ops {
namespace {

// The choice is made once per process, so each value of EDGEVID_ISA is tried in a process of its own.
void choose_with(const char* value) {
  setenv("EDGEVID_ISA", value, 1);
  try {
    std::fprintf(stderr, "runs %s\n", isa_name(active_isa()));
    std::exit(0);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    std::exit(e.code() == ErrorCode::kUnsupported ? 4 : 1);
  }
}

TEST(RegistryDeathTest, EnvironmentForcesAnIsa) {
  GTEST_FLAG_SET(death_test_style, "fast");  // a plain fork, which an emulator can follow too
  for (const Isa isa : available_isas())
    EXPECT_EXIT(choose_with(isa_name(isa)), testing::ExitedWithCode(0), std::string("runs ") + isa_name(isa));
  EXPECT_EXIT(choose_with(""), testing::ExitedWithCode(0),
              std::string("runs ") + isa_name(available_isas().back()));
}

TEST(RegistryDeathTest, AnIsaThatCannotRunIsRefusedWithTheAlternatives) {
  GTEST_FLAG_SET(death_test_style, "fast");  // a plain fork, which an emulator can follow too
  EXPECT_EXIT(choose_with("sse9"), testing::ExitedWithCode(4), "EDGEVID_ISA=sse9 does not run here.*scalar");
#if defined(__x86_64__)
  EXPECT_EXIT(choose_with("neon"), testing::ExitedWithCode(4), "this machine runs scalar");
#endif
}

TEST(Registry, SwitchesBetweenAvailableIsas) {
  for (const Isa isa : available_isas()) {
    use_isa(isa);
    EXPECT_EQ(active_isa(), isa);
  }
#if defined(__x86_64__)
  EXPECT_THROW(use_isa(Isa::kNeon), Error);
#endif
  use_isa(available_isas().back());
}

}  // namespace
}  // namespace ev::ops
