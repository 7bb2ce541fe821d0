// A mouth from another picture of the same face, laid into a picture in one pass: remap by a field of places,
// colour gain, feathered blend (edgevid/lipsync/patch.py finds the fields).
#pragma once

#include <cstdint>

#include "base/tensor.h"

namespace ev::lipsync {

// Packed 8-bit RGB: element columns are 3 per pixel.
using Picture = MatrixRef<uint8_t>;
using ConstPicture = MatrixRef<const uint8_t>;

struct MouthPatch {
  ConstPicture texture;          // where the mouth is taken from
  MatrixRef<const float> field;  // [grid_rows * grid_cols, 2]: x, y in the texture (centre of a pixel: whole
                                 // numbers) for the pixel (left + c * step, top + r * step) of the picture
  int64_t grid_cols = 0;
  MatrixRef<const float> gain;  // [grid_rows * grid_cols, 3]: factors of the texture's colours, same grid
  int64_t left = 0, top = 0, step = 1;
  MatrixRef<const float> outline;  // [n >= 3, 2]: polygon in the picture; nothing outside it is touched
  float feather = 1;               // px > 0 from the outline inwards over which the patch fades in
  float opacity = 1;               // 0 to 1, of the patch where it has faded in
};

// Blends `patch` into `picture`. Where the field points outside the texture, its edge repeats. Throws
// Error(kInvalidArgument) when sizes do not fit each other or a number is not finite.
void composite(const Picture& picture, const MouthPatch& patch);

}  // namespace ev::lipsync
