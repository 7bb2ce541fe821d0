// The one tensor view of the native core: a 2-D, row-major, possibly strided window on memory owned
// elsewhere. Higher ranks are written as rows of a flattened last axis, e.g. queries [m, num_q_heads,
// head_dim] are a MatrixRef with cols = num_q_heads * head_dim. Copying a view copies no data.
#pragma once

#include <cstdint>
#include <type_traits>

namespace ev {

template <class T>
struct MatrixRef {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;  // elements from one row to the next, >= cols

  MatrixRef() = default;
  MatrixRef(T* data_in, int64_t rows_in, int64_t cols_in) : MatrixRef(data_in, rows_in, cols_in, cols_in) {}
  MatrixRef(T* data_in, int64_t rows_in, int64_t cols_in, int64_t stride_in)
      : data(data_in), rows(rows_in), cols(cols_in), stride(stride_in) {}

  // A view of mutable elements is also one of constant elements.
  template <class U, class = std::enable_if_t<std::is_same_v<const U, T>>>
  MatrixRef(const MatrixRef<U>& m) : MatrixRef(m.data, m.rows, m.cols, m.stride) {}

  T* row(int64_t i) const { return data + i * stride; }

  // The columns [first, first + count) of every row.
  MatrixRef columns(int64_t first, int64_t count) const { return {data + first, rows, count, stride}; }
  // The rows [first, first + count).
  MatrixRef slice(int64_t first, int64_t count) const { return {row(first), count, cols, stride}; }
};

}  // namespace ev
