// Attention to listed pairs, sorted by row: pairs start[i] to start[i + 1] are those of row i, and
// column[pair] is the key. List each pair once.
//
//   o_i = Σ_n softmax_n(q_i·k_column[start[i] + n] / √d) v_column[start[i] + n]
#include <algorithm>
#include <numeric>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options();

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Axis pair{"pair"}, r{"r", Extent(x.i) + 1};
  const Tensor start = input("start", i32, {r}), column = input("column", i32, {pair});
  const Axis n = Axis::ragged("n", start.at(r, x.i + 1) - start.at(r, x.i));
  const Tensor key = column.at(pair, start.at(r, x.i) + n);
  const Tensor weights = softmax(n, sum(x.d, x.q * x.k.at(x.j, key)) * x.scale);
  return graph_of(x, {{"o", sum(n, weights * x.v.at(x.j, key))}});
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes&) {
  const auto visible = [&](const Pair& at) {
    const ir::Array& start = inputs.at("start");
    const auto first = static_cast<std::int64_t>(ops::at(start, {at.i}));
    const auto last = static_cast<std::int64_t>(ops::at(start, {at.i + 1}));
    for (std::int64_t pair = first; pair < last; ++pair) {
      if (ops::at(inputs.at("column"), {pair}) == static_cast<double>(at.j)) return true;
    }
    return false;
  };
  return attend(inputs, {.visible = visible});
}

void special_inputs(const Problem&, const ir::Sizes& sizes, unsigned, ir::Arrays& inputs) {
  // Pairs that differ, at even distances along the plane.
  const std::int64_t pairs = sizes.at("pair"), rows = sizes.at("i"), columns = sizes.at("j");
  std::vector<double>& start = inputs.at("start").data;
  std::ranges::fill(start, 0);
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    const std::int64_t cell = pair * rows * columns / pairs;
    inputs.at("column").data[static_cast<std::size_t>(pair)] = static_cast<double>(cell % columns);
    start[static_cast<std::size_t>(cell / columns + 1)] += 1;
  }
  std::partial_sum(start.begin(), start.end(), start.begin());
}

}  // namespace

extern constinit const Mechanism coo{
    .name = "coo",
    .family = "masks and sparsity",
    .doc = "each row sees the keys that a list of pairs gives, sorted by row (compressed)",
    .formula = "o = softmax(q·k / √d where (i, j) in pairs) v",
    .paper = "Veličković 2018",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true}};

}  // namespace fovea::ops
