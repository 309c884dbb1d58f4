// Multi-query attention: all query heads share one head of keys and values.
//
//   o_h = softmax(q_h·k / √d) v
#include <array>
#include <cmath>

#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    std::array{Option{"d", 64, "width of queries and keys"}, Option{"e", 64, "width of values"}};

ir::Graph build(const Problem& problem) {
  const Axis b{"b"}, h{"h"}, i{"i"}, j{"j"}, d{"d", problem.integer("d")},
      e{"e", problem.integer("e")};
  const Tensor q = input("q", f32, {b, h, i, d});
  const Tensor k = input("k", f32, {b, j, d}), v = input("v", f32, {b, j, e});
  const Tensor s = sum(d, q * k) * (1 / std::sqrt(problem["d"]));
  return ir::make_graph({{"o", sum(j, softmax(j, s) * v)}}, {b, h, i, j, d, e});
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes&) {
  const auto one_head = [](ir::Array x) {
    x.shape.insert(x.shape.begin() + 1, 1);
    return x;
  };
  return attend(
      {{"q", inputs.at("q")}, {"k", one_head(inputs.at("k"))}, {"v", one_head(inputs.at("v"))}},
      {});
}

}  // namespace

extern constinit const Mechanism multi_query{.name = "multi_query",
                                             .family = "dot product",
                                             .doc = "all query heads read the same keys and values",
                                             .formula = "o[h] = softmax(q[h]·k / √d) v",
                                             .paper = "Shazeer 2019",
                                             .options = kOptions,
                                             .build = build,
                                             .reference = reference,
                                             .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
