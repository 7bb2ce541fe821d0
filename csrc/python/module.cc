// The extension module edgevid._native: one bind_<room> per file, and native errors as edgevid's exceptions.
#include <pybind11/pybind11.h>

#include <string>

#include "base/error.h"
#include "ops/registry.h"

namespace py = pybind11;

namespace ev::python {

void bind_ops(py::module_& m);
void bind_io(py::module_& m);
void bind_sequence(py::module_& m);
void bind_decoder(py::module_& m);
void bind_chooser(py::module_& m);
void bind_lipsync_compositor(py::module_& m);
void bind_lipsync_viseme(py::module_& m);

namespace {

// Programming errors become Python's own classes; what a user can cause becomes edgevid's, which carry an
// exit code.
py::object exception_class(ErrorCode code) {
  const char* const own = [code] {
    switch (code) {
      case ErrorCode::kBadModel: return "BadModelError";
      case ErrorCode::kUnsupported: return "MissingPartError";
      case ErrorCode::kCancelled:
      case ErrorCode::kDeadline: return "CancelledError";
      default: return "";
    }
  }();
  if (*own != '\0') return py::module_::import("edgevid.core.errors").attr(own);
  PyObject* builtin = PyExc_RuntimeError;
  if (code == ErrorCode::kInvalidArgument) builtin = PyExc_ValueError;
  if (code == ErrorCode::kOutOfMemory) builtin = PyExc_MemoryError;
  if (code == ErrorCode::kIo) builtin = PyExc_OSError;
  return py::reinterpret_borrow<py::object>(builtin);
}

void translate(std::exception_ptr thrown) {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const Error& e) {
    try {
      PyErr_SetString(exception_class(e.code()).ptr(), e.what());
    } catch (py::error_already_set& import_error) {
      import_error.restore();
    }
  }
}

}  // namespace
}  // namespace ev::python

PYBIND11_MODULE(_native, m) {
  m.doc() = "edgevid's C++ core.";
  py::register_exception_translator(&ev::python::translate);
  m.def(
      "isa", [] { return std::string(ev::isa_name(ev::ops::active_isa())); },
      "The instruction set the kernels run: scalar, avx2, avx512 or neon.");
  ev::python::bind_ops(m);
  ev::python::bind_io(m);
  ev::python::bind_sequence(m);
  ev::python::bind_decoder(m);
  ev::python::bind_chooser(m);
  ev::python::bind_lipsync_compositor(m);
  ev::python::bind_lipsync_viseme(m);
}
