#include "ir/rewrite.h"

#include <utility>

#include "ir/infer.h"
#include "ir/query.h"

namespace fovea::ir {
namespace {

NodeId mapped(const std::vector<NodeId>& to, NodeId old) {
  return old == kNone ? kNone : to[static_cast<std::size_t>(old)];
}

std::vector<NodeId> mapped(const std::vector<NodeId>& to, std::vector<NodeId> old) {
  for (NodeId& id : old) id = mapped(to, id);
  return old;
}

}  // namespace

Graph rewrite(const Graph& graph, const Visit& visit) {
  Builder into(graph);
  std::vector<NodeId> to;
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id) {
    const Node& old = graph.node(id);
    const std::vector<NodeId> inputs = mapped(to, old.inputs);
    if (const std::optional<NodeId> replaced = visit(into, id, old, inputs)) {
      if (!old.name.empty()) into.set_name(*replaced, old.name);
      to.push_back(*replaced);
    } else {
      to.push_back(into.copy(old, inputs));
    }
    for (AxisId axis = 0; axis < static_cast<AxisId>(graph.axes.size()); ++axis) {
      if (graph.axis(axis).degree == id) into.set_degree(axis, to.back());
    }
  }
  std::vector<Output> outputs = graph.outputs;
  for (Output& output : outputs) output.node = mapped(to, output.node);
  std::vector<Kernel> kernels = graph.kernels;
  for (Kernel& kernel : kernels) {
    kernel.results = mapped(to, kernel.results);
    kernel.visible = mapped(to, kernel.visible);
    kernel.solid = mapped(to, kernel.solid);
  }
  return into.finish(std::move(outputs), std::move(kernels));
}

Graph with_kernels(const Graph& graph, std::vector<Kernel> kernels) {
  Graph result = graph;
  result.kernels = std::move(kernels);
  return rewrite(result, [](Builder&, NodeId, const Node&, const std::vector<NodeId>&) {
    return std::optional<NodeId>();
  });
}

std::vector<int> count_uses(const Graph& graph) {
  std::vector<int> uses(graph.nodes.size(), 0);
  const auto use = [&](NodeId id) {
    if (id != kNone) ++uses[static_cast<std::size_t>(id)];
  };
  for (const Node& node : graph.nodes) {
    for (const NodeId input : node.inputs) use(input);
  }
  for (const Output& output : graph.outputs) use(output.node);
  for (const Axis& axis : graph.axes) use(axis.degree);
  for (const Kernel& kernel : graph.kernels) {
    for (const NodeId result : kernel.results) use(result);
  }
  return uses;
}

std::vector<bool> depends_on_input(const Graph& graph, bool positions_free) {
  std::vector<bool> depends;
  for (const Node& node : graph.nodes) {
    bool any = is_input(node);
    for (const NodeId input : node.inputs) any = any || depends[static_cast<std::size_t>(input)];
    // Where a ragged axis ends is also something that a result depends on; an index does not.
    for (const AxisId axis : bounded_axes(node.op)) {
      const NodeId degree = graph.axis(axis).degree;
      if (degree != kNone) any = any || depends[static_cast<std::size_t>(degree)];
    }
    depends.push_back(any && !(chooses_places(node) && positions_free));
  }
  return depends;
}

}  // namespace fovea::ir
