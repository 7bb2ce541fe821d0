// A page's planes as rows of tokens, for what is done seldom: sealing, shifting, looking.
#pragma once

#include <cstdint>

#include "base/tensor.h"
#include "ops/kv_pages.h"

namespace ev::kv {

// One layer's keys, or values, of a whole page as f32 [page_size, num_kv_heads * head_dim].
void read_keys(const ops::KvLayer& layer, const uint8_t* page, MatrixRef<float> rows);
void read_values(const ops::KvLayer& layer, const uint8_t* page, MatrixRef<float> rows);

}  // namespace ev::kv
