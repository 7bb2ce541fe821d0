#!/usr/bin/env bash
# Fuzzes every parser under ASan and UBSan: `.ci/fuzz.sh [SECONDS per target, default 60] [TARGET ...]`.
# Starts from csrc/fuzz/corpus; what is learnt stays in build/fuzz/learnt, inputs that break something in
# build/fuzz/found. A find becomes corpus/TARGET/found-NAME and a unit test.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(gguf tokenizer grammar decoder session viseme)

cxx=${FUZZ_CXX:-$(command -v clang++ || command -v clang++-14 || true)}
[ -n "$cxx" ] || { echo "error: fuzzing needs clang (fix: apt-get install clang libclang-rt-14-dev)" >&2; exit 4; }

cmake -S . -B build/fuzz -G Ninja -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DEDGEVID_TESTS=OFF \
  -DEDGEVID_FUZZ=ON -DEDGEVID_SANITIZE=address,undefined,fuzzer-no-link >build/fuzz-cmake.log || {
  cat build/fuzz-cmake.log
  exit 1
}
cmake --build build/fuzz -j "${JOBS:-$(nproc)}" -- "${targets[@]/#/fuzz_}"

# Memory is bounded: no input may cost more than 512 MiB in all or 256 MiB at once.
export ASAN_OPTIONS=quarantine_size_mb=16:detect_stack_use_after_return=0 UBSAN_OPTIONS=print_stacktrace=1
mkdir -p build/fuzz/found
for target in "${targets[@]}"; do
  learnt=build/fuzz/learnt/$target
  mkdir -p "$learnt"
  echo "-- fuzz_$target for $seconds s"
  "build/fuzz/csrc/fuzz/fuzz_$target" -max_total_time="$seconds" -rss_limit_mb=512 -malloc_limit_mb=256 -timeout=10 \
    -max_len=65536 -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/found/$target-" \
    "$learnt" "csrc/fuzz/corpus/$target" 2>&1 | tail -n 40
done
