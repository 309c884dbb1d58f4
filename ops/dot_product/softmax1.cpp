// Attention that may look at nothing: one more in the denominator.
//
//   p = e^s / (1 + Σ e^s) = softmax(s) sigmoid(logsumexp(s))
#include <cmath>

#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options();

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor s = x.score();
  const Tensor kept = sigmoid(logsumexp(x.j, s));
  return graph_of(x, {{"o", sum(x.j, softmax(x.j, s) * x.v) * kept}});
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes&) {
  const auto weigh = [](const Pair&, std::vector<double> scores) {
    double total = 1;
    for (double& s : scores) total += s = std::exp(s);
    for (double& s : scores) s /= total;
    return scores;
  };
  return attend(inputs, {.weigh = weigh});
}

}  // namespace

extern constinit const Mechanism softmax1{
    .name = "softmax1",
    .family = "dot product",
    .doc = "one more in the denominator of the softmax, so that weights may all be small",
    .formula = "o = Σ e^s v / (1 + Σ e^s)",
    .paper = "Miller 2023",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
