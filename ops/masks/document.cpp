// Attention inside of one document of several that are packed into a sequence.
//
//   visible(i, j) = document_q[i] == document_k[j]
#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"causal", 0, "1: no row sees a later key"}, kStart);

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Tensor same = input("document_q", i32, {x.i}) == input("document_k", i32, {x.j});
  if (!problem.flag("causal")) return attention(x, x.score(), same);
  return attention(x, x.score(), same && x.j <= position(problem, x));
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes) {
  const auto visible = [&](const Pair& at) {
    if (problem.flag("causal") && at.j > position_of(problem, sizes, at.i)) return false;
    return ops::at(inputs.at("document_q"), {at.i}) == ops::at(inputs.at("document_k"), {at.j});
  };
  return attend(inputs, {.visible = visible});
}

void special_inputs(const Problem&, const ir::Sizes&, unsigned, ir::Arrays& inputs) {
  // Three documents of keys and a fourth of queries only, whose rows see nothing.
  const auto fill = [&](const char* name, std::int64_t documents) {
    std::vector<double>& ids = inputs.at(name).data;
    const auto count = static_cast<std::int64_t>(ids.size());
    for (std::int64_t n = 0; n < count; ++n) {
      ids[static_cast<std::size_t>(n)] = static_cast<double>(n * documents / count);
    }
  };
  fill("document_q", 4);
  fill("document_k", 3);
}

}  // namespace

extern constinit const Mechanism document{
    .name = "document",
    .family = "masks and sparsity",
    .doc = "each row sees the keys of its own document, by ids (packed sequences)",
    .formula = "o = softmax(q·k / √d where document_q[i] == document_k[j]) v",
    .paper = "Krell 2021",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
