// An index that keeps its checksum and says what no cache can have written.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string_view>

#include "base/error.h"
#include "kv/segment_codec.h"
#include "tests/kv/sealed_cache.h"

namespace ev::kv {
namespace {

using ev::testing::SealedCaches;

class SegmentCodec : public ::testing::Test {
 protected:
  SegmentCodec() {
    auto cache = caches_.make();
    caches_.append(*cache, 150);
    caches_.append(*cache, 1);  // seals what the step before made due
    segment_ = *cache->segments().at(1);
    session_.layers = SealedCaches::kLayers;
    session_.kv_heads = SealedCaches::kKvHeads;
    session_.head_dim = SealedCaches::kHeadDim;
    session_.page_size = SealedCaches::kPageSize;
    session_.cell_pages = SealedCaches::kSegment / SealedCaches::kPageSize;
    session_.clusters = 12;
    session_.moments = 1;
    cell_.kind = io::CellKind::kSealed;
    cell_.tokens = SealedCaches::kSegment;
  }

  CellIndex coded(const std::function<void(Segment&)>& change) {
    Segment segment = segment_;
    change(segment);
    CellIndex index;
    index.sums.resize(session_.layers * session_.cell_pages);
    index.segment = std::make_shared<Segment>(segment);
    const std::vector<uint8_t> bytes = encode_index(index);
    return decode_index({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, session_, cell_);
  }

  SealedCaches caches_;
  Segment segment_;
  io::SessionHeader session_;
  io::CellHeader cell_;
};

TEST_F(SegmentCodec, WhatWasWrittenComesBack) {
  const CellIndex index = coded([](Segment&) {});
  EXPECT_EQ(index.segment->summed, segment_.summed);
  EXPECT_EQ(index.segment->layers[1].moments.spreads, segment_.layers[1].moments.spreads);
}

TEST_F(SegmentCodec, FiguresThatCannotBeAreRefused) {
  const float infinity = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::function<void(Segment&)>> forgeries = {
      [](Segment& s) { s.summed = SealedCaches::kSegment - 1; },
      [](Segment& s) { s.summed = ~uint64_t{0} - SealedCaches::kSegment + 1; },
      [&](Segment& s) { s.layers[0].mean[3] = nan; },
      [&](Segment& s) { s.layers[1].summaries.scales[0] = infinity; },
      [&](Segment& s) { s.layers[1].summaries.radii[0] = nan; },
      [&](Segment& s) { s.layers[0].moments.value_scales[1] = -infinity; },
      [&](Segment& s) { s.layers[0].moments.spreads[1] = infinity; },
      [&](Segment& s) { s.layers[1].moments.variance.back() = nan; },
      [](Segment& s) { s.layers[1].order[0] = s.layers[1].order[1]; },
  };
  for (size_t i = 0; i < forgeries.size(); ++i) EXPECT_THROW(coded(forgeries[i]), Error) << i;
}

}  // namespace
}  // namespace ev::kv
