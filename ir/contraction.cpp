#include "ir/contraction.h"

#include <algorithm>

#include "ir/query.h"

namespace fovea::ir {
namespace {

// The axis of a sum that may be a part of one over several.
std::optional<AxisId> summed_axis(const Graph& graph, NodeId id, const Leaves& leaves) {
  const Node& node = graph.node(id);
  const auto* reduce = reduce_of(node);
  if (leaves[static_cast<std::size_t>(id)] || !reduce || reduce->fn != ReduceFn::Sum ||
      node.type.dtype != Dtype::F32 || graph.axis(reduce->axis).degree != kNone ||
      is_multiple(graph, id))
    return std::nullopt;
  return reduce->axis;
}

bool has_own_axis(const Type& result, const Type& factor, const Type& other) {
  return std::ranges::any_of(result.axes,
                             [&](AxisId axis) { return factor.has(axis) && !other.has(axis); });
}

}  // namespace

std::optional<Sum> sum_of(const Graph& graph, NodeId node, const Leaves& leaves) {
  Sum sum;
  sum.term = node;
  while (const auto axis = summed_axis(graph, sum.term, leaves)) {
    sum.axes.push_back(*axis);
    sum.term = graph.node(sum.term).inputs[0];
  }
  return sum.axes.empty() ? std::nullopt : std::optional(sum);
}

bool is_matrix_product(const Graph& graph, NodeId node, const Leaves& leaves) {
  const auto sum = sum_of(graph, node, leaves);
  if (!sum) return false;
  const Type& result = graph.node(node).type;
  const std::vector<Factor> factors = product_of(graph, sum->term, leaves).factors;
  for (const Factor& factor : factors)
    for (const Factor& other : factors) {
      const Type &a = graph.node(factor.node).type, &b = graph.node(other.node).type;
      if (has_own_axis(result, a, b) && has_own_axis(result, b, a)) return true;
    }
  return false;
}

}  // namespace fovea::ir
