// The compositor: nothing outside the outline changes; inside, the texture arrives where the field says.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"
#include "lipsync/compositor.h"

namespace ev::lipsync {
namespace {

constexpr int64_t kSide = 32;

struct Scene {
  std::vector<uint8_t> picture = std::vector<uint8_t>(kSide * kSide * 3, 10);
  std::vector<uint8_t> texture = std::vector<uint8_t>(kSide * kSide * 3);
  std::vector<float> field;
  std::vector<float> gain = std::vector<float>(25 * 3, 1.0f);
  std::vector<float> outline = {8, 8, 24, 8, 24, 24, 8, 24};
  MouthPatch patch;

  // A texture whose red is twice the column, taken `shift` columns to the right.
  explicit Scene(float shift) {
    for (int64_t i = 0; i < kSide * kSide; ++i) texture[i * 3] = static_cast<uint8_t>(i % kSide * 2);
    for (int64_t r = 0; r < 5; ++r)
      for (int64_t c = 0; c < 5; ++c)
        field.insert(field.end(), {static_cast<float>(8 + c * 4) + shift, static_cast<float>(8 + r * 4)});
    patch.texture = {texture.data(), kSide, kSide * 3};
    patch.field = {field.data(), 25, 2};
    patch.gain = {gain.data(), 25, 3};
    patch.grid_cols = 5;
    patch.left = patch.top = 8;
    patch.step = 4;
    patch.outline = {outline.data(), 4, 2};
    patch.feather = 2;
  }
  void draw() { composite({picture.data(), kSide, kSide * 3}, patch); }
  uint8_t red(int64_t x, int64_t y) const { return picture[(y * kSide + x) * 3]; }
};

TEST(Compositor, LeavesEverythingOutsideTheOutline) {
  Scene scene(0);
  const auto before = scene.picture;
  scene.draw();
  for (int64_t i = 0; i < kSide * kSide * 3; ++i) {
    const int64_t x = i / 3 % kSide, y = i / 3 / kSide;
    const bool outside = x < 8 || x >= 24 || y < 8 || y >= 24;
    ASSERT_TRUE(!outside || scene.picture[i] == before[i]) << x << ' ' << y;
  }
  EXPECT_NE(scene.picture, before);
}

TEST(Compositor, TakesThePlaceTheFieldNames) {
  Scene scene(2.5f);
  scene.draw();
  for (int64_t x = 11; x < 21; ++x) EXPECT_EQ(scene.red(x, 16), 2 * x + 5);
}

TEST(Compositor, AppliesTheGainAndSaturates) {
  Scene scene(0);
  for (int64_t r = 0; r < 5; ++r)
    for (int64_t c = 0; c < 5; ++c) scene.gain[(r * 5 + c) * 3] = static_cast<float>(c) * 2;
  scene.draw();
  EXPECT_EQ(scene.red(14, 16), 14 * 2 * 3);  // half way between two points of the grid
  EXPECT_EQ(scene.red(21, 16), 255);
}

TEST(Compositor, AddsNoMoreThanItsOpacity) {
  Scene half(0), none(0);
  half.patch.opacity = 0.5f;
  half.draw();
  EXPECT_EQ(half.red(16, 16), 21);
  none.patch.opacity = 0;
  const auto before = none.picture;
  none.draw();
  EXPECT_EQ(none.picture, before);
}

TEST(Compositor, RepeatsTheEdgeOfTheTexture) {
  Scene scene(1e6f);
  scene.draw();
  EXPECT_EQ(scene.red(16, 16), 2 * (kSide - 1));
}

TEST(Compositor, DrawsWhatLiesInsideThePictureOnly) {
  Scene scene(0);
  scene.patch.left = scene.patch.top = -4;
  for (float& v : scene.outline) v -= 12;
  scene.draw();
  EXPECT_EQ(scene.red(20, 20), 10);
}

TEST(Compositor, RefusesWhatDoesNotFit) {
  Scene scene(0);
  scene.patch.grid_cols = 7;
  EXPECT_THROW(scene.draw(), Error);
  Scene nan(0);
  nan.field[3] = NAN;
  EXPECT_THROW(nan.draw(), Error);
  Scene hard(0);
  hard.patch.feather = 0;
  EXPECT_THROW(hard.draw(), Error);
  Scene grey(0);
  grey.patch.gain.cols = 1;
  EXPECT_THROW(grey.draw(), Error);
  Scene bright(0);
  bright.patch.opacity = 1.5f;
  EXPECT_THROW(bright.draw(), Error);
}

}  // namespace
}  // namespace ev::lipsync
