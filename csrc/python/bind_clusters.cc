// edgevid._native.ops: the ops of retrieval on numpy arrays, for tests and benchmarks.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "ops/cluster_assign.h"
#include "ops/cluster_estimate.h"
#include "ops/cluster_scores.h"
#include "ops/hash_codes.h"
#include "ops/kv_seal.h"
#include "ops/select_mass.h"
#include "python/array.h"

namespace py = pybind11;

namespace ev::python {
namespace {

template <class T>
Array<T> array_of(const std::vector<T>& values, std::vector<py::ssize_t> shape) {
  Array<T> out(std::move(shape));
  std::copy(values.begin(), values.end(), out.mutable_data());
  return out;
}

Array<uint32_t> hash_codes(const Array<float>& keys, const Array<float>& centre, uint64_t seed,
                           uint32_t layer, int threads) {
  require(keys.ndim() == 2 && centre.ndim() == 1 && centre.shape(0) == keys.shape(1),
          "hash_codes: keys are [n, dims], the centre [dims]");
  ThreadPool pool(threads);
  Array<uint32_t> codes(keys.shape(0));
  ops::hash_codes({keys.data(), keys.shape(0), keys.shape(1)}, centre.data(),
                  ops::Hyperplanes(seed, layer, keys.shape(1)), codes.mutable_data(), pool);
  return codes;
}

std::tuple<Array<int32_t>, Array<uint32_t>> cluster_assign(const Array<uint32_t>& codes,
                                                           std::vector<uint32_t> leaders, int threshold,
                                                           int64_t capacity) {
  Array<int32_t> ids(codes.size());
  ops::cluster_assign(codes.data(), codes.size(), {threshold, capacity}, leaders, ids.mutable_data());
  return {ids, array_of(leaders, {static_cast<py::ssize_t>(leaders.size())})};
}

std::tuple<Array<int8_t>, Array<float>, Array<float>> cluster_summaries(const Array<float>& keys,
                                                                        const std::vector<int32_t>& begin,
                                                                        int num_kv_heads) {
  require(keys.ndim() == 2, "cluster_summaries: keys are [n, num_kv_heads * head_dim]");
  const auto s = ops::cluster_summaries({keys.data(), keys.shape(0), keys.shape(1)}, begin, num_kv_heads);
  const std::vector<py::ssize_t> rows{num_kv_heads, s.stride};
  return {array_of(s.means, {num_kv_heads, keys.shape(1) / num_kv_heads, s.stride}), array_of(s.scales, rows),
          array_of(s.radii, rows)};
}

std::tuple<Array<int8_t>, Array<float>, Array<float>, Array<float>> cluster_moments(
    const Array<float>& keys, const Array<float>& values, const std::vector<int32_t>& begin,
    int num_kv_heads) {
  require(keys.ndim() == 2 && values.ndim() == 2,
          "cluster_moments: keys and values are [n, num_kv_heads * head_dim]");
  const auto m = ops::cluster_moments({keys.data(), keys.shape(0), keys.shape(1)},
                                      {values.data(), values.shape(0), values.shape(1)}, begin, num_kv_heads);
  const auto stride = static_cast<py::ssize_t>(m.spreads.size()) / num_kv_heads;
  const auto v_stride =
      stride == 0 ? 0 : static_cast<py::ssize_t>(m.value_means.size()) / num_kv_heads / stride;
  return {array_of(m.value_means, {num_kv_heads, stride, v_stride}),
          array_of(m.value_scales, {num_kv_heads, stride}), array_of(m.spreads, {num_kv_heads, stride}),
          array_of(m.variance, {num_kv_heads, keys.shape(1) / num_kv_heads})};
}

std::tuple<Array<float>, Array<float>> cluster_estimate(const Array<float>& densities,
                                                        const Array<int32_t>& counts,
                                                        const Array<bool>& marks, const Array<int8_t>& means,
                                                        const Array<float>& scales) {
  require(densities.ndim() == 2 && means.ndim() == 2 && counts.size() == means.shape(0) &&
              marks.size() == means.shape(0) && scales.size() == means.shape(0) &&
              densities.shape(1) == means.shape(0),
          "cluster_estimate: shapes disagree");
  std::vector<float> room(densities.data(), densities.data() + densities.size());
  std::vector<float> left(counts.data(), counts.data() + counts.size());
  for (size_t c = 0; c < left.size(); ++c) {
    if (!marks.data()[c] && left[c] > 0) continue;
    left[c] = 0.0f;  // whose densities may hold anything
    for (size_t i = c; i < room.size(); i += left.size()) room[i] = 0.0f;
  }
  Array<float> sum(densities.shape(0)), values({densities.shape(0), means.shape(1)});
  std::fill_n(sum.mutable_data(), sum.size(), 0.0f);
  std::fill_n(values.mutable_data(), values.size(), 0.0f);
  ops::cluster_estimate({room.data(), densities.shape(0), densities.shape(1)}, left.data(),
                        {means.data(), scales.data()}, sum.mutable_data(),
                        {values.mutable_data(), values.shape(0), values.shape(1)});
  return {sum, values};
}

Array<float> cluster_scores(const Array<float>& q, const Array<int8_t>& means, const Array<float>& scales,
                            int32_t clusters, float scale,
                            const std::optional<std::tuple<Array<float>, Array<float>>>& spread) {
  require(q.ndim() == 2 && means.ndim() == 2 && scales.ndim() == 1 && q.shape(1) == means.shape(0) &&
              scales.shape(0) == means.shape(1) &&
              (!spread ||
               (std::get<0>(*spread).size() == q.shape(1) && std::get<1>(*spread).size() == means.shape(1))),
          "cluster_scores: shapes disagree");
  const ops::ClusterTable table{means.data(), scales.data(), clusters, static_cast<int32_t>(means.shape(1)),
                                spread ? std::get<1>(*spread).data() : nullptr};
  Array<float> out({q.shape(0), means.shape(1)});
  ops::ScoreQueries queries;
  queries.set({q.data(), q.shape(0), q.shape(1)}, 0, 1, static_cast<int>(q.shape(1)), scale,
              spread ? std::get<0>(*spread).data() : nullptr);
  ops::cluster_scores(queries, table, {out.mutable_data(), out.shape(0), out.shape(1)});
  return out;
}

py::array_t<bool> select_mass(const Array<float>& scores, const Array<int32_t>& counts,
                              const Array<float>& resident_max, const Array<float>& resident_sum,
                              float threshold, bool pooled, bool exact, int64_t max_tokens,
                              const std::optional<std::tuple<Array<float>, Array<float>>>& doubt) {
  require(scores.ndim() == 2 && counts.ndim() == 1 && resident_max.ndim() == 1 && resident_sum.ndim() == 1 &&
              counts.shape(0) == scores.shape(1) && resident_max.shape(0) == scores.shape(0) &&
              resident_sum.shape(0) == scores.shape(0),
          "select_mass: shapes disagree");
  std::vector<float> densities(scores.data(), scores.data() + scores.size());
  require(!doubt || (std::get<0>(*doubt).size() == scores.shape(0) &&
                     std::get<1>(*doubt).size() == scores.shape(1)),
          "select_mass: shapes disagree");
  const ops::Doubt in_doubt =
      doubt ? ops::Doubt{std::get<0>(*doubt).data(), std::get<1>(*doubt).data()} : ops::Doubt();
  std::vector<uint8_t> marks(static_cast<size_t>(counts.size()));
  ops::select_mass({densities.data(), scores.shape(0), scores.shape(1)}, counts.data(), resident_max.data(),
                   resident_sum.data(), {threshold, pooled, exact, max_tokens}, marks.data(), nullptr,
                   in_doubt);
  py::array_t<bool> out(counts.size());
  std::copy(marks.begin(), marks.end(), out.mutable_data());
  return out;
}

}  // namespace

void bind_clusters(py::module_& m) {
  m.def("hash_codes", &hash_codes, py::arg("keys"), py::arg("centre"), py::kw_only(), py::arg("seed"),
        py::arg("layer"), py::arg("threads") = 1);
  m.def("cluster_assign", &cluster_assign, py::arg("codes"), py::arg("leaders"), py::kw_only(),
        py::arg("threshold"), py::arg("capacity"));
  m.def("cluster_summaries", &cluster_summaries, py::arg("keys"), py::arg("begin"), py::kw_only(),
        py::arg("num_kv_heads"));
  m.def("cluster_moments", &cluster_moments, py::arg("keys"), py::arg("values"), py::arg("begin"),
        py::kw_only(), py::arg("num_kv_heads"));
  m.def("cluster_estimate", &cluster_estimate, py::arg("densities"), py::arg("counts"), py::arg("marks"),
        py::arg("means"), py::arg("scales"));
  m.def("cluster_scores", &cluster_scores, py::arg("q"), py::arg("means"), py::arg("scales"), py::kw_only(),
        py::arg("clusters"), py::arg("scale"), py::arg("spread") = py::none());
  m.def("select_mass", &select_mass, py::arg("scores"), py::arg("counts"), py::arg("resident_max"),
        py::arg("resident_sum"), py::kw_only(), py::arg("threshold"), py::arg("pooled") = true,
        py::arg("exact") = false, py::arg("max_tokens") = 0, py::arg("doubt") = py::none());
}

}  // namespace ev::python
