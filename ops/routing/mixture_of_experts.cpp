// Attention by the experts that a router chooses for each token; the others are not computed.
//
//   p = softmax(router t),  chosen = the k largest p,  gate = p[chosen] / Σ p[chosen]
//   o = Σ_n gate_n W_o,chosen(n) softmax(W_q,chosen(n) t · k / √d) v
//
// Experts look at the same keys in ways of their own (Zhang 2022, mixture of attention heads).
// Their matrices are read at the chosen expert, where they lie: only the chosen ones are touched.
#include <array>
#include <cmath>

#include "ops/reference.h"
#include "ops/routing.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = std::array{Option{"model", 128, "width of tokens and of the output"},
                                     Option{"experts", 8, "experts"},
                                     Option{"k", 2, "experts of a token"},
                                     Option{"d", 128, "width of queries and keys"},
                                     Option{"e", 128, "width of values"},
                                     kAlpha};

ir::Graph build(const Problem& problem) {
  const Axis b{"b"}, i{"i"}, j{"j"}, x{"x", problem.integer("experts")};
  const Axis m{"m", problem.integer("model")};
  const Axis d{"d", problem.integer("d")}, e{"e", problem.integer("e")};
  const Tensor token = input("token", f32, {b, i, m});
  const Tensor k = input("k", f32, {b, j, d}), v = input("v", f32, {b, j, e});
  const Routing to = route(problem, x, sum(m, token * input("router", f32, {x, m})), {b, i});
  const Tensor q = sum(m, token * to.of_chosen(input("wq", f32, {x, m, d})));
  const Tensor p = softmax(j, sum(d, q * k) * (1 / std::sqrt(problem["d"])));
  const Tensor each = sum(e, sum(j, p * v) * to.of_chosen(input("wo", f32, {x, e, m})));
  return ir::make_graph({{"o", sum(to.n, to.gate * each)},
                         {"chosen", to.chosen},
                         {"gate", to.gate},
                         {"balance", to.balance}},
                        {b, i, j, x, to.n, d, e, m});
}

// What an expert makes of a token.
std::vector<double> expert(const ir::Arrays& inputs, std::int64_t b, std::int64_t i,
                           std::int64_t x) {
  const ir::Array &token = inputs.at("token"), &k = inputs.at("k"), &v = inputs.at("v");
  const ir::Array &wq = inputs.at("wq"), &wo = inputs.at("wo");
  std::vector<double> scores(static_cast<std::size_t>(k.shape[1]));
  for (std::int64_t d = 0; d < k.shape[2]; ++d) {
    double q = 0;
    for (std::int64_t m = 0; m < wq.shape[1]; ++m) q += at(token, {b, i, m}) * at(wq, {x, m, d});
    q /= std::sqrt(static_cast<double>(k.shape[2]));
    for (std::int64_t j = 0; j < k.shape[1]; ++j) {
      scores[static_cast<std::size_t>(j)] += q * at(k, {b, j, d});
    }
  }
  const std::vector<double> weights = softmax_of(scores);
  std::vector<double> o(static_cast<std::size_t>(wo.shape[2]));
  for (std::int64_t e = 0; e < v.shape[2]; ++e) {
    double a = 0;
    for (std::int64_t j = 0; j < k.shape[1]; ++j) {
      a += weights[static_cast<std::size_t>(j)] * at(v, {b, j, e});
    }
    for (std::size_t m = 0; m < o.size(); ++m) {
      o[m] += a * at(wo, {x, e, static_cast<std::int64_t>(m)});
    }
  }
  return o;
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array &token = inputs.at("token"), &router = inputs.at("router");
  const std::int64_t batch = token.shape[0], rows = token.shape[1], model = token.shape[2];
  const std::int64_t experts = router.shape[0], places = problem.integer("k");
  const double tokens = static_cast<double>(batch * rows);
  ir::Array o = zeros(token.shape), gate = zeros({batch, rows, places}), chosen = gate;
  chosen.dtype = ir::Dtype::I32;
  const auto count = static_cast<std::size_t>(experts);
  std::vector<double> used(count), probability(count);
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t i = 0; i < rows; ++i) {
      std::vector<double> logits(count);
      for (std::int64_t x = 0; x < experts * model; ++x) {
        const std::int64_t of = x / model, m = x % model;
        logits[static_cast<std::size_t>(of)] += at(token, {b, i, m}) * at(router, {of, m});
      }
      const Choice choice = choose(problem, logits);
      for (std::size_t x = 0; x < count; ++x) probability[x] += choice.probability[x] / tokens;
      for (std::int64_t n = 0; n < places; ++n) {
        const auto place = static_cast<std::size_t>(n);
        const std::int64_t x = choice.chosen[place];
        at(chosen, {b, i, n}) = static_cast<double>(x);
        at(gate, {b, i, n}) = choice.gate[place];
        used[static_cast<std::size_t>(x)] += 1 / (tokens * static_cast<double>(places));
        const std::vector<double> each = expert(inputs, b, i, x);
        for (std::int64_t m = 0; m < model; ++m) {
          at(o, {b, i, m}) += choice.gate[place] * each[static_cast<std::size_t>(m)];
        }
      }
    }
  }
  ir::Array balance = zeros({});
  for (std::size_t x = 0; x < count; ++x) {
    balance.data[0] += problem["alpha"] * static_cast<double>(count) * used[x] * probability[x];
  }
  return {{"o", o}, {"chosen", chosen}, {"gate", gate}, {"balance", balance}};
}

void special_inputs(const Problem& problem, const ir::Sizes&, unsigned, ir::Arrays& inputs) {
  // Projections that keep the size of what they project.
  for (const char* name : {"router", "wq"}) {
    scale_input(inputs.at(name), 1 / std::sqrt(problem["model"]));
  }
  scale_input(inputs.at("wo"), 1 / std::sqrt(problem["e"]));
}

}  // namespace

extern constinit const Mechanism mixture_of_experts{
    .name = "mixture_of_experts",
    .family = "routing",
    .doc = "a router chooses k experts for each token; only they are computed",
    .formula = "o = Σ_n gate_n W_o[c_n] softmax(W_q[c_n] t·k / √d) v, c = top k of softmax(W_r t)",
    .paper = "Shazeer 2017",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
