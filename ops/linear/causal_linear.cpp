// Linear attention to the keys up to the row's own.
//
//   o_i = Σ_{j <= i} (φ(q_i)·φ(k_j)) v_j / Σ_{j <= i} φ(q_i)·φ(k_j),  φ(x) = elu(x) + 1
//
// Written on the pair plane; `carry` turns what lies before a tile of rows into one small state.
#include "ops/features.h"
#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor product = sum(x.d, feature(x.q) * feature(x.k));
  const Tensor s = where(x.j <= position(problem, x), product, 0.0).named("s");
  const Tensor total = sum(x.j, s);
  return weighted(x, s / where(total == 0.0, 1.0, total));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const ir::Array &q = inputs.at("q"), &k = inputs.at("k");
  const std::int64_t group = k.shape[1] == 0 ? 1 : q.shape[1] / k.shape[1];
  const auto visible = [&](const Pair& at) { return at.j <= position_of(problem, sizes, at.i); };
  const auto score = [&](const Pair& pair, double) {
    double s = 0;
    for (std::int64_t d = 0; d < q.shape[3]; ++d) {
      s += feature_of(at(q, {pair.b, pair.h, pair.i, d})) *
           feature_of(at(k, {pair.b, pair.h / group, pair.j, d}));
    }
    return s;
  };
  const auto weigh = [](const Pair&, const std::vector<double>& s) { return shares_of(s); };
  return attend(inputs, {.visible = visible, .score = score, .weigh = weigh});
}

}  // namespace

extern constinit const Mechanism causal_linear{
    .name = "causal_linear",
    .family = "linear time",
    .doc = "linear attention to the keys up to the row's own, by a carried state",
    .formula = "o = φ(q)·Σ (φ(k) vᵀ) / φ(q)·Σ φ(k) over j <= i + n_k - n_q, φ(x) = elu(x) + 1",
    .paper = "Katharopoulos 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true}};

}  // namespace fovea::ops
