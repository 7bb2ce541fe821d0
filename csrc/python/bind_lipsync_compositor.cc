// edgevid._native.lipsync.composite.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>

#include "base/error.h"
#include "lipsync/compositor.h"
#include "python/array.h"

namespace py = pybind11;

namespace ev::python {
namespace {

using Pixels = Array<uint8_t>;
// Written in place, so it is taken as it is or refused.
using OwnPixels = py::array_t<uint8_t, py::array::c_style>;

void composite(OwnPixels& picture, const Pixels& texture, const Floats& field, const Floats& gain,
               std::array<int64_t, 3> origin, const Floats& outline, float feather, float opacity) {
  require(picture.ndim() == 3 && picture.shape(2) == 3 && texture.ndim() == 3 && texture.shape(2) == 3,
          "composite: pictures are [h, w, 3]");
  require(field.ndim() == 3 && field.shape(2) == 2, "composite: the field is [rows, columns, 2]");
  require(gain.ndim() == 3 && gain.shape(0) == field.shape(0) && gain.shape(1) == field.shape(1),
          "composite: the gain is [rows, columns, 3], as many as the field");
  require(outline.ndim() == 2, "composite: the outline is [n, 2]");
  lipsync::MouthPatch patch;
  patch.texture = {texture.data(), texture.shape(0), texture.shape(1) * 3};
  patch.field = {field.data(), field.shape(0) * field.shape(1), 2};
  patch.gain = {gain.data(), gain.shape(0) * gain.shape(1), gain.shape(2)};
  patch.grid_cols = field.shape(1);
  patch.left = origin[0], patch.top = origin[1], patch.step = origin[2];
  patch.outline = {outline.data(), outline.shape(0), outline.shape(1)};
  patch.feather = feather;
  patch.opacity = opacity;
  const lipsync::Picture target(picture.mutable_data(), picture.shape(0), picture.shape(1) * 3);
  const py::gil_scoped_release unlocked;
  lipsync::composite(target, patch);
}

}  // namespace

void bind_lipsync_compositor(py::module_& root) {
  py::module_ m = root.def_submodule("lipsync", "Native parts of dubbing.");
  m.def("composite", &composite, py::arg("picture").noconvert(), py::kw_only(), py::arg("texture"),
        py::arg("field"), py::arg("gain"), py::arg("origin"), py::arg("outline"), py::arg("feather"),
        py::arg("opacity"));
}

}  // namespace ev::python
