// Attention with a learned sink for each head, which takes its share of the weights and gives
// nothing.
//
//   p = e^s / (e^sink + Σ e^s) = softmax(s) sigmoid(logsumexp(s) - sink)
#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options();

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor s = x.score(), sink = input("sink", f32, {x.h});
  const Tensor kept = sigmoid(logsumexp(x.j, s) - sink);
  return graph_of(x, {{"o", sum(x.j, softmax(x.j, s) * x.v) * kept}});
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes&) {
  const auto weigh = [&](const Pair& at, const std::vector<double>& scores) {
    std::vector<double> with_sink = scores;
    with_sink.push_back(ops::at(inputs.at("sink"), {at.h}));
    std::vector<double> weights = softmax_of(with_sink);
    weights.pop_back();
    return weights;
  };
  return attend(inputs, {.weigh = weigh});
}

}  // namespace

extern constinit const Mechanism attention_sinks{
    .name = "attention_sinks",
    .family = "dot product",
    .doc = "a learned logit for each head joins the softmax and adds no value",
    .formula = "o = Σ e^s v / (e^sink[h] + Σ e^s)",
    .paper = "Xiao 2024",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
