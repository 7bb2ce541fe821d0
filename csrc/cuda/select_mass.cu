// select_mass: scores to densities per row, densities summed over rows, a selection, a cap on its tokens.
//
// Clusters are walked from the highest density down by keys, density's bits above and the inverted index
// below: the next one is the greatest key under the last, so a walk needs no memory of what it took.
#include <cmath>

#include "cuda/device.h"

namespace ev::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBuckets = kThreads;  // a thread sums one of them
constexpr uint64_t kHighestKey = ~uint64_t{0};

struct Work {
  double* lacks;       // [heads, rows]: mass a row lacks to its share
  double* shares;      // [heads, rows]: its resident share
  float* inverses;     // [heads, rows]: 1 / total
  float* pool;         // [heads, clusters]
  int32_t* takes_all;  // [heads]
};

Work work_of(const EvCudaSelection& s) {
  const int64_t rows = int64_t{s.num_kv_heads} * s.rows, clusters = int64_t{s.num_kv_heads} * s.clusters;
  auto* lacks = static_cast<double*>(s.workspace);
  auto* inverses = reinterpret_cast<float*>(lacks + 2 * rows);
  return {lacks, lacks + rows, inverses, inverses + rows,
          reinterpret_cast<int32_t*>(inverses + rows + clusters)};
}

__global__ void clear(EvCudaSelection s, Work w) {
  const int64_t head = blockIdx.x;
  for (int c = static_cast<int>(threadIdx.x); c < s.clusters; c += kThreads)
    s.marks[head * s.clusters + c] = 0;
  if (threadIdx.x == 0) w.takes_all[head] = 0;
}

__global__ void row_masses(EvCudaSelection s, Work w) {
  const int64_t head = blockIdx.y, row = head * s.rows + blockIdx.x;
  float* scores = s.scores + row * s.clusters;
  float top = s.resident_max[row];
  for (int c = static_cast<int>(threadIdx.x); c < s.clusters; c += kThreads) top = fmaxf(top, scores[c]);
  top = reduce_block(top, Max());
  double mass = 0.0;
  for (int c = static_cast<int>(threadIdx.x); c < s.clusters; c += kThreads) {
    scores[c] = expf(scores[c] - top);
    mass += static_cast<double>(scores[c]) * s.counts[head * s.clusters + c];
  }
  const double resident = static_cast<double>(s.resident_sum[row]) * expf(s.resident_max[row] - top);
  const double total = resident + reduce_block(mass, Sum());
  double lack = s.threshold * total - resident;
  if (s.cluster_doubts) {
    double in_doubt = 0.0;
    for (int c = static_cast<int>(threadIdx.x); c < s.clusters; c += kThreads) {
      scores[c] *= fminf(s.row_doubts[row] * s.cluster_doubts[head * s.clusters + c], 1.0f);
      in_doubt += static_cast<double>(scores[c]) * s.counts[head * s.clusters + c];
    }
    lack = reduce_block(in_doubt, Sum()) - (1.0 - s.threshold) * total;
  }
  if (threadIdx.x != 0) return;
  if (total > 0.0 && total < INFINITY) {
    w.lacks[row] = lack;
    w.shares[row] = resident / total;
    w.inverses[row] = static_cast<float>(1.0 / total);
  } else {
    w.takes_all[head] = 1;  // a row that cannot be judged; several blocks may write the same
  }
}

__global__ void pool_rows(EvCudaSelection s, Work w) {
  const int64_t head = blockIdx.y;
  const int c = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (c >= s.clusters) return;
  float total = 0.0f;
  for (int r = 0; r < s.rows; ++r)
    total += s.scores[(head * s.rows + r) * s.clusters + c] * w.inverses[head * s.rows + r];
  w.pool[head * s.clusters + c] = total;
}

__device__ uint64_t key_of(float density, int c) {
  return uint64_t{__float_as_uint(density)} << 32 | (0xffffffffu - static_cast<unsigned>(c));
}

__device__ int cluster_of(uint64_t key) {
  return static_cast<int>(0xffffffffu - static_cast<unsigned>(key));
}

__device__ void take_exact(const float* density, const int32_t* counts, int clusters, double lack,
                           uint8_t* marks) {
  uint64_t last = kHighestKey;
  for (int taken = 0; taken < clusters && lack >= 0.0; ++taken) {
    uint64_t next = 0;
    for (int c = static_cast<int>(threadIdx.x); c < clusters; c += kThreads) {
      const uint64_t key = key_of(density[c], c);
      if (key < last && key > next) next = key;
    }
    last = reduce_block(next, Max());
    const int c = cluster_of(last);
    lack -= static_cast<double>(density[c]) * counts[c];
    if (threadIdx.x == 0 && counts[c] > 0) marks[c] = 1;
  }
}

__device__ int bucket_of(float density, int highest) {
  const int below = highest - static_cast<int>(__float_as_uint(density) >> 20);  // eighths of an octave
  return below < kBuckets ? below : kBuckets - 1;
}

__device__ void take_buckets(const float* density, const int32_t* counts, int clusters, double lack,
                             uint8_t* marks) {
  __shared__ double of_bucket[kBuckets];
  const int thread = static_cast<int>(threadIdx.x);
  int highest = 0;
  for (int c = thread; c < clusters; c += kThreads)
    highest = Max()(highest, static_cast<int>(__float_as_uint(density[c]) >> 20));
  highest = reduce_block(highest, Max());
  double mass = 0.0;  // in order, so that a result never depends on timing
  for (int c = 0; c < clusters; ++c)
    if (bucket_of(density[c], highest) == thread) mass += static_cast<double>(density[c]) * counts[c];
  of_bucket[thread] = mass;
  __syncthreads();
  int buckets = 0;
  while (buckets < kBuckets && lack >= 0.0) lack -= of_bucket[buckets++];
  for (int c = thread; c < clusters; c += kThreads)
    if (bucket_of(density[c], highest) < buckets && counts[c] > 0) marks[c] = 1;
}

// What the rows' pooled masses lack to what is to be selected of them.
__device__ double pooled_lack(const EvCudaSelection& s, const Work& w, int64_t head) {
  double lack = static_cast<double>(s.threshold) * s.rows;
  if (!s.cluster_doubts) {
    for (int r = 0; r < s.rows; ++r) lack -= w.shares[head * s.rows + r];
    return lack;
  }
  double in_doubt = 0.0;
  for (int c = static_cast<int>(threadIdx.x); c < s.clusters; c += kThreads)
    in_doubt += static_cast<double>(w.pool[head * s.clusters + c]) * s.counts[head * s.clusters + c];
  return reduce_block(in_doubt, Sum()) - (s.rows - lack);
}

__global__ void take_mass(EvCudaSelection s, Work w) {
  const int64_t head = blockIdx.y, row = head * s.rows + blockIdx.x;
  const int32_t* counts = s.counts + head * s.clusters;
  uint8_t* marks = s.marks + head * s.clusters;
  if (s.threshold >= 1.0f || w.takes_all[head]) {
    for (int c = static_cast<int>(threadIdx.x); c < s.clusters; c += kThreads) marks[c] = counts[c] > 0;
    return;
  }
  const double lack = s.pooled ? pooled_lack(s, w, head) : w.lacks[row];
  const float* density = s.pooled ? w.pool + head * s.clusters : s.scores + row * s.clusters;
  if (s.exact) {
    take_exact(density, counts, s.clusters, lack, marks);
  } else {
    take_buckets(density, counts, s.clusters, lack, marks);
  }
}

__global__ void cap_tokens(EvCudaSelection s, Work w) {
  const int64_t head = blockIdx.x;
  const int32_t* counts = s.counts + head * s.clusters;
  uint8_t* marks = s.marks + head * s.clusters;
  const float* density = w.pool + head * s.clusters;
  int64_t tokens = 0;
  for (int c = static_cast<int>(threadIdx.x); c < s.clusters; c += kThreads)
    tokens += marks[c] ? counts[c] : 0;
  if (reduce_block(tokens, Sum()) <= s.max_tokens || w.takes_all[head]) return;
  int room = s.max_tokens;
  for (uint64_t last = kHighestKey; last != 0;) {
    uint64_t next = 0;
    for (int c = static_cast<int>(threadIdx.x); c < s.clusters; c += kThreads) {
      const uint64_t key = key_of(density[c], c);
      if (marks[c] && counts[c] <= room && key < last && key > next) next = key;
    }
    next = reduce_block(next, Max());
    // What was passed over between two keys did not fit, and room only shrinks.
    for (int c = static_cast<int>(threadIdx.x); c < s.clusters; c += kThreads) {
      const uint64_t key = key_of(density[c], c);
      if (key < last && key > next) marks[c] = 0;
    }
    if (next != 0) room -= counts[cluster_of(next)];
    last = next;
  }
}

}  // namespace
}  // namespace ev::cuda

int64_t ev_cuda_selection_bytes(int32_t num_kv_heads, int32_t rows, int32_t clusters) {
  return int64_t{num_kv_heads} * (int64_t{rows} * 20 + int64_t{clusters} * 4 + 4);
}

int ev_cuda_select_mass(const EvCudaSelection* s, void* stream) {
  using namespace ev::cuda;
  const Work work = work_of(*s);
  const auto heads = static_cast<unsigned>(s->num_kv_heads), rows = static_cast<unsigned>(s->rows);
  const dim3 blocks(static_cast<unsigned>(ceil_div(s->clusters, kThreads)), heads);
  int failed = launch(clear, dim3(heads), kThreads, stream, *s, work);
  if (!failed) failed = launch(row_masses, dim3(rows, heads), kThreads, stream, *s, work);
  if (!failed) failed = launch(pool_rows, blocks, kThreads, stream, *s, work);
  if (!failed) failed = launch(take_mass, dim3(s->pooled ? 1 : rows, heads), kThreads, stream, *s, work);
  if (!failed && s->max_tokens) failed = launch(cap_tokens, dim3(heads), kThreads, stream, *s, work);
  return failed;
}
