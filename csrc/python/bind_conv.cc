// edgevid._native.ops.conv1d_int8 on numpy arrays, for tests and benchmarks.
#include <pybind11/pybind11.h>

#include "base/error.h"
#include "ops/conv1d_int8.h"
#include "python/array.h"

namespace py = pybind11;

namespace ev::python {
namespace {

Array<int8_t> conv1d_int8(const Array<int8_t>& x, const Array<int8_t>& weights, const Array<int32_t>& bias,
                          const Array<float>& scales, int64_t stride, int64_t dilation, bool relu,
                          int threads) {
  require(x.ndim() == 2 && weights.ndim() == 3 && bias.ndim() == 1 && scales.ndim() == 1 &&
              weights.shape(1) == x.shape(1) && bias.shape(0) == weights.shape(0) &&
              scales.shape(0) == weights.shape(0),
          "conv1d_int8: shapes disagree");
  const ops::ConvShape shape{weights.shape(1), weights.shape(0), weights.shape(2), stride, dilation};
  const ops::PackedConv conv(shape, weights.data(), bias.data(), scales.data(), relu);
  ThreadPool pool(threads);
  const int64_t rows = shape.rows_out(x.shape(0));
  Array<int8_t> y({rows, shape.out_channels});
  {
    const py::gil_scoped_release release;
    ops::conv1d_int8({x.data(), x.shape(0), x.shape(1)}, conv, {y.mutable_data(), rows, shape.out_channels},
                     pool);
  }
  return y;
}

}  // namespace

void bind_conv(py::module_& m) {
  m.def("conv1d_int8", &conv1d_int8, py::arg("x"), py::arg("weights"), py::arg("bias"), py::arg("scales"),
        py::kw_only(), py::arg("stride") = 1, py::arg("dilation") = 1, py::arg("relu") = false,
        py::arg("threads") = 1);
}

}  // namespace ev::python
