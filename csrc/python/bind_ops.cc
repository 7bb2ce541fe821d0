// edgevid._native.ops: the ops on numpy arrays, for tests and benchmarks. Models call them in C++.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "ops/dequantize.h"
#include "ops/kv_seal.h"
#include "ops/paged_attention.h"
#include "ops/registry.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"
#include "python/array.h"

namespace py = pybind11;

namespace ev::python {

void bind_clusters(py::module_& m);
void bind_conv(py::module_& m);

namespace {

using Bytes = Array<uint8_t>;
using Ints = Array<int32_t>;

// A C-contiguous array as rows of everything behind its first axis.
MatrixRef<const float> view(const Floats& a) {
  require(a.ndim() >= 2, "an op takes arrays of at least two axes");
  int64_t cols = 1;
  for (py::ssize_t axis = 1; axis < a.ndim(); ++axis) cols *= a.shape(axis);
  return {a.data(), a.shape(0), cols};
}

MatrixRef<float> mutable_view(Floats& a) {
  const MatrixRef<const float> v = view(a);
  return {a.mutable_data(), v.rows, v.cols};
}

Floats empty(int64_t rows, int64_t cols) {
  return Floats({rows, cols});
}

Floats copy_of(const Floats& a) {
  Floats c(std::vector<py::ssize_t>(a.shape(), a.shape() + a.ndim()));
  std::copy_n(a.data(), a.size(), c.mutable_data());
  return c;
}

ops::WeightSource weight_source(uint32_t type, const Bytes& rows, int64_t cols) {
  const auto dtype = static_cast<DType>(type);
  require(rows.ndim() == 2, "weights are uint8 [rows, bytes per row]");
  require(rows.shape(1) == ops::row_bytes(dtype, cols), "a row of weights has the wrong number of bytes");
  return {dtype, rows.data(), rows.shape(0), cols};
}

Floats dequantize(uint32_t type, const Bytes& rows, int64_t cols) {
  const ops::WeightSource w = weight_source(type, rows, cols);
  Floats out = empty(w.rows, cols);
  for (int64_t i = 0; i < w.rows; ++i)
    ops::dequantize_row(w.type, w.data + i * rows.shape(1), cols, out.mutable_data() + i * cols);
  return out;
}

Floats gather_rows(uint32_t type, const Bytes& rows, int64_t cols, const Ints& ids, int threads) {
  ThreadPool pool(threads);
  Floats out = empty(ids.size(), cols);
  ops::gather_rows(weight_source(type, rows, cols), ids.data(), mutable_view(out), pool);
  return out;
}

// Row by row: only then are the codes in the order of k.
std::tuple<py::array_t<int8_t>, Floats> quantize(const Floats& x) {
  ThreadPool pool(1);
  const MatrixRef<const float> in = view(x);
  py::array_t<int8_t> codes({in.rows, in.cols});
  Floats scales = empty(in.rows, in.cols / 32);
  for (int64_t i = 0; i < in.rows; ++i) {
    ops::LinearInput input;
    input.set(in.slice(i, 1), true, pool);
    std::copy_n(input.codes.as<int8_t>(), in.cols, codes.mutable_data() + i * in.cols);
    std::copy_n(input.scales.as<float>(), in.cols / 32, scales.mutable_data() + i * (in.cols / 32));
  }
  return {codes, scales};
}

// A matrix packed once, with its own pool: linear(x) -> y.
class Linear {
 public:
  Linear(const std::vector<std::tuple<uint32_t, Bytes>>& stacked, int64_t cols, bool exact, int threads)
      : pool_(threads) {
    std::vector<ops::WeightSource> sources;
    for (const auto& [type, rows] : stacked) sources.push_back(weight_source(type, rows, cols));
    matrix_ = ops::PackedMatrix::pack(sources, exact ? ops::Precision::kExact : ops::Precision::kFast, pool_);
  }

  Floats run(const Floats& x, const std::optional<Floats>& bias) {
    require(!bias || bias->size() == matrix_.rows(), "a bias has one value per output");
    const MatrixRef<const float> in = view(x);
    Floats y = empty(in.rows, matrix_.rows());
    const MatrixRef<float> out = mutable_view(y);
    const float* b = bias ? bias->data() : nullptr;
    const py::gil_scoped_release no_gil;
    input_.set(in, matrix_.uses_codes(), pool_);
    ops::linear(matrix_, input_, b, out, pool_);
    return y;
  }

  size_t bytes() const { return matrix_.bytes(); }

 private:
  ThreadPool pool_;
  ops::PackedMatrix matrix_;
  ops::LinearInput input_;
};

Floats rms_norm(const Floats& x, const Floats& weight, float eps, int threads) {
  require(weight.size() == view(x).cols, "rms_norm: one weight per column");
  ThreadPool pool(threads);
  Floats out = empty(view(x).rows, view(x).cols);
  ops::rms_norm(view(x), weight.data(), eps, mutable_view(out), pool);
  return out;
}

std::tuple<Floats, Floats> add_rms_norm(const Floats& x, const Floats& delta, const Floats& weight, float eps,
                                        int threads) {
  require(weight.size() == view(x).cols, "rms_norm: one weight per column");
  ThreadPool pool(threads);
  Floats sum = copy_of(x);
  Floats out = empty(view(x).rows, view(x).cols);
  ops::add_rms_norm(mutable_view(sum), view(delta), weight.data(), eps, mutable_view(out), pool);
  return {sum, out};
}

Floats rope(const Floats& x, const Floats& cos, const Floats& sin, bool interleaved, int threads) {
  require(x.ndim() == 3, "rope takes [rows, heads, head_dim]");
  require(cos.ndim() == 2 && sin.ndim() == 2 && cos.shape(0) == x.shape(0) && sin.shape(0) == x.shape(0) &&
              cos.shape(1) == sin.shape(1),
          "rope: cos and sin are [rows, pairs]");
  ThreadPool pool(threads);
  ops::RopeTable table(std::vector<float>(static_cast<size_t>(cos.shape(1))));
  table.set(cos.data(), sin.data(), cos.shape(0));
  Floats out = copy_of(x);
  const auto layout = interleaved ? ops::RopeLayout::kInterleaved : ops::RopeLayout::kHalf;
  ops::rope({out.mutable_data(), x.shape(0), x.shape(1) * x.shape(2)}, static_cast<int>(x.shape(1)),
            static_cast<int>(x.shape(2)), table, layout, pool);
  return out;
}

std::tuple<std::vector<float>, std::vector<float>> rope_cos_sin(const Ints& positions,
                                                                const std::vector<float>& inv_freq) {
  ops::RopeTable table(inv_freq);
  table.set_positions(positions.data(), positions.size());
  const size_t count = inv_freq.size() * static_cast<size_t>(positions.size());
  return {{table.cos(), table.cos() + count}, {table.sin(), table.sin() + count}};
}

std::vector<float> rope_inv_freq(int rotary_dim, double base,
                                 const std::optional<std::vector<float>>& factors) {
  require(!factors || factors->size() * 2 == static_cast<size_t>(std::max(rotary_dim, 0)),
          "rope: one factor per pair");
  return ops::rope_inv_freq(rotary_dim, base, factors ? factors->data() : nullptr);
}

Floats swiglu(const Floats& gate_up, int threads) {
  require(view(gate_up).cols % 2 == 0, "swiglu: gate and up have equal widths");
  ThreadPool pool(threads);
  Floats out = empty(view(gate_up).rows, view(gate_up).cols / 2);
  ops::swiglu(view(gate_up), mutable_view(out), pool);
  return out;
}

// A KV cache of one layer with every page allocated: append rows, attend over extents (page, first, count).
class KvCache {
 public:
  using ExtentList = std::vector<std::tuple<int, int, int>>;

  KvCache(int num_pages, int page_size, int num_kv_heads, int head_dim, const std::string& dtype, int threads)
      : pool_(threads) {
    ops::KvShape s;
    s.page_size = page_size;
    s.num_kv_heads = num_kv_heads;
    s.head_dim = head_dim;
    s.type = ops::kv_type(dtype);
    s.validate();
    layer_ = {s, 0, s.k_plane_bytes()};
    const auto bytes = static_cast<size_t>(s.k_plane_bytes() + s.v_plane_bytes());
    for (int i = 0; i < num_pages; ++i) pages_.emplace_back(bytes);
  }

  void append(const Floats& k, const Floats& v, const ExtentList& slots) {
    ops::kv_append(layer_, view(k), view(v), extents(slots), pool_);
  }

  void seal(const ExtentList& from, const std::vector<int32_t>& order, const ExtentList& to) {
    ops::kv_seal(layer_, extents(from), order, extents(to));
  }

  // float32 [num_kv_heads, m, group] each.
  std::tuple<Floats, Floats> mass(const Floats& q, const ExtentList& list, float scale) {
    require(q.ndim() == 3, "attention takes [rows, heads, head_dim]");
    ops::AttentionPlan plan;
    plan.set(extents(list), q.shape(0), layer_.shape);
    const auto group = static_cast<int64_t>(q.shape(1) / layer_.shape.num_kv_heads);
    Floats max({int64_t{layer_.shape.num_kv_heads}, int64_t{q.shape(0)}, group});
    Floats sum({int64_t{layer_.shape.num_kv_heads}, int64_t{q.shape(0)}, group});
    ops::attention_mass({q.data(), q.shape(0), q.shape(1) * q.shape(2)}, static_cast<int>(q.shape(1)), layer_,
                        plan, scale, max.mutable_data(), sum.mutable_data(), nullptr, pool_);
    return {max, sum};
  }

  // q [m, num_q_heads, head_dim]; one list of extents for all KV heads, or one per head; rest None or
  // (max, sum, values), [num_kv_heads, m * group] the first two.
  Floats attend(const Floats& q, const std::vector<ExtentList>& lists, float scale,
                const std::optional<std::tuple<Floats, Floats, Floats>>& rest) {
    require(q.ndim() == 3, "attention takes [rows, heads, head_dim]");
    Floats out({q.shape(0), q.shape(1), q.shape(2)});
    std::vector<ops::AttentionPlan> plans(lists.size());
    std::vector<const ops::AttentionPlan*> pointers;
    for (size_t i = 0; i < lists.size(); ++i) {
      plans[i].set(extents(lists[i]), q.shape(0), layer_.shape);
      pointers.push_back(&plans[i]);
    }
    const int64_t width = q.shape(1) * q.shape(2);
    const MatrixRef<const float> rows(q.data(), q.shape(0), width);
    const MatrixRef<float> to(out.mutable_data(), q.shape(0), width);
    const std::vector<ops::AttentionRest> beside = rest_of(q, rest);
    const py::gil_scoped_release no_gil;
    ops::paged_attention(rows, static_cast<int>(q.shape(1)), layer_, pointers, beside, scale, to, pool_);
    return out;
  }

 private:
  std::vector<ops::AttentionRest> rest_of(
      const Floats& q, const std::optional<std::tuple<Floats, Floats, Floats>>& rest) const {
    if (!rest) return {};
    const auto& [max, sum, values] = *rest;
    const int64_t heads = layer_.shape.num_kv_heads, v_stride = layer_.shape.v_stride();
    const int64_t rows = q.shape(0) * q.shape(1) / heads;
    require(
        max.size() == heads * rows && sum.size() == heads * rows && values.size() == heads * rows * v_stride,
        "attention: shapes disagree");
    std::vector<ops::AttentionRest> out;
    for (int64_t h = 0; h < heads; ++h)
      out.push_back({max.data() + h * rows, sum.data() + h * rows, values.data() + h * rows * v_stride});
    return out;
  }

  std::vector<ops::Extent> extents(const ExtentList& list) const {
    std::vector<ops::Extent> out;
    for (const auto& [page, first, count] : list) {
      require(page >= 0 && static_cast<size_t>(page) < pages_.size(), "there is no such KV page");
      out.push_back({pages_[static_cast<size_t>(page)].data(), first, count});
    }
    return out;
  }

  ThreadPool pool_;
  ops::KvLayer layer_;
  std::vector<AlignedBuffer> pages_;
};

void use_isa(const std::string& name) {
  for (const Isa isa : ops::available_isas())
    if (name == isa_name(isa)) return ops::use_isa(isa);
  throw Error(ErrorCode::kUnsupported, name + " does not run here");
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Isa isa : ops::available_isas()) names.emplace_back(isa_name(isa));
  return names;
}

void bind_classes(py::module_& m) {
  py::class_<Linear>(m, "Linear")
      .def(py::init<const std::vector<std::tuple<uint32_t, Bytes>>&, int64_t, bool, int>(),
           py::arg("stacked"), py::arg("cols"), py::kw_only(), py::arg("exact") = false,
           py::arg("threads") = 1)
      .def("__call__", &Linear::run, py::arg("x"), py::arg("bias") = py::none())
      .def_property_readonly("bytes", &Linear::bytes);
  py::class_<KvCache>(m, "KvCache")
      .def(py::init<int, int, int, int, const std::string&, int>(), py::kw_only(), py::arg("num_pages"),
           py::arg("page_size"), py::arg("num_kv_heads"), py::arg("head_dim"), py::arg("dtype") = "f16",
           py::arg("threads") = 1)
      .def("append", &KvCache::append, py::arg("k"), py::arg("v"), py::arg("slots"))
      .def("seal", &KvCache::seal, py::arg("source"), py::arg("order"), py::arg("target"))
      .def("mass", &KvCache::mass, py::arg("q"), py::arg("extents"), py::arg("scale"))
      .def("attend", &KvCache::attend, py::arg("q"), py::arg("extents"), py::arg("scale"),
           py::arg("rest") = py::none());
}

}  // namespace

void bind_ops(py::module_& root) {
  py::module_ m = root.def_submodule("ops", "The native ops on numpy arrays; contracts in edgevid.ops.");
  m.def("available_isas", &available_isas);
  m.def("use_isa", &use_isa, py::arg("name"));
  m.def("dequantize", &dequantize, py::arg("type"), py::arg("rows"), py::arg("cols"));
  m.def("gather_rows", &gather_rows, py::arg("type"), py::arg("rows"), py::arg("cols"), py::arg("ids"),
        py::kw_only(), py::arg("threads") = 1);
  m.def("quantize", &quantize, py::arg("x"));
  m.def("rms_norm", &rms_norm, py::arg("x"), py::arg("weight"), py::arg("eps"), py::kw_only(),
        py::arg("threads") = 1);
  m.def("add_rms_norm", &add_rms_norm, py::arg("x"), py::arg("delta"), py::arg("weight"), py::arg("eps"),
        py::kw_only(), py::arg("threads") = 1);
  m.def("rope", &rope, py::arg("x"), py::arg("cos"), py::arg("sin"), py::kw_only(), py::arg("interleaved"),
        py::arg("threads") = 1);
  m.def("rope_cos_sin", &rope_cos_sin, py::arg("positions"), py::arg("inv_freq"));
  m.def("rope_inv_freq", &rope_inv_freq, py::arg("rotary_dim"), py::arg("base"),
        py::arg("factors") = py::none());
  m.def("llama3_rope_factors", &ops::llama3_rope_factors, py::arg("rotary_dim"), py::arg("base"),
        py::arg("factor"), py::arg("low_freq"), py::arg("high_freq"), py::arg("original_context"));
  m.def("swiglu", &swiglu, py::arg("gate_up"), py::kw_only(), py::arg("threads") = 1);
  bind_classes(m);
  bind_clusters(m);
  bind_conv(m);
}

}  // namespace ev::python
