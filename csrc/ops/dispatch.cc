// The public functions of the row-wise ops and of linear: check shapes, split the work over threads, call the
// active ISA's kernel.
#include <string>

#include "base/error.h"
#include "ops/packed_part.h"
#include "ops/registry.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace ev::ops {
namespace {

// A range shorter than this is not worth waking a thread: about two microseconds of work.
constexpr int64_t kMinElements = 8192;  // of a row-wise op
constexpr int64_t kMinProducts = 1 << 17;

int64_t grain(int64_t minimum, int64_t per_item) {
  return minimum / std::max<int64_t>(per_item, 1) + 1;
}

template <class T>
void ensure_bytes(AlignedBuffer& buffer, int64_t count) {
  const auto bytes = static_cast<size_t>(count) * sizeof(T);
  if (buffer.size() < bytes) buffer = AlignedBuffer(bytes);
}

void norm(const RmsNormArgs& args, int64_t rows, ThreadPool& pool) {
  pool.parallel_for(rows, grain(kMinElements, args.cols),
                    [&](int64_t begin, int64_t end) { kernels().rms_norm(args, begin, end); });
}

}  // namespace

void LinearInput::set(MatrixRef<const float> input, bool quantize, ThreadPool& pool) {
  x = input;
  has_codes = quantize;
  if (!quantize) return;
  require(x.cols % kBlockWidth == 0, "linear: quantised activations come in blocks of 32");
  const int64_t blocks = x.rows * x.cols / kBlockWidth;
  ensure_bytes<int8_t>(codes, x.rows * x.cols);
  ensure_bytes<float>(scales, blocks);
  ensure_bytes<float>(scaled_sums, blocks);
  ensure_bytes<int32_t>(sums, 2 * blocks);
  const QuantizeArgs args{x.data,
                          x.stride,
                          x.rows,
                          x.cols,
                          codes.as<int8_t>(),
                          scales.as<float>(),
                          scaled_sums.as<float>(),
                          sums.as<int32_t>()};
  pool.parallel_for(x.rows, grain(kMinElements, x.cols),
                    [&](int64_t begin, int64_t end) { kernels().quantize(args, begin, end); });
}

void linear(const PackedMatrix& w, const LinearInput& in, const float* bias, MatrixRef<float> y,
            ThreadPool& pool) {
  require(in.x.cols == w.cols() && y.cols == w.rows() && y.rows == in.x.rows, "linear: shapes disagree");
  require(in.has_codes || !w.uses_codes(), "linear: these weights need quantised activations");
  const auto run_part = [&](const PackedMatrix::Part& p, int64_t begin, int64_t end) {
    const LinearArgs args{p.kind,
                          p.weights.data(),
                          p.scales.data(),
                          p.rows,
                          w.cols(),
                          w.cols() / kBlockWidth,
                          in.x.rows,
                          in.x.data,
                          in.x.stride,
                          in.codes.as<int8_t>(),
                          in.scales.as<float>(),
                          in.scaled_sums.as<float>(),
                          in.sums.as<int32_t>(),
                          bias == nullptr ? nullptr : bias + p.first_row,
                          y.data + p.first_row,
                          y.stride};
    kernels().linear(args, begin, end);
  };
  const int64_t per_panel = kPanelRows * w.cols() * in.x.rows;
  pool.parallel_for(w.panels(), grain(kMinProducts, per_panel), [&](int64_t begin, int64_t end) {
    for (const PackedMatrix::Part& p : w.parts()) {
      const int64_t first = std::max(begin - p.first_panel, int64_t{0});
      const int64_t last = std::min(end - p.first_panel, p.panels);
      if (first < last) run_part(p, first, last);
    }
  });
}

void rms_norm(MatrixRef<const float> x, const float* weight, float eps, MatrixRef<float> out,
              ThreadPool& pool) {
  require(x.rows == out.rows && x.cols == out.cols, "rms_norm: shapes disagree");
  norm({const_cast<float*>(x.data), x.stride, nullptr, 0, weight, eps, out.data, out.stride, x.cols}, x.rows,
       pool);
}

void add_rms_norm(MatrixRef<float> x, MatrixRef<const float> delta, const float* weight, float eps,
                  MatrixRef<float> out, ThreadPool& pool) {
  require(x.rows == out.rows && x.cols == out.cols, "add_rms_norm: shapes disagree");
  require(x.rows == delta.rows && x.cols == delta.cols, "add_rms_norm: shapes disagree");
  norm({x.data, x.stride, delta.data, delta.stride, weight, eps, out.data, out.stride, x.cols}, x.rows, pool);
}

void rope(MatrixRef<float> x, int num_heads, int head_dim, const RopeTable& table, RopeLayout layout,
          ThreadPool& pool) {
  require(num_heads >= 0 && x.cols == int64_t{num_heads} * head_dim && x.rows == table.rows(),
          "rope: shapes disagree");
  require(table.rotary_dim() <= head_dim, "rope: the table is wider than a head");
  const RopeArgs args{x.data,
                      x.stride,
                      num_heads,
                      head_dim,
                      table.rotary_dim(),
                      table.cos(),
                      table.sin(),
                      layout == RopeLayout::kInterleaved};
  pool.parallel_for(x.rows, grain(kMinElements, x.cols),
                    [&](int64_t begin, int64_t end) { kernels().rope(args, begin, end); });
}

void swiglu(MatrixRef<const float> gate_up, MatrixRef<float> out, ThreadPool& pool) {
  require(gate_up.rows == out.rows && gate_up.cols == 2 * out.cols, "swiglu: shapes disagree");
  const SwigluArgs args{gate_up.data, gate_up.stride, out.data, out.stride, out.cols};
  pool.parallel_for(out.rows, grain(kMinElements, out.cols),
                    [&](int64_t begin, int64_t end) { kernels().swiglu(args, begin, end); });
}

}  // namespace ev::ops
