// Talking heads: linear maps across heads before and after the softmax.
//
//   s[t] = Σ_h q_h·k_h / √d logits[h, t]
//   p[m] = Σ_t softmax_j(s[t]) weights[t, m]
//   o[m] = Σ_j p[m] v[m]
#include <array>
#include <cmath>

#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    std::array{Option{"d", 64, "width of queries and keys"}, Option{"e", 64, "width of values"}};

ir::Graph build(const Problem& problem) {
  const Axis b{"b"}, h{"h"}, t{"t"}, m{"m"}, i{"i"}, j{"j"};
  const Axis d{"d", problem.integer("d")}, e{"e", problem.integer("e")};
  const Tensor q = input("q", f32, {b, h, i, d}), k = input("k", f32, {b, h, j, d});
  const Tensor v = input("v", f32, {b, m, j, e});
  const Tensor raw = sum(d, q * k) * (1 / std::sqrt(problem["d"]));
  const Tensor s = sum(h, raw * input("logits", f32, {h, t}));
  const Tensor p = sum(t, softmax(j, s) * input("weights", f32, {t, m}));
  return ir::make_graph({{"o", sum(j, p * v)}}, {b, h, t, m, i, j, d, e});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array &q = inputs.at("q"), &k = inputs.at("k"), &v = inputs.at("v");
  const ir::Array &logits = inputs.at("logits"), &mix = inputs.at("weights");
  ir::Array o = zeros({q.shape[0], v.shape[1], q.shape[2], v.shape[3]});
  const auto row = [&](std::int64_t b, std::int64_t i, std::int64_t t) {
    std::vector<double> s(static_cast<std::size_t>(k.shape[2]));
    for (std::int64_t j = 0; j < k.shape[2]; ++j) {
      for (std::int64_t h = 0; h < q.shape[1]; ++h) {
        for (std::int64_t d = 0; d < q.shape[3]; ++d) {
          s[static_cast<std::size_t>(j)] += at(q, {b, h, i, d}) * at(k, {b, h, j, d}) *
                                            at(logits, {h, t}) / std::sqrt(problem["d"]);
        }
      }
    }
    return softmax_of(s);
  };
  for (std::int64_t b = 0; b < o.shape[0]; ++b) {
    for (std::int64_t i = 0; i < o.shape[2]; ++i) {
      for (std::int64_t t = 0; t < mix.shape[0]; ++t) {
        const std::vector<double> p = row(b, i, t);
        for (std::int64_t m = 0; m < o.shape[1]; ++m) {
          for (std::int64_t j = 0; j < k.shape[2]; ++j) {
            for (std::int64_t e = 0; e < o.shape[3]; ++e) {
              at(o, {b, m, i, e}) +=
                  p[static_cast<std::size_t>(j)] * at(mix, {t, m}) * at(v, {b, m, j, e});
            }
          }
        }
      }
    }
  }
  return {{"o", o}};
}

}  // namespace

extern constinit const Mechanism talking_heads{
    .name = "talking_heads",
    .family = "dot product",
    .doc = "scores and weights are mixed across heads, before and after the softmax",
    .formula = "o = (softmax((q·k / √d) logits) weights) v",
    .paper = "Shazeer 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
