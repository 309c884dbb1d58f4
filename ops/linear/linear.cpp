// Attention whose weight is a product of features, so that sums over the keys are taken once.
//
//   o_i = Σ_j (φ(q_i)·φ(k_j)) v_j / Σ_j φ(q_i)·φ(k_j),  φ(x) = elu(x) + 1
//
// It is written as that formula stands, on the pair plane; `reassociate` makes it linear.
#include "ops/features.h"
#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options();

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor s = sum(x.d, feature(x.q) * feature(x.k)).named("s");
  return weighted(x, s / sum(x.j, s));
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array &q = inputs.at("q"), &k = inputs.at("k");
  const std::int64_t group = k.shape[1] == 0 ? 1 : q.shape[1] / k.shape[1];
  const auto score = [&](const Pair& pair, double) {
    double s = 0;
    for (std::int64_t d = 0; d < q.shape[3]; ++d) {
      s += feature_of(at(q, {pair.b, pair.h, pair.i, d})) *
           feature_of(at(k, {pair.b, pair.h / group, pair.j, d}));
    }
    return s;
  };
  const auto weigh = [](const Pair&, const std::vector<double>& s) { return shares_of(s); };
  return attend(inputs, {.score = score, .weigh = weigh});
}

}  // namespace

extern constinit const Mechanism linear{
    .name = "linear",
    .family = "linear time",
    .doc = "weights are products of the features elu + 1; time is linear in the keys",
    .formula = "o = φ(q)·(φ(k)ᵀ v) / φ(q)·Σ φ(k), φ(x) = elu(x) + 1",
    .paper = "Katharopoulos 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
