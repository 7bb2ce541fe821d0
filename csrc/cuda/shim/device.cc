// Fibers for the threads of a block: each runs until a barrier, then the next one does.
#include "cuda/shim/device.h"

#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

dim3 threadIdx, blockIdx, blockDim;

namespace ev::cuda::shim {
namespace {

constexpr size_t kStackBytes = 128 << 10;
enum class State { kReady, kAtWarpBarrier, kAtBlockBarrier, kDone };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  State state = State::kDone;
};

std::vector<Fiber> fibers;
std::vector<unsigned char> slots;
ucontext_t scheduler;
void (*block_body)(void*);
void* block_context;

void start_fiber() {
  block_body(block_context);
  fibers[threadIdx.x].state = State::kDone;
}

void wait_at(State barrier) {
  Fiber& mine = fibers[threadIdx.x];
  mine.state = barrier;
  swapcontext(&mine.context, &scheduler);
}

// Lets threads [first, last) go on if all of them that still run have reached `barrier`.
bool release(State barrier, unsigned first, unsigned last) {
  bool any = false;
  for (unsigned t = first; t < last; ++t) {
    if (fibers[t].state != State::kDone && fibers[t].state != barrier) return false;
    any |= fibers[t].state == barrier;
  }
  for (unsigned t = first; t < last; ++t)
    if (fibers[t].state == barrier) fibers[t].state = State::kReady;
  return any;
}

bool release_all(unsigned threads) {
  bool any = release(State::kAtBlockBarrier, 0, threads);
  for (unsigned first = 0; first < threads; first += 32)
    any |= release(State::kAtWarpBarrier, first, std::min(first + 32, threads));
  return any;
}

}  // namespace

unsigned char* slot_of_lane(unsigned lane) {
  return slots.data() + (threadIdx.x / 32 * 32 + lane) * kSlotBytes;
}

void run_block(unsigned threads, void (*body)(void*), void* context) {
  block_body = body;
  block_context = context;
  if (fibers.size() < threads) fibers.resize(threads);
  slots.resize((threads + 31) / 32 * 32 * kSlotBytes);
  for (unsigned t = 0; t < threads; ++t) {
    Fiber& fiber = fibers[t];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = &scheduler;
    makecontext(&fiber.context, start_fiber, 0);
    fiber.state = State::kReady;
  }
  do {
    for (unsigned t = 0; t < threads; ++t) {
      if (fibers[t].state != State::kReady) continue;
      threadIdx = dim3(t, 0, 0);
      swapcontext(&scheduler, &fibers[t].context);
    }
  } while (release_all(threads));
  for (unsigned t = 0; t < threads; ++t) {
    if (fibers[t].state == State::kDone) continue;
    std::fprintf(stderr, "thread %u waits at a barrier that others never reach\n", t);
    std::abort();
  }
}

}  // namespace ev::cuda::shim

void __syncthreads() {
  ev::cuda::shim::wait_at(ev::cuda::shim::State::kAtBlockBarrier);
}
void __syncwarp() {
  ev::cuda::shim::wait_at(ev::cuda::shim::State::kAtWarpBarrier);
}

float __half2float(__half h) {
  const uint32_t sign = static_cast<uint32_t>(h.bits & 0x8000u) << 16;
  const uint32_t exponent = h.bits >> 10 & 31u, mantissa = h.bits & 1023u;
  if (exponent == 0) {
    const float tiny = std::ldexp(static_cast<float>(mantissa), -24);
    return sign ? -tiny : tiny;
  }
  const uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
  const uint32_t bits = sign | wide << 23 | mantissa << 13;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

__half __float2half_rn(float x) {
  const auto sign = static_cast<uint16_t>(__float_as_uint(x) >> 16 & 0x8000u);
  const float size = std::fabs(x);
  if (std::isnan(x)) return {static_cast<uint16_t>(sign | 0x7e00u)};
  if (size >= 65520.0f) return {static_cast<uint16_t>(sign | 0x7c00u)};
  if (size < 0x1p-14f)
    return {static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(size * 0x1p24f)))};
  const uint32_t bits = __float_as_uint(size);
  const uint32_t rounded = bits + 0xfffu + (bits >> 13 & 1u);  // to the nearest, ties to even
  return {static_cast<uint16_t>(sign | ((rounded >> 13) - (112u << 10)))};
}

__half __float2half_ru(float x) {
  const __half near = __float2half_rn(x);
  if (!(__half2float(near) < x)) return near;
  return {static_cast<uint16_t>(near.bits + (x < 0.0f ? -1 : 1))};
}
