// Attention with a bias over any of batch, heads, rows and columns; constant along the others.
//
//   s = q·k / √d + bias
#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"batch", 1, "1: the bias varies over the batch"},
                                       Option{"heads", 1, "1: it varies over heads"},
                                       Option{"rows", 1, "1: it varies over rows"},
                                       Option{"columns", 1, "1: it varies over columns"});

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  std::vector<Axis> axes;
  if (problem.flag("batch")) axes.push_back(x.b);
  if (problem.flag("heads")) axes.push_back(x.h);
  if (problem.flag("rows")) axes.push_back(x.i);
  if (problem.flag("columns")) axes.push_back(x.j);
  return attention(x, x.score() + input("bias", f32, axes));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const auto score = [&](const Pair& at, double s) {
    std::int64_t offset = 0;
    if (problem.flag("batch")) offset = at.b;
    if (problem.flag("heads")) offset = offset * sizes.at("h") + at.h;
    if (problem.flag("rows")) offset = offset * sizes.at("i") + at.i;
    if (problem.flag("columns")) offset = offset * sizes.at("j") + at.j;
    return s + inputs.at("bias").data[static_cast<std::size_t>(offset)];
  };
  return attend(inputs, {.score = score});
}

}  // namespace

extern constinit const Mechanism additive_bias{
    .name = "additive_bias",
    .family = "dot product",
    .doc = "adds a bias over any of the axes to the scores",
    .formula = "o = softmax(q·k / √d + bias) v",
    .paper = "Vaswani 2017",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
