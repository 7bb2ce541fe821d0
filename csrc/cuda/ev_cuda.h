/* The ops on an NVIDIA device, as C functions on device pointers. Contracts are those of edgevid/ops/<op>.py;
 * an engine checks its arguments before it calls, a kernel trusts them.
 *
 * Every function only queues work on `stream` (a cudaStream_t, or NULL) and returns a cudaError_t, 0 for
 * success. Tokens come as slots, `page * page_size + slot` of each. Compiled for the host (shim/), the same
 * sources take host pointers and run at once. */
#ifndef EV_CUDA_H
#define EV_CUDA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 1 when this is a library for the host, whose "device" is ordinary memory. */
int ev_cuda_is_host(void);
/* Writes up to `size` bytes of the device's name; nonzero when there is no device. */
int ev_cuda_device_name(char* name, int size);
int ev_cuda_alloc(void** memory, int64_t bytes);
int ev_cuda_free(void* memory);
int ev_cuda_copy_in(void* device, const void* host, int64_t bytes);
int ev_cuda_copy_out(void* host, const void* device, int64_t bytes); /* waits for the work queued before */

enum { EV_CUDA_MAX_HEAD_DIM = 128 }; /* beyond: cudaErrorInvalidValue */
enum { EV_CUDA_SCALE_DIMS = 32 };    /* of a key in int8, that share a scale */
enum { EV_CUDA_F16 = 0, EV_CUDA_F32 = 1, EV_CUDA_I8 = 2 };

/* Pages of one layer: keys [page][kv_head][head_dim][page_size], values [page][kv_head][page_size][v_stride],
 * of int8 also f16 key_scales [page][kv_head][key_scale_lines][page_size], a line for each EV_CUDA_SCALE_DIMS
 * dims, and value_scales [page][kv_head][page_size]. Strides are elements from page to page. */
typedef struct EvCudaPages {
  void* keys;
  void* values;
  void* key_scales;   /* read and written for EV_CUDA_I8 only */
  void* value_scales; /* likewise */
  int64_t k_page_stride;
  int64_t v_page_stride;
  int64_t ks_page_stride;
  int64_t vs_page_stride;
  int32_t page_size;
  int32_t num_kv_heads;
  int32_t head_dim;
  int32_t v_stride;
  int32_t key_scale_lines;
  int32_t type; /* EV_CUDA_F16 ... */
} EvCudaPages;

/* m positions with group query heads per KV head. */
typedef struct EvCudaAttention {
  const float* q;       /* [m, num_kv_heads * group, head_dim] */
  const int32_t* slots; /* [lists, tokens]; the positions' own tokens last */
  int32_t lists;        /* 1: one list for all KV heads; num_kv_heads: one for each */
  int32_t tokens;       /* at least m */
  int32_t m;
  int32_t group;
  float scale;
  const float* rest_max;    /* [num_kv_heads, m * group]; read with rest_sum only */
  const float* rest_sum;    /* likewise; NULL: nothing but the tokens is attended */
  const float* rest_values; /* [num_kv_heads, m * group, v_stride] */
  float* out;               /* as q; NULL: only the mass */
  float* max;               /* [num_kv_heads, m * group]; read when out is NULL */
  float* sum;               /* likewise */
  float* workspace;         /* ev_cuda_attention_floats() of them */
} EvCudaAttention;

int64_t ev_cuda_attention_floats(const EvCudaPages* pages, const EvCudaAttention* a);
int ev_cuda_paged_attention(const EvCudaPages* pages, const EvCudaAttention* a, void* stream);

/* k, v f32 [tokens, num_kv_heads, head_dim] into slots [tokens]. */
int ev_cuda_kv_append(const EvCudaPages* pages, const float* k, const float* v, const int32_t* slots,
                      int32_t tokens, void* stream);

/* The token in slot from[j] to slot to[j], on other pages. */
int ev_cuda_kv_seal(const EvCudaPages* pages, const int32_t* from, const int32_t* to, int32_t tokens,
                    void* stream);

/* keys f32 [n, num_kv_heads * head_dim]; cluster c is the rows begin[c] .. begin[c + 1]. means int8
 * [num_kv_heads, head_dim, stride], scales and radii f32 [num_kv_heads, stride]; what lies past the clusters
 * is left alone. */
int ev_cuda_cluster_summaries(const float* keys, const int32_t* begin, int32_t clusters, int32_t stride,
                              int32_t num_kv_heads, int32_t head_dim, int8_t* means, float* scales,
                              float* radii, void* stream);

/* What estimates clusters, as ev_cuda_cluster_summaries of keys and values both. What lies past the clusters
 * is left alone. */
typedef struct EvCudaMoments {
  const float* keys;    /* [n, num_kv_heads * head_dim] */
  const float* values;  /* likewise */
  const int32_t* begin; /* [clusters + 1] */
  int8_t* value_means;  /* [num_kv_heads, stride, v_stride]; 0 from head_dim on */
  float* value_scales;  /* [num_kv_heads, stride] */
  float* spreads;       /* likewise */
  float* variance;      /* [num_kv_heads, head_dim] */
  float* squares;       /* workspace [num_kv_heads, clusters, head_dim] */
  int32_t clusters;
  int32_t stride;
  int32_t num_kv_heads;
  int32_t head_dim;
  int32_t v_stride;
} EvCudaMoments;

int ev_cuda_cluster_moments(const EvCudaMoments* m, void* stream);

/* keys f32 [n, dims], centre f32 [dims], planes [dims] (bit b of word j: H[j, b] is +1), codes [n]; dims <=
 * 65536. */
int ev_cuda_hash_codes(const float* keys, const float* centre, const uint32_t* planes, uint32_t* codes,
                       int32_t n, int32_t dims, void* stream);

/* codes [streams, n], ids [streams, n]; leaders [streams, capacity] and opened [streams] are brought up to
 * date. */
int ev_cuda_cluster_assign(const uint32_t* codes, uint32_t* leaders, int32_t* opened, int32_t* ids,
                           int32_t streams, int32_t n, int32_t capacity, int32_t threshold, void* stream);

/* Rows, rounded to 8 bits, times means and scales of the summaries. */
typedef struct EvCudaScores {
  const float* q;        /* [num_kv_heads, rows, head_dim] */
  const int8_t* means;   /* [num_kv_heads, head_dim, stride] */
  const float* scales;   /* [num_kv_heads, stride] */
  const float* variance; /* [num_kv_heads, head_dim]; read with spreads only */
  const float* spreads;  /* [num_kv_heads, stride]; NULL: keys do not spread */
  float* out;            /* [num_kv_heads, rows, stride] */
  int32_t num_kv_heads;
  int32_t rows;
  int32_t head_dim;
  int32_t clusters;
  int32_t stride;
  float scale;
} EvCudaScores;

int ev_cuda_cluster_scores(const EvCudaScores* s, void* stream);

/* One selection per KV head. */
typedef struct EvCudaSelection {
  float* scores;               /* [num_kv_heads, rows, clusters], overwritten */
  const int32_t* counts;       /* [num_kv_heads, clusters] */
  const float* resident_max;   /* [num_kv_heads, rows] */
  const float* resident_sum;   /* likewise */
  const float* row_doubts;     /* [num_kv_heads, rows]; read with cluster_doubts only */
  const float* cluster_doubts; /* [num_kv_heads, clusters]; NULL: what is left out is not estimated */
  uint8_t* marks;              /* [num_kv_heads, clusters]: 1 selected, 0 not */
  int32_t num_kv_heads;
  int32_t rows;
  int32_t clusters;
  int32_t max_tokens; /* 0: no limit */
  float threshold;
  int32_t pooled;
  int32_t exact;
  void* workspace; /* ev_cuda_selection_bytes(), 8-byte aligned */
} EvCudaSelection;

int64_t ev_cuda_selection_bytes(int32_t num_kv_heads, int32_t rows, int32_t clusters);
int ev_cuda_select_mass(const EvCudaSelection* s, void* stream);

/* What clusters without a mark add to attention. */
typedef struct EvCudaEstimate {
  const float* densities; /* [num_kv_heads, rows, stride] */
  const int32_t* counts;  /* [num_kv_heads, stride] */
  const uint8_t* marks;   /* likewise */
  const int8_t* means;    /* [num_kv_heads, stride, v_stride], of values */
  const float* scales;    /* [num_kv_heads, stride] */
  float* sum;             /* [num_kv_heads, rows] */
  float* values;          /* [num_kv_heads, rows, v_stride] */
  int32_t num_kv_heads;
  int32_t rows;
  int32_t stride;
  int32_t v_stride;
} EvCudaEstimate;

int ev_cuda_cluster_estimate(const EvCudaEstimate* e, void* stream);

#ifdef __cplusplus
}
#endif
#endif
