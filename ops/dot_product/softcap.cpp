// Attention whose scores are bounded smoothly.
//
//   s = cap tanh(q·k / (√d cap))
#include <cmath>

#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"cap", 50, "what no score exceeds"});

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const double cap = problem.positive("cap");
  return attention(x, tanh(x.dot() * (x.scale / cap)) * cap);
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const auto score = [&](const Pair&, double s) {
    return problem["cap"] * std::tanh(s / problem["cap"]);
  };
  return attend(inputs, {.score = score});
}

}  // namespace

extern constinit const Mechanism softcap{.name = "softcap",
                                         .family = "dot product",
                                         .doc = "scores are bounded by cap · tanh(s / cap)",
                                         .formula = "o = softmax(cap · tanh(q·k / (√d cap))) v",
                                         .paper = "Gemma Team 2024",
                                         .options = kOptions,
                                         .build = build,
                                         .reference = reference,
                                         .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
