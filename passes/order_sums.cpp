#include "passes/order_sums.h"

#include <algorithm>
#include <optional>

#include "ir/rewrite.h"
#include "passes/planes.h"
#include "passes/products.h"

namespace fovea::passes {
namespace {

using namespace ir;

const Reduce* sum_at(const Graph& graph, NodeId id) {
  const Reduce* reduce = std::get_if<Reduce>(&graph.node(id).op);
  const bool is_sum = reduce && reduce->fn == ReduceFn::Sum && !is_ragged(graph, reduce->axis);
  return is_sum ? reduce : nullptr;
}

// A sum over an axis of a plane of a sum over another one.
std::optional<NodeId> first_out_of_order(const Graph& graph) {
  const std::vector<Plane> planes = find_planes(graph).planes;
  const std::vector<int> uses = count_uses(graph);
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); id++) {
    const Reduce* outer = sum_at(graph, id);
    const Reduce* inner = outer ? sum_at(graph, graph.node(id).inputs[0]) : nullptr;
    if (!inner || uses[static_cast<std::size_t>(graph.node(id).inputs[0])] != 1) continue;
    const Type& term = graph.node(graph.node(graph.node(id).inputs[0]).inputs[0]).type;
    const auto plane = std::ranges::find_if(
        planes, [&](const Plane& each) { return term.has(each.first) && term.has(each.second); });
    if (plane == planes.end()) continue;
    const auto has = [&](AxisId axis) { return axis == plane->first || axis == plane->second; };
    if (has(outer->axis) && !has(inner->axis)) return id;
  }
  return {};
}

}  // namespace

Graph order_sums(const Graph& graph, const Target&) {
  if (!graph.kernels.empty()) return graph;
  Graph current = graph;
  while (const auto site = first_out_of_order(current)) {
    const NodeId inner = current.node(*site).inputs[0];
    const AxisId first = sum_at(current, *site)->axis, then = sum_at(current, inner)->axis;
    current = replace(current, *site, [&](Builder& into, const std::vector<NodeId>& to) {
      const NodeId term = to[static_cast<std::size_t>(current.node(inner).inputs[0])];
      return into.reduce(ReduceFn::Sum, then, into.reduce(ReduceFn::Sum, first, term));
    });
  }
  return current;
}

}  // namespace fovea::passes
