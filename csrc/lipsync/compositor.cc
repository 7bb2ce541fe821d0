#include "lipsync/compositor.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace ev::lipsync {
namespace {

constexpr int64_t kChannels = 3;

bool all_finite(const MatrixRef<const float>& values) {
  for (int64_t r = 0; r < values.rows; ++r)
    for (int64_t c = 0; c < values.cols; ++c)
      if (!std::isfinite(values.row(r)[c])) return false;
  return true;
}

void check(const Picture& picture, const MouthPatch& patch) {
  require(picture.cols % kChannels == 0 && patch.texture.cols % kChannels == 0,
          "composite: pictures are RGB");
  require(patch.texture.rows > 0 && patch.texture.cols > 0, "composite: the texture is empty");
  require(patch.outline.rows >= 3 && patch.outline.cols == 2, "composite: the outline is [n >= 3, 2]");
  require(patch.field.cols == 2 && patch.grid_cols >= 2 && patch.field.rows % patch.grid_cols == 0 &&
              patch.field.rows / patch.grid_cols >= 2 && patch.step >= 1,
          "composite: the field is [grid_rows * grid_cols, 2] with 2 rows and columns or more");
  require(patch.gain.rows == patch.field.rows && patch.gain.cols == kChannels,
          "composite: the gain is [grid_rows * grid_cols, 3]");
  require(std::isfinite(patch.feather) && patch.feather > 0 && patch.opacity >= 0 && patch.opacity <= 1 &&
              all_finite(patch.field) && all_finite(patch.gain) && all_finite(patch.outline),
          "composite: a number is not finite, the feather not above 0, or the opacity not 0 to 1");
}

struct Edge {
  float x, y, end_y, dx, dy;
  float per_square, slope;  // 1 / length^2, dx / dy
};

std::vector<Edge> edges_of(const MatrixRef<const float>& outline) {
  std::vector<Edge> edges;
  const float* a = outline.row(outline.rows - 1);
  for (int64_t i = 0; i < outline.rows; ++i) {
    const float* b = outline.row(i);
    const float dx = b[0] - a[0], dy = b[1] - a[1];
    edges.push_back(
        {a[0], a[1], b[1], dx, dy, 1 / std::max(dx * dx + dy * dy, 1e-12f), dx / (dy != 0 ? dy : 1)});
    a = b;
  }
  return edges;
}

// Distance from (x, y) to the outline, 0 outside of it (even-odd rule).
float depth_inside(const std::vector<Edge>& edges, float x, float y) {
  bool inside = false;
  float nearest = INFINITY;
  for (const Edge& e : edges) {
    const float rx = x - e.x, ry = y - e.y;
    if ((e.y > y) != (e.end_y > y) && rx < e.slope * ry) inside = !inside;
    const float t = std::clamp((rx * e.dx + ry * e.dy) * e.per_square, 0.0f, 1.0f);
    const float ox = rx - t * e.dx, oy = ry - t * e.dy;
    nearest = std::min(nearest, ox * ox + oy * oy);
  }
  return inside ? std::sqrt(nearest) : 0.0f;
}

// Where a pixel lies in the grid: its square's upper left point, and how far on it is.
struct Spot {
  int64_t upper, lower;  // rows of `field` and `gain`
  float fx, fy;
};

Spot spot_of(const MouthPatch& patch, int64_t x, int64_t y) {
  const int64_t column = (x - patch.left) / patch.step, row = (y - patch.top) / patch.step;
  const int64_t upper = row * patch.grid_cols + column;
  return {upper, upper + patch.grid_cols,
          static_cast<float>((x - patch.left) % patch.step) / static_cast<float>(patch.step),
          static_cast<float>((y - patch.top) % patch.step) / static_cast<float>(patch.step)};
}

float between(const MatrixRef<const float>& grid, const Spot& spot, int64_t axis) {
  const float* a = grid.row(spot.upper) + axis;
  const float* b = grid.row(spot.lower) + axis;
  const float upper = a[0] + (a[grid.cols] - a[0]) * spot.fx;
  const float lower = b[0] + (b[grid.cols] - b[0]) * spot.fx;
  return upper + (lower - upper) * spot.fy;
}

void blend_pixel(uint8_t* pixel, const MouthPatch& patch, const Spot& spot, float weight) {
  const auto last_x = patch.texture.cols / kChannels - 1, last_y = patch.texture.rows - 1;
  const float x = std::clamp(between(patch.field, spot, 0), 0.0f, static_cast<float>(last_x));
  const float y = std::clamp(between(patch.field, spot, 1), 0.0f, static_cast<float>(last_y));
  const auto x0 = static_cast<int64_t>(x), y0 = static_cast<int64_t>(y);
  const int64_t right = x0 < last_x ? kChannels : 0;
  const float fx = x - static_cast<float>(x0), fy = y - static_cast<float>(y0);
  const uint8_t* upper = patch.texture.row(y0) + x0 * kChannels;
  const uint8_t* lower = patch.texture.row(std::min(y0 + 1, last_y)) + x0 * kChannels;
  for (int64_t c = 0; c < kChannels; ++c) {
    const float u = static_cast<float>(upper[c]) * (1 - fx) + static_cast<float>(upper[c + right]) * fx;
    const float l = static_cast<float>(lower[c]) * (1 - fx) + static_cast<float>(lower[c + right]) * fx;
    const float taken = (u * (1 - fy) + l * fy) * between(patch.gain, spot, c);
    const float own = static_cast<float>(pixel[c]);
    pixel[c] = static_cast<uint8_t>(std::clamp(own + (taken - own) * weight, 0.0f, 255.0f) + 0.5f);
  }
}

}  // namespace

void composite(const Picture& picture, const MouthPatch& patch) {
  check(picture, patch);
  const std::vector<Edge> edges = edges_of(patch.outline);
  const int64_t right = patch.left + (patch.grid_cols - 1) * patch.step;
  const int64_t bottom = patch.top + (patch.field.rows / patch.grid_cols - 1) * patch.step;
  for (int64_t y = std::max<int64_t>(patch.top, 0); y < std::min(bottom, picture.rows); ++y) {
    uint8_t* row = picture.row(y);
    for (int64_t x = std::max<int64_t>(patch.left, 0); x < std::min(right, picture.cols / kChannels); ++x) {
      const float depth = depth_inside(edges, static_cast<float>(x), static_cast<float>(y));
      if (depth <= 0) continue;
      const float t = std::min(depth / patch.feather, 1.0f);
      const float weight = patch.opacity * t * t * (3 - 2 * t);
      blend_pixel(row + x * kChannels, patch, spot_of(patch, x, y), weight);
    }
  }
}

}  // namespace ev::lipsync
