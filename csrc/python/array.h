// Numpy arrays as arguments: C-contiguous, converted when they are not of the type.
#pragma once

#include <pybind11/numpy.h>

namespace ev::python {

template <class T>
using Array = pybind11::array_t<T, pybind11::array::c_style | pybind11::array::forcecast>;
using Floats = Array<float>;

}  // namespace ev::python
