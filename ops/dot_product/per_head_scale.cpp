// Attention with a learned scale for each head beside 1 / √d.
//
//   s = scale[h] q·k / √d
#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options();

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  return attention(x, x.score() * input("scale", f32, {x.h}));
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes&) {
  const auto score = [&](const Pair& at, double s) {
    return s * ops::at(inputs.at("scale"), {at.h});
  };
  return attend(inputs, {.score = score});
}

}  // namespace

extern constinit const Mechanism per_head_scale{
    .name = "per_head_scale",
    .family = "dot product",
    .doc = "a learned factor for the scores of each head",
    .formula = "o = softmax(scale[h] q·k / √d) v",
    .paper = "Henry 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
