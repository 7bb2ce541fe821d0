// Memory of the device, for callers that have no CUDA runtime of their own.
#include "cuda/device.h"

#ifdef __CUDACC__

int ev_cuda_is_host(void) {
  return 0;
}

int ev_cuda_device_name(char* name, int size) {
  cudaDeviceProp properties;
  if (const auto failed = cudaGetDeviceProperties(&properties, 0)) return static_cast<int>(failed);
  for (int i = 0; i < size; ++i) name[i] = i + 1 < size ? properties.name[i] : '\0';
  return 0;
}

int ev_cuda_alloc(void** memory, int64_t bytes) {
  return static_cast<int>(cudaMalloc(memory, static_cast<size_t>(bytes)));
}

int ev_cuda_free(void* memory) {
  return static_cast<int>(cudaFree(memory));
}

int ev_cuda_copy_in(void* device, const void* host, int64_t bytes) {
  return static_cast<int>(cudaMemcpy(device, host, static_cast<size_t>(bytes), cudaMemcpyHostToDevice));
}

int ev_cuda_copy_out(void* host, const void* device, int64_t bytes) {
  return static_cast<int>(cudaMemcpy(host, device, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost));
}

#else
#include <cstdio>
#include <cstdlib>

int ev_cuda_is_host(void) {
  return 1;
}

int ev_cuda_device_name(char* name, int size) {
  std::snprintf(name, static_cast<size_t>(size), "host shim");
  return 0;
}

int ev_cuda_alloc(void** memory, int64_t bytes) {
  *memory = std::malloc(static_cast<size_t>(bytes) + 1);
  return *memory == nullptr ? 2 : 0;  // cudaErrorMemoryAllocation
}

int ev_cuda_free(void* memory) {
  std::free(memory);
  return 0;
}

int ev_cuda_copy_in(void* device, const void* host, int64_t bytes) {
  std::memcpy(device, host, static_cast<size_t>(bytes));
  return 0;
}

int ev_cuda_copy_out(void* host, const void* device, int64_t bytes) {
  std::memcpy(host, device, static_cast<size_t>(bytes));
  return 0;
}

#endif
