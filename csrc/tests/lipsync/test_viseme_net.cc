// VisemeNet: files that are broken are refused; a stream gives the same however it is cut.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/checksum.h"
#include "lipsync/viseme_net.h"

namespace ev::lipsync {
namespace {

// Writes a file of two layers: 3 bands -> 4 channels (2 taps, stride 2) -> 2 parameters (3 taps, dilation 2).
struct File {
  std::string body;

  template <class T>
  File& put(T value) {
    body.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  File& floats(int count, float first) {
    for (int i = 0; i < count; ++i) put(first + 0.25f * static_cast<float>(i));
    return *this;
  }
  File& layer(std::vector<uint32_t> sizes, uint32_t relu) {
    for (const uint32_t size : sizes) put(size);
    put(relu).floats(static_cast<int>(sizes[1]), 0.05f);
    for (uint32_t o = 0; o < sizes[1]; ++o) put<int32_t>(static_cast<int32_t>(o) - 1);
    for (uint32_t i = 0; i < sizes[0] * sizes[1] * sizes[2]; ++i)
      put<int8_t>(static_cast<int8_t>(i * 37 % 255 - 127));
    return *this;
  }
  std::vector<uint8_t> sealed() const {
    std::string all = "EVVN";
    const uint32_t version = 1;
    const uint64_t sum = io::checksum(body.data(), body.size());
    all.append(reinterpret_cast<const char*>(&version), 4).append(reinterpret_cast<const char*>(&sum), 8);
    all += body;
    return {all.begin(), all.end()};
  }
};

File small(uint32_t stride = 2, uint32_t middle = 4) {
  File f;
  f.put(3u).put(2u).put(5u).put(2u).put(2u).floats(3, 0.0f).floats(3, 10.0f);
  f.layer({3, 4, 2, stride, 1}, 1).layer({middle, 2, 3, 1, 2}, 0);
  return f.floats(2, 0.5f).floats(2, -1.0f).floats(10, 0.0f).floats(20, 0.0f).floats(4, 0.0f);
}

std::shared_ptr<const VisemeWeights> parse(const std::vector<uint8_t>& bytes) {
  return VisemeWeights::parse(bytes.data(), bytes.size());
}

TEST(VisemeNet, ReadsWhatIsWritten) {
  const auto w = parse(small().sealed());
  EXPECT_EQ(w->bands, 3);
  EXPECT_EQ(w->rows_per_step, 2);
  EXPECT_EQ(w->layers.size(), 2u);
  EXPECT_EQ(w->lip_mean.size(), 10u);
  EXPECT_EQ(w->targets.back(), 0.75f);
}

TEST(VisemeNet, RefusesEveryTornOrAlteredFile) {
  const std::vector<uint8_t> good = small().sealed();
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_THROW(VisemeWeights::parse(good.data(), size), Error) << size;
  for (size_t i = 0; i < good.size(); ++i) {
    std::vector<uint8_t> bad = good;
    bad[i] ^= 0x10;
    EXPECT_THROW(parse(bad), Error) << i;
  }
}

TEST(VisemeNet, RefusesSealedFilesThatMakeNoSense) {
  const auto changed = [](size_t at, uint32_t value) {
    File f = small();
    std::memcpy(f.body.data() + at, &value, sizeof(value));
    return f.sealed();
  };
  for (const size_t at : {0u, 4u, 8u, 12u, 16u})
    for (const uint32_t value : {0u, 0xffffffffu}) EXPECT_THROW(parse(changed(at, value)), Error) << at;
  const uint32_t infinity = 0x7f800000u;
  EXPECT_THROW(parse(changed(20, infinity)), Error);          // a mean
  EXPECT_THROW(parse(changed(44 + 20, 2)), Error);            // an activation
  EXPECT_THROW(parse(changed(44 + 16, 100000)), Error);       // a dilation
  EXPECT_THROW(parse(changed(44 + 56, 0x80808080u)), Error);  // weights of -128
  EXPECT_THROW(parse(small(3).sealed()), Error);              // a stride beyond the taps
  EXPECT_THROW(parse(small(2, 5).sealed()), Error);           // layers that do not fit
  File longer = small();
  longer.put(0u);
  EXPECT_THROW(parse(longer.sealed()), Error);
}

TEST(VisemeNet, HowASoundIsCutChangesNothing) {
  const auto weights = parse(small().sealed());
  constexpr int64_t kRows = 41;
  std::vector<float> rows;
  for (int i = 0; i < kRows * 3; ++i) rows.push_back(std::sin(static_cast<float>(i)) * 8.0f);
  rows[7] = NAN;
  rows[11] = INFINITY;
  VisemeStream stream(weights);
  const std::vector<float> whole = stream.push({rows.data(), kRows, 3});
  EXPECT_EQ(whole.size(), 2u * ((kRows - 2) / 2 + 1 - 4));
  for (const int64_t piece : {1, 2, 3, 7}) {
    stream.reset();
    std::vector<float> got;
    for (int64_t at = 0; at < kRows; at += piece) {
      const auto part = stream.push({rows.data() + at * 3, std::min(piece, kRows - at), 3});
      got.insert(got.end(), part.begin(), part.end());
    }
    EXPECT_EQ(got, whole) << piece;
  }
  EXPECT_THROW(stream.push({rows.data(), 2, 4}), Error);
}

}  // namespace
}  // namespace ev::lipsync
