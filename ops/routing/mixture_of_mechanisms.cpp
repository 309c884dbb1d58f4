// Mechanisms of different kinds as the experts of a router; a tile of rows that none of its rows
// sends to an expert is not visited.
//
//   o = Σ_x share_x(i) attention_x(q_i, k, v)
//   experts: 0 dot product, 1 the last `window` keys, 2 Gaussian of the distance, 3 sigmoid
#include <array>
#include <cmath>

#include "ir/require.h"
#include "ops/masks.h"
#include "ops/reference.h"
#include "ops/routing.h"

namespace fovea::ops {
namespace {

constexpr int kExperts = 4;
constexpr auto kOptions =
    head_options(Option{"experts", kExperts, "the first so many of the kinds"},
                 Option{"k", 2, "experts of a row"}, kAlpha, kWindow, kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const int experts = problem.integer("experts"), window = problem.integer("window");
  require(experts <= kExperts, Code::invalid_config,
          "option experts is {}; expected at most the {} kinds there are", experts, kExperts);
  const Axis expert{"x", experts};
  const Tensor logits = sum(x.d, x.q * input("router", f32, {x.h, expert, x.d}));
  const Routing to = route(problem, expert, logits, {x.b, x.h, x.i});
  const Tensor s = x.score(), apart = x.q - x.k;
  const Tensor back = position(problem, x) - x.j;
  const std::array scores{s, where(back >= 0 && back < window, s, -infinity),
                          sum(x.d, apart * apart) * (-0.5 * x.scale),
                          s - log(cast(f32, size(x.j)))};
  Tensor o = 0.0;
  for (int n = 0; n < experts; ++n) {
    const Tensor share = to.share.at(expert, n), score = scores[static_cast<std::size_t>(n)];
    const Tensor routed = where(share > 0.0, score, -infinity);
    const Tensor p = n == 3 ? sigmoid(routed) : softmax(x.j, routed);
    o = o + share * sum(x.j, p * x.v);
  }
  return graph_of(x, {{"o", o}, {"share", to.share}, {"balance", to.balance}});
}

double score_of(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes,
                const Pair& pair, double s, int expert) {
  if (expert == 1) {
    const std::int64_t back = position_of(problem, sizes, pair.i) - pair.j;
    return back >= 0 && back < problem.integer("window") ? s : -HUGE_VAL;
  }
  if (expert == 3) return s - std::log(static_cast<double>(sizes.at("j")));
  if (expert == 0) return s;
  const ir::Array &q = inputs.at("q"), &k = inputs.at("k");
  const std::int64_t key_head = pair.h / (q.shape[1] / k.shape[1]);
  double square = 0;
  for (std::int64_t d = 0; d < q.shape[3]; ++d) {
    square +=
        std::pow(at(q, {pair.b, pair.h, pair.i, d}) - at(k, {pair.b, key_head, pair.j, d}), 2);
  }
  return -square / (2 * std::sqrt(static_cast<double>(q.shape[3])));
}

std::vector<double> weigh_by(int expert, const std::vector<double>& scores) {
  if (expert != 3) return softmax_of(scores);
  std::vector<double> weights;
  for (const double s : scores) weights.push_back(1 / (1 + std::exp(-s)));
  return weights;
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const ir::Array &q = inputs.at("q"), &router = inputs.at("router");
  const int experts = problem.integer("experts");
  const double rows = static_cast<double>(q.shape[0] * q.shape[1] * q.shape[2]);
  ir::Array share = zeros({q.shape[0], q.shape[1], q.shape[2], experts});
  std::vector<double> used(kExperts), probability(kExperts);
  for (std::int64_t row = 0; row < q.shape[0] * q.shape[1] * q.shape[2]; ++row) {
    const std::int64_t i = row % q.shape[2], h = row / q.shape[2] % q.shape[1];
    const std::int64_t b = row / q.shape[2] / q.shape[1];
    std::vector<double> logits(static_cast<std::size_t>(experts));
    for (std::int64_t x = 0; x < experts; ++x) {
      for (std::int64_t d = 0; d < q.shape[3]; ++d) {
        logits[static_cast<std::size_t>(x)] += at(q, {b, h, i, d}) * at(router, {h, x, d});
      }
    }
    const Choice choice = choose(problem, logits);
    for (std::size_t n = 0; n < choice.chosen.size(); ++n) {
      at(share, {b, h, i, choice.chosen[n]}) = choice.gate[n];
      used[static_cast<std::size_t>(choice.chosen[n])] += 1 / (rows * problem["k"]);
    }
    for (std::size_t x = 0; x < logits.size(); ++x) probability[x] += choice.probability[x] / rows;
  }
  ir::Array o = zeros({q.shape[0], q.shape[1], q.shape[2], inputs.at("v").shape[3]});
  ir::Array balance = zeros({});
  for (int x = 0; x < experts; ++x) {
    const auto score = [&](const Pair& pair, double s) {
      return score_of(problem, inputs, sizes, pair, s, x);
    };
    const auto weigh = [&](const Pair& pair, const std::vector<double>& scores) {
      std::vector<double> weights = weigh_by(x, scores);
      for (double& weight : weights) weight *= at(share, {pair.b, pair.h, pair.i, x});
      return weights;
    };
    const ir::Array each = attend(inputs, {.score = score, .weigh = weigh}).at("o");
    for (std::size_t n = 0; n < o.data.size(); ++n) o.data[n] += each.data[n];
    const auto place = static_cast<std::size_t>(x);
    balance.data[0] += problem["alpha"] * experts * used[place] * probability[place];
  }
  return {{"o", o}, {"share", share}, {"balance", balance}};
}

}  // namespace

extern constinit const Mechanism mixture_of_mechanisms{
    .name = "mixture_of_mechanisms",
    .family = "routing",
    .doc = "a router chooses among dot product, window, Gaussian and sigmoid for each row",
    .formula = "o = Σ_x share_x attention_x(q, k, v), share = top k of softmax(W_r q) / Σ",
    .paper = "Shazeer 2017",
    .options = kOptions,
    .build = build,
    .reference = reference};

}  // namespace fovea::ops
