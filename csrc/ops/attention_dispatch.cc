// paged_attention and attention_mass: cut the work into units (one KV head, a few positions) and runs each
// unit's partials either one after the other, or, when there are too few units to go round (a single decoded
// token), on several threads. Both ways join the same partials in the same order.
#include <algorithm>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "ops/paged_attention.h"
#include "ops/registry.h"

namespace ev::ops {
namespace {

constexpr int kTilesPerPartial = 4;
constexpr int kUnitRows = 32;  // (position, query head) rows that share one pass over the keys

struct Job {
  MatrixRef<const float> q;
  MatrixRef<float> out;
  const KvLayer& layer;
  const std::vector<const AttentionPlan*>& plans;
  const std::vector<AttentionRest>& rest;
  int group;
  float scale;
  int64_t blocks;  // of positions
  int64_t units;
  bool values = true;  // without, a unit computes maxima and sums only

  const AttentionPlan& plan(int64_t kv_head) const {
    return *plans[plans.size() == 1 ? 0 : static_cast<size_t>(kv_head)];
  }

  // Later positions see more tokens, so blocks are dealt from both ends: first, last, second, ...
  int64_t block_of(int64_t unit) const {
    const int64_t i = unit % blocks;
    return i % 2 == 0 ? i / 2 : blocks - 1 - i / 2;
  }

  AttentionArgs args(int64_t unit) const {
    const int64_t kv_head = unit / blocks;
    const int64_t block = block_of(unit);
    const int64_t first = q.rows * block / blocks;
    const KvShape& s = layer.shape;
    const int64_t column = kv_head * group * s.head_dim;
    const int64_t slots = kv_head * s.page_size;
    const AttentionPlan& p = plan(kv_head);
    return {s.type,
            s.head_dim,
            values ? s.v_stride() : 0,
            s.page_size,
            std::max(1, s.key_scales()),
            layer.k_offset + slots * s.head_dim * s.element_bytes(),
            layer.v_offset + slots * s.v_stride() * s.element_bytes(),
            layer.k_scales() + slots * s.key_scales() * kScaleBytes,
            layer.v_scales() + slots * s.value_scales() * kScaleBytes,
            p.pieces(),
            p.tile_begin(),
            p.num_tokens(),
            p.holds_rows() ? p.num_rows() : 0,
            q.data + column,
            out.data != nullptr ? out.data + column : nullptr,
            q.stride,
            out.stride,
            group,
            scale,
            first,
            q.rows * (block + 1) / blocks - first,
            kTilesPerPartial};
  }
};

int64_t rows_of(const AttentionArgs& a) {
  return a.positions * a.group;
}

// Partials that hold tokens the unit's last position sees; one, of nothing, when it sees none.
int64_t partials_of(const AttentionArgs& a) {
  const int64_t last = a.first_position + a.positions;
  const int64_t tokens = a.num_rows == 0 ? a.num_tokens : a.num_tokens - a.num_rows + last;
  const int64_t per_partial = int64_t{kTileTokens} * kTilesPerPartial;
  return std::max(int64_t{1}, (tokens + per_partial - 1) / per_partial);
}

int64_t result_floats(const AttentionArgs& a) {
  return (rows_of(a) * (2 + a.v_stride) + 15) / 16 * 16;
}

size_t scratch_bytes(const AttentionArgs& a) {
  const int64_t floats = rows_of(a) * (a.head_dim + kTileTokens * a.key_blocks);
  const int64_t elements = int64_t{kGatherStride} * a.head_dim + int64_t{kTileTokens} * a.v_stride;
  const int64_t scales = int64_t{kGatherStride} * (a.key_blocks + 1);
  return kTileTokens * sizeof(void*) +
         static_cast<size_t>((floats + 2 * elements) * 4 + scales * kScaleBytes);
}

// Memory of the calling thread, kept from call to call.
uint8_t* thread_scratch(size_t bytes) {
  thread_local AlignedBuffer buffer;
  if (buffer.size() < bytes) buffer = AlignedBuffer(bytes);
  return buffer.data();
}

// Joins what the plan does not name into the unit's state; `partial` is room for it.
void join_rest(const Job& job, int64_t unit, const AttentionArgs& a, float* partial, float* state) {
  if (job.rest.empty()) return;
  const AttentionRest& rest = job.rest[static_cast<size_t>(unit / job.blocks)];
  const int64_t rows = rows_of(a), first = a.first_position * a.group;
  std::copy_n(rest.max + first, rows, partial);
  std::copy_n(rest.sum + first, rows, partial + rows);
  std::copy_n(rest.values + first * a.v_stride, rows * a.v_stride, partial + 2 * rows);
  kernels().attention_join(a, partials_of(a), partial, state);
}

// Leaves the joined state of the unit in thread scratch.
float* join_unit(const Job& job, int64_t unit, const AttentionArgs& a) {
  const auto result_bytes = static_cast<size_t>(result_floats(a)) * sizeof(float);
  uint8_t* memory = thread_scratch(2 * result_bytes + scratch_bytes(a));
  auto* state = reinterpret_cast<float*>(memory);
  auto* partial = reinterpret_cast<float*>(memory + result_bytes);
  for (int64_t p = 0; p < partials_of(a); ++p) {
    kernels().attention_partial(a, p, partial, memory + 2 * result_bytes);
    kernels().attention_join(a, p, partial, state);
  }
  join_rest(job, unit, a, partial, state);
  return state;
}

struct Item {
  AttentionArgs args;
  int64_t unit;
  int64_t partial;
  float* result;
};

// One item per unit and partial; `finish` is given each unit's joined state, on the calling thread.
template <class Finish>
void run_items(const Job& job, ThreadPool& pool, const Finish& finish) {
  std::vector<Item> items;
  int64_t floats = 0;
  for (int64_t unit = 0; unit < job.units; ++unit) {
    const AttentionArgs a = job.args(unit);
    for (int64_t p = 0; p < partials_of(a); ++p, floats += result_floats(a))
      items.push_back({a, unit, p, nullptr});
  }
  const AlignedBuffer results(static_cast<size_t>(floats) * sizeof(float));
  floats = 0;
  for (Item& item : items) {
    item.result = results.as<float>() + floats;
    floats += result_floats(item.args);
  }
  pool.parallel_for(static_cast<int64_t>(items.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Item& item = items[static_cast<size_t>(i)];
      kernels().attention_partial(item.args, item.partial, item.result,
                                  thread_scratch(scratch_bytes(item.args)));
    }
  });
  float* state = nullptr;
  for (size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    if (item.partial == 0) {
      state = item.result;
    } else {
      kernels().attention_join(item.args, item.partial, item.result, state);
    }
    if (i + 1 < items.size() && items[i + 1].partial != 0) continue;
    const auto bytes = static_cast<size_t>(result_floats(item.args)) * sizeof(float);
    join_rest(job, item.unit, item.args, reinterpret_cast<float*>(thread_scratch(bytes)), state);
    finish(item.unit, item.args, state);
  }
}

template <class Finish>
void run(const Job& job, ThreadPool& pool, const Finish& finish) {
  if (pool.num_threads() > 1 && job.units < 4 * pool.num_threads()) return run_items(job, pool, finish);
  pool.parallel_for(job.units, 1, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const AttentionArgs a = job.args(unit);
      finish(unit, a, join_unit(job, unit, a));
    }
  });
}

void check(MatrixRef<const float> q, int num_q_heads, const KvLayer& layer,
           const std::vector<const AttentionPlan*>& plans, const std::vector<AttentionRest>& rest) {
  const KvShape& s = layer.shape;
  s.validate();
  require(num_q_heads > 0 && num_q_heads % s.num_kv_heads == 0,
          "attention: query heads do not divide over KV heads");
  require(q.cols == int64_t{num_q_heads} * s.head_dim, "attention: shapes disagree");
  require(plans.size() == 1 || plans.size() == static_cast<size_t>(s.num_kv_heads),
          "attention: one plan for all KV heads, or one for each");
  require(rest.empty() || rest.size() == static_cast<size_t>(s.num_kv_heads),
          "attention: a rest for each KV head, or none");
  for (const AttentionPlan* plan : plans)
    require(plan->num_rows() == q.rows, "attention: plan and rows disagree");
}

Job make_job(MatrixRef<const float> q, MatrixRef<float> out, int num_q_heads, const KvLayer& layer,
             const std::vector<const AttentionPlan*>& plans, const std::vector<AttentionRest>& rest,
             float scale) {
  const int group = num_q_heads / layer.shape.num_kv_heads;
  const int64_t positions = std::max(1, kUnitRows / group);
  const int64_t blocks = (q.rows + positions - 1) / positions;
  return {q, out, layer, plans, rest, group, scale, blocks, blocks * layer.shape.num_kv_heads};
}

}  // namespace

void paged_attention(MatrixRef<const float> q, int num_q_heads, const KvLayer& layer,
                     const std::vector<const AttentionPlan*>& plans, const std::vector<AttentionRest>& rest,
                     float scale, MatrixRef<float> out, ThreadPool& pool) {
  check(q, num_q_heads, layer, plans, rest);
  require(out.cols == q.cols && out.rows == q.rows, "attention: shapes disagree");
  if (q.rows == 0) return;
  run(make_job(q, out, num_q_heads, layer, plans, rest, scale), pool,
      [](int64_t /*unit*/, const AttentionArgs& a, const float* state) {
        kernels().attention_finish(a, state);
      });
}

void attention_mass(MatrixRef<const float> q, int num_q_heads, const KvLayer& layer,
                    const AttentionPlan& plan, float scale, float* max, float* sum, float* values,
                    ThreadPool& pool) {
  const std::vector<const AttentionPlan*> plans{&plan};
  const std::vector<AttentionRest> rest;
  check(q, num_q_heads, layer, plans, rest);
  if (q.rows == 0) return;
  Job job = make_job(q, {}, num_q_heads, layer, plans, rest, scale);
  job.values = values != nullptr;
  run(job, pool, [&](int64_t unit, const AttentionArgs& a, const float* state) {
    const int64_t at = (unit / job.blocks * q.rows + a.first_position) * a.group, rows = rows_of(a);
    std::copy_n(state, rows, max + at);
    std::copy_n(state + rows, rows, sum + at);
    std::copy_n(state + 2 * rows, rows * a.v_stride, values + at * a.v_stride);
  });
}

}  // namespace ev::ops
