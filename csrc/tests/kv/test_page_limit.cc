// Marks that are kept lie in few enough pages, and are those of the highest densities.
#include "kv/page_limit.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace ev::kv {
namespace {

constexpr uint32_t kPageSize = 16, kTokens = 64;

// Clusters of one layer: `sizes` sum to kTokens.
SegmentPtr segment(const std::vector<int32_t>& sizes) {
  auto made = std::make_shared<Segment>();
  made->tokens = kTokens;
  LayerClusters layer;
  layer.begin.push_back(0);
  for (const int32_t size : sizes) layer.begin.push_back(layer.begin.back() + size);
  layer.summaries.clusters = static_cast<int32_t>(sizes.size());
  layer.summaries.stride = 16;
  made->layers.push_back(layer);
  return made;
}

struct Choice {
  std::vector<uint8_t> marks;
  std::vector<float> densities;
};

std::vector<HeadChoice> views(std::vector<Choice>& heads) {
  std::vector<HeadChoice> out;
  for (Choice& h : heads) out.push_back({h.marks.data(), h.densities.data()});
  return out;
}

size_t pages_of(const std::vector<SegmentPtr>& segments, const std::vector<Choice>& heads) {
  std::set<uint32_t> pages;
  for (const Choice& head : heads)
    for (size_t i = 0; i < segments.size(); ++i) {
      const std::vector<int32_t>& begin = segments[i]->layers[0].begin;
      for (size_t c = 0; c + 1 < begin.size(); ++c)
        for (int32_t t = begin[c]; head.marks[16 * i + c] != 0 && t < begin[c + 1]; ++t)
          pages.insert((static_cast<uint32_t>(i) * kTokens + static_cast<uint32_t>(t)) / kPageSize);
    }
  return pages.size();
}

TEST(PageLimit, LeavesAChoiceThatFits) {
  const std::vector<SegmentPtr> segments{segment({20, 20, 24})};
  std::vector<Choice> heads{{std::vector<uint8_t>(16), std::vector<float>(16)}};
  heads[0].marks[1] = 1;  // tokens 20 to 39: pages 1 and 2
  EXPECT_FALSE(limit_pages(segments, 0, kPageSize, 2, 0, views(heads)));
  EXPECT_EQ(heads[0].marks[1], 1);
  EXPECT_TRUE(limit_pages(segments, 0, kPageSize, 1, 0, views(heads)));
  EXPECT_EQ(heads[0].marks[1], 0);
}

TEST(PageLimit, TakesByDensityAcrossHeadsAndSharesPages) {
  const std::vector<SegmentPtr> segments{segment({16, 16, 16, 16}), segment({8, 8, 16, 32})};
  std::vector<Choice> heads(2, {std::vector<uint8_t>(32), std::vector<float>(32)});
  const auto choose = [&](size_t head, size_t column, float density) {
    heads[head].marks[column] = 1;
    heads[head].densities[column] = density;
  };
  choose(0, 0, 0.1f);   // page 0
  choose(0, 2, 0.9f);   // page 2
  choose(1, 2, 0.01f);  // page 2 again, by another head: costs nothing
  choose(1, 16, 0.5f);  // page 4, first half
  choose(0, 17, 0.2f);  // page 4, second half
  choose(1, 19, 0.3f);  // pages 6 and 7: no room for both
  EXPECT_TRUE(limit_pages(segments, 0, kPageSize, 3, 0, views(heads)));
  EXPECT_EQ(pages_of(segments, heads), 3u);
  EXPECT_EQ(heads[0].marks[2] + heads[1].marks[2] + heads[1].marks[16] + heads[0].marks[17], 4);
  EXPECT_EQ(heads[1].marks[19], 0);
  EXPECT_EQ(heads[0].marks[0], 1);
}

TEST(PageLimit, TheLastSegmentsCanBeLeftOut) {
  const std::vector<SegmentPtr> segments{segment({32, 32}), segment({64})};
  std::vector<Choice> heads{{std::vector<uint8_t>(32), std::vector<float>(32)}};
  heads[0].marks[0] = heads[0].marks[1] = heads[0].marks[16] = 1;
  heads[0].densities[1] = 1.0f;
  EXPECT_TRUE(limit_pages(segments, 0, kPageSize, 2, 1, views(heads)));
  EXPECT_EQ(heads[0].marks[0], 0);
  EXPECT_EQ(heads[0].marks[1], 1);
  EXPECT_EQ(heads[0].marks[16], 1);
}

}  // namespace
}  // namespace ev::kv
