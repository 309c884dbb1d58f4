// Attention to the keys of highest score, exactly; ties to the earlier key.
//
//   o_i = Σ_n softmax_n(s_i,top(n)) v_top(n),  top = the `k` largest s_i
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/masks.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"k", 32, "keys that a row sees"});

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Axis n{"n", problem.integer("k")};
  const Tensor top = topk(x.j, n, x.score());
  const Tensor s = where(top >= 0, sum(x.d, x.q * x.k.at(x.j, top)) * x.scale, -infinity);
  return graph_of(x, {{"o", sum(n, softmax(n, s) * x.v.at(x.j, top))}});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const auto count = static_cast<std::size_t>(problem.integer("k"));
  const auto weigh = [&](const Pair&, const std::vector<double>& scores) {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
      return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
    });
    std::vector<double> kept(scores.size(), -HUGE_VAL);
    for (std::size_t n = 0; n < std::min(count, order.size()); ++n) {
      kept[order[n]] = scores[order[n]];
    }
    return softmax_of(kept);
  };
  return attend(inputs, {.weigh = weigh});
}

}  // namespace

extern constinit const Mechanism top_k{
    .name = "top_k",
    .family = "masks and sparsity",
    .doc = "each row sees the keys of its k highest scores, exactly; k beyond all means all",
    .formula = "o = softmax(q·k / √d where j in top k of the row) v",
    .paper = "Zhao 2019",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
