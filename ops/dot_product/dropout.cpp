// Attention whose weights are dropped where a mask says so, the others raised to make up for it.
//
//   o_i = Σ_j keep p / (1 - rate) v_j
#include "ir/require.h"
#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"rate", 0.1, "the share that is dropped, below 1"});

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const double rate = problem["rate"];
  require(rate >= 0 && rate < 1, Code::invalid_config,
          "option rate is {}; expected at least 0 and below 1", rate);
  const Tensor keep = input("keep", boolean, {x.b, x.h, x.i, x.j});
  const Tensor p = softmax(x.j, x.score()) * (1 / (1 - rate));
  return weighted(x, where(keep, p, 0.0));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const auto weigh = [&](const Pair& at, const std::vector<double>& scores) {
    std::vector<double> weights = softmax_of(scores);
    for (std::size_t j = 0; j < weights.size(); ++j) {
      const double keep =
          ops::at(inputs.at("keep"), {at.b, at.h, at.i, static_cast<std::int64_t>(j)});
      weights[j] *= keep / (1 - problem["rate"]);
    }
    return weights;
  };
  return attend(inputs, {.weigh = weigh});
}

}  // namespace

extern constinit const Mechanism dropout{
    .name = "dropout",
    .family = "dot product",
    .doc = "weights outside of a given mask are dropped after the softmax",
    .formula = "o = Σ_j keep[i, j] softmax(q·k / √d) / (1 - rate) v",
    .paper = "Srivastava 2014",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
