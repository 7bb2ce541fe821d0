// y[m, n] = x[m, k] W[n, k]^T (+ bias[n]), W in any GGUF type, re-packed once at load.
//
// Packed layout, the same for every ISA: rows are grouped into panels of 16 and padded with zero rows, so
// that 16 outputs sit in the lanes of a vector; k runs in blocks of 32.
//
//   codes, 4 bit   [panel][block][4][16][4] bytes:  byte (g, row, j) = q[4g + j] | q[16 + 4g + j] << 4
//   codes, 8 bit   [panel][block][8][16][4] int8:   (g, row, j) = q[4g + j]
//   scales         [panel][block][..][16]           one line of 16 per scale, min or sub-block scale
//   float weights  [panel][k][16]                   in their own type
//
//   source      codes  scales per block   w =
//   Q4_0, Q4_1  4 bit  f16 d, f16 m       d q + m      (Q4_0: m = -8 d)
//   Q4_K        4 bit  f32 d, f32 m       d q + m      (products of the super-block's f16 and 6-bit scales)
//   Q8_0        8 bit  f16 d              d q
//   Q6_K        8 bit  f32 d0, f32 d1     d q          (one scale per 16 codes)
//
// Numbers. Float weights: products in f32, summed over k in ascending order in one f32 accumulator per
// output. Quantised weights (Precision::kFast): each block of 32 activations becomes int8 codes with one f32
// scale amax/127, rounded half to even; the 32 products are summed exactly in int32 and the blocks in
// ascending order in f32. Against exact activations the error of an output is at most sum_b(amax_b / 254 *
// sum_i |w_bi|); for Gaussian data it is about 0.54 % of the output's standard deviation. A row's result does
// not depend on m, on the other rows or on the number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/dtype.h"
#include "base/tensor.h"
#include "base/thread_pool.h"

namespace ev::ops {

// A matrix [rows, cols] as it lies in a GGUF file: block rows, contiguous. cols is a multiple of the type's
// block.
struct WeightSource {
  DType type = DType::kF32;
  const uint8_t* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
};

enum class Precision {
  kFast,   // quantised weights meet quantised activations
  kExact,  // weights are dequantised to f32 at load (4 bytes each) and activations stay f32
};

class PackedMatrix {
 public:
  struct Part;  // ops/packed_part.h: one source matrix, packed

  PackedMatrix();
  PackedMatrix(PackedMatrix&&) noexcept;
  PackedMatrix& operator=(PackedMatrix&&) noexcept;
  ~PackedMatrix();

  // Packs matrices of equal cols, stacked along rows: y = [x W0^T | x W1^T | ...], so that query, key and
  // value (or gate and up) are one call. Their types may differ. The sources may be freed afterwards. Throws
  // Error(kInvalidArgument) when shapes disagree, Error(kBadModel) when cols does not fit the type,
  // Error(kOutOfMemory).
  static PackedMatrix pack(const std::vector<WeightSource>& stacked, Precision precision, ThreadPool& pool);

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  size_t bytes() const;     // memory held
  bool uses_codes() const;  // some part multiplies quantised activations

  int64_t panels() const { return panels_; }
  const std::vector<Part>& parts() const { return parts_; }

 private:
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  int64_t panels_ = 0;
  std::vector<Part> parts_;
};

// Activations x [m, k], quantised once for any number of matrices. Keeps its memory from call to call.
class LinearInput {
 public:
  // Keeps a view of x, which must stay unchanged until the last linear() that reads this. Quantises only when
  // `codes` is set (PackedMatrix::uses_codes()); k is then a multiple of 32, else Error(kInvalidArgument). A
  // non-finite x makes NaN of its row's outputs.
  void set(MatrixRef<const float> x, bool codes, ThreadPool& pool);

  MatrixRef<const float> x;
  bool has_codes = false;
  // Blocks of 32 activations, in the order the active ISA's kernel reads them (one row: in the order of k).
  AlignedBuffer codes;        // int8, 32 per block
  AlignedBuffer scales;       // f32, one per block
  AlignedBuffer scaled_sums;  // f32, one per block: scale * sum of its codes
  AlignedBuffer sums;         // int32, two per block: sum of each half's codes
};

// bias [w.rows()] may be null. Throws Error(kInvalidArgument) when shapes disagree or x lacks the codes w
// uses. Thread-safe for distinct y.
void linear(const PackedMatrix& w, const LinearInput& x, const float* bias, MatrixRef<float> y,
            ThreadPool& pool);

}  // namespace ev::ops
