#include "passes/order_sums.h"

#include <algorithm>
#include <optional>

#include "ir/query.h"
#include "ir/rewrite.h"
#include "passes/planes.h"
#include "passes/products.h"

namespace fovea::passes {
namespace {

using namespace ir;

const Reduce* sum_at(const Graph& graph, NodeId id) {
  const Reduce* reduce = reduce_of(graph.node(id));
  const bool is_sum = reduce && reduce->fn == ReduceFn::Sum && !is_ragged(graph, reduce->axis);
  return is_sum ? reduce : nullptr;
}

// sum(a, sum(b, term)): the axes, outermost first.
struct Chain {
  std::vector<AxisId> axes;
  NodeId term = kNone;
};

Chain chain_at(const Graph& graph, NodeId id, const std::vector<int>& uses) {
  Chain chain{{}, id};
  while (const Reduce* sum = sum_at(graph, chain.term)) {
    if (!chain.axes.empty() && uses[static_cast<std::size_t>(chain.term)] != 1) break;
    chain.axes.push_back(sum->axis);
    chain.term = graph.node(chain.term).inputs[0];
  }
  return chain;
}

// The same axes, those of the first plane on which the term lies innermost.
std::vector<AxisId> in_order(const Chain& chain, const Graph& graph,
                             const std::vector<Plane>& planes) {
  std::vector<AxisId> axes = chain.axes;
  const Type& type = graph.node(chain.term).type;
  const auto plane = std::ranges::find_if(
      planes, [&](const Plane& each) { return type.has(each.first) && type.has(each.second); });
  if (plane != planes.end())
    std::ranges::stable_partition(
        axes, [&](AxisId axis) { return axis != plane->first && axis != plane->second; });
  return axes;
}

}  // namespace

Graph order_sums(const Graph& graph, const Target&) {
  if (!graph.kernels.empty()) return graph;
  const std::vector<Plane> planes = find_planes(graph).planes;
  const std::vector<int> uses = count_uses(graph);
  std::vector<NodeId> to;
  return rewrite(graph,
                 [&](Builder& into, NodeId id, const Node& old,
                     const std::vector<NodeId>& inputs) -> std::optional<NodeId> {
                   const Chain chain = chain_at(graph, id, uses);
                   const std::vector<AxisId> axes = in_order(chain, graph, planes);
                   if (axes == chain.axes) {
                     to.push_back(into.copy(old, inputs));
                   } else {
                     NodeId sum = to[static_cast<std::size_t>(chain.term)];
                     for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
                       sum = into.reduce(ReduceFn::Sum, *axis, sum);
                     to.push_back(sum);
                   }
                   return to.back();
                 });
}

}  // namespace fovea::passes
