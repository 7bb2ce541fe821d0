// One ISA's kernels as a table; compiled per ISA like the kernels themselves.
#include "ops/kernels.h"

namespace ev::ops::EV_ISA {

void quantize(const QuantizeArgs&, int64_t, int64_t);
void linear(const LinearArgs&, int64_t, int64_t);
void rms_norm(const RmsNormArgs&, int64_t, int64_t);
void rope(const RopeArgs&, int64_t, int64_t);
void swiglu(const SwigluArgs&, int64_t, int64_t);
void kv_append(const KvAppendArgs&, int32_t, int32_t);
void attention_partial(const AttentionArgs&, int64_t, float*, void*);
void attention_join(const AttentionArgs&, int64_t, const float*, float*);
void attention_finish(const AttentionArgs&, const float*);
void hash_codes(const HashArgs&, int64_t, int64_t);
int64_t cluster_assign(const AssignArgs&);
void round_queries(const RoundArgs&);
void cluster_scores(const ScoreArgs&);
void cluster_estimate(const EstimateArgs&);
RowMass mass_row(float*, const float*, int64_t, float, float);
void add_scaled(float*, const float*, float, int64_t);
void doubt_row(float*, const float*, const float*, float, int64_t);
void square_roots(float*, const float*, int64_t);
void conv1d_int8(const ConvArgs&, int64_t, int64_t);

extern const Kernels kTable;
const Kernels kTable = {quantize,         linear,           rms_norm,          rope,
                        swiglu,           kv_append,        attention_partial, attention_join,
                        attention_finish, hash_codes,       cluster_assign,    round_queries,
                        cluster_scores,   cluster_estimate, mass_row,          add_scaled,
                        doubt_row,        square_roots,     conv1d_int8};

}  // namespace ev::ops::EV_ISA
