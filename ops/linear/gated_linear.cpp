// Gated linear attention: every channel of the keys fades by gates that the tokens choose.
//
//   S_j = diag(exp(g_j)) S_{j-1} + k_j v_jᵀ,  o_i = S_iᵀ q_i / √d
//       = Σ_{j <= i} (Σ_d q_id k_jd exp(G_id - G_jd) / √d) v_j,  G = the running sum of g
//
// The gates g <= 0 are an input of the keys' shape: logarithms, as models compute them.
#include <cmath>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor at = position(problem, x);
  const Tensor gates = input("gate", f32, {x.b, x.group == 1 ? x.h : x.g, x.j, x.d});
  const Tensor total = x.of_head(cumsum(x.j, gates));
  const Tensor s = sum(x.d, x.q * x.k * exp(total.at(x.j, at) - total)) * x.scale;
  return weighted(x, where(x.j <= at, s, 0.0));
}

// The recurrence itself, a state for each head.
ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const ir::Array &q = inputs.at("q"), &k = inputs.at("k"), &v = inputs.at("v");
  const ir::Array& gate = inputs.at("gate");
  const std::int64_t heads = q.shape[1], width = q.shape[3], out = v.shape[3];
  const std::int64_t group = k.shape[1] == 0 ? 1 : heads / k.shape[1];
  ir::Array o = zeros({q.shape[0], heads, q.shape[2], out});
  for (std::int64_t b = 0; b < q.shape[0]; ++b) {
    for (std::int64_t h = 0; h < heads; ++h) {
      ir::Array state = zeros({width, out});
      std::int64_t next = 0;
      for (std::int64_t i = 0; i < q.shape[2]; ++i) {
        const std::int64_t g = h / group, last = position_of(problem, sizes, i);
        for (; next <= last && next < k.shape[2]; ++next) {
          for (std::int64_t d = 0; d < width; ++d) {
            for (std::int64_t e = 0; e < out; ++e) {
              double& cell = at(state, {d, e});
              cell = cell * std::exp(at(gate, {b, g, next, d})) +
                     at(k, {b, g, next, d}) * at(v, {b, g, next, e});
            }
          }
        }
        for (std::int64_t e = 0; e < out; ++e) {
          double sum = 0;
          for (std::int64_t d = 0; d < width; ++d) sum += at(q, {b, h, i, d}) * at(state, {d, e});
          at(o, {b, h, i, e}) = sum / std::sqrt(static_cast<double>(width));
        }
      }
    }
  }
  return {{"o", o}};
}

// Small and not above 0, so that a key is heard over some hundred positions.
void special_inputs(const Problem&, const ir::Sizes&, unsigned, ir::Arrays& inputs) {
  for (double& gate : inputs.at("gate").data) gate = -std::abs(gate) / 64;
}

}  // namespace

extern constinit const Mechanism gated_linear{
    .name = "gated_linear",
    .family = "linear time",
    .doc = "linear attention whose channels fade by gates of the tokens, by a carried state",
    .formula = "o_i = Sᵀ q_i / √d, S_j = diag(exp(g_j)) S_{j-1} + k_j v_jᵀ",
    .paper = "Yang 2024",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs};

}  // namespace fovea::ops
