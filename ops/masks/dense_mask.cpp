// Attention where a boolean matrix says so.
//
//   visible(i, j) = mask[i, j]
#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"batch", 0, "1: a mask for each of the batch"},
                                       Option{"heads", 0, "1: a mask for each head"});

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  std::vector<Axis> axes{x.i, x.j};
  if (problem.flag("heads")) axes.insert(axes.begin(), x.h);
  if (problem.flag("batch")) axes.insert(axes.begin(), x.b);
  return attention(x, x.score(), input("mask", boolean, axes));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array& mask = inputs.at("mask");
  const bool batch = problem.flag("batch"), heads = problem.flag("heads");
  const auto visible = [&](const Pair& at) {
    if (batch && heads) return ops::at(mask, {at.b, at.h, at.i, at.j}) != 0;
    if (batch) return ops::at(mask, {at.b, at.i, at.j}) != 0;
    if (heads) return ops::at(mask, {at.h, at.i, at.j}) != 0;
    return ops::at(mask, {at.i, at.j}) != 0;
  };
  return attend(inputs, {.visible = visible});
}

}  // namespace

extern constinit const Mechanism dense_mask{
    .name = "dense_mask",
    .family = "masks and sparsity",
    .doc = "each row sees the keys that a boolean matrix shows",
    .formula = "o = softmax(q·k / √d where mask[i, j]) v",
    .paper = "Vaswani 2017",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
