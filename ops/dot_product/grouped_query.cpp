// Grouped-query attention: several query heads share a key head.
//
//   o_h = softmax(q_h·k_g / √d) v_g,  g = ⌊h / group⌋
#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    std::array{Option{"d", 64, "width of queries and keys"}, Option{"e", 64, "width of values"},
               Option{"group", 4, "query heads to a key head"}};

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  return attention(x, x.score());
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const int group = problem.integer("group");
  // Repeats every key head, then attends head by head.
  const auto repeated = [&](const ir::Array& x) {
    ir::Array all = zeros({x.shape[0], x.shape[1] * group, x.shape[2], x.shape[3]});
    for (std::int64_t b = 0; b < all.shape[0]; ++b) {
      for (std::int64_t h = 0; h < all.shape[1]; ++h) {
        for (std::int64_t j = 0; j < all.shape[2]; ++j) {
          for (std::int64_t d = 0; d < all.shape[3]; ++d) {
            at(all, {b, h, j, d}) = at(x, {b, h / group, j, d});
          }
        }
      }
    }
    return all;
  };
  return attend(
      {{"q", inputs.at("q")}, {"k", repeated(inputs.at("k"))}, {"v", repeated(inputs.at("v"))}},
      {});
}

}  // namespace

extern constinit const Mechanism grouped_query{
    .name = "grouped_query",
    .family = "dot product",
    .doc = "query head h reads key head ⌊h / group⌋",
    .formula = "o = softmax(q·k[g = h / group] / √d) v[g = h / group]",
    .paper = "Ainslie 2023",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
