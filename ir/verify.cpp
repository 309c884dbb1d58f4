#include "ir/verify.h"

#include <fmt/format.h>

#include "ir/build.h"
#include "ir/infer.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea::ir {
namespace {

bool has(const Graph& graph, NodeId id) {
  return id >= 0 && static_cast<std::size_t>(id) < graph.nodes.size();
}

bool has_axis(const Graph& graph, AxisId id) {
  return id >= 0 && static_cast<std::size_t>(id) < graph.axes.size();
}

std::string axis_name(const Graph& graph, AxisId id) {
  return has_axis(graph, id) ? graph.axis(id).name : fmt::format("axis {}?", id);
}

// Not the printer's text: a broken graph has to be shown too.
std::string show(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  std::string text = match(
      node.op, [](const Input& op) { return "input " + op.name; },
      [](const Constant& op) { return fmt::format("{}", op.value); },
      [](const Index&) { return std::string("index"); },
      [](const Map& op) { return fmt::format("'{}'", name(op.fn)); },
      [](const Reduce& op) { return std::string(name(op.fn)); },
      [](const Scan&) { return std::string("cumsum"); },
      [](const Read&) { return std::string("read"); },
      [](const TopK&) { return std::string("topk"); });
  for (const AxisId axis : axes_of(node.op)) text += " " + axis_name(graph, axis);
  std::string inputs, axes;
  for (const NodeId input : node.inputs) inputs += fmt::format(" %{}", input);
  for (const AxisId axis : node.type.axes) axes += " " + axis_name(graph, axis);
  return fmt::format("%{} {} = {} of{} : {}[{}]", id, node.name, text,
                     inputs.empty() ? " nothing" : inputs, name(node.type.dtype), axes);
}

std::string ids_defect(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  for (const NodeId input : node.inputs) {
    if (!has(graph, input) || input >= id)
      return fmt::format("input %{} does not precede it", input);
  }
  for (const AxisId axis : node.type.axes) {
    if (!has_axis(graph, axis)) return fmt::format("its type has axis {}, which is none", axis);
  }
  for (const AxisId axis : axes_of(node.op)) {
    if (!has_axis(graph, axis)) return fmt::format("it is along axis {}, which is none", axis);
  }
  if (node.inputs.size() != input_count(node.op)) {
    return fmt::format("it has {} inputs, expected {}", node.inputs.size(), input_count(node.op));
  }
  return "";
}

std::string rebuilt_defect(Builder& builder, NodeId id, const Node& node) {
  const NodeId made = builder.copy(node, node.inputs);
  if (made != id) return fmt::format("the builder would make it %{}", made);
  if (builder[made].type == node.type) return "";
  std::string axes;
  for (const AxisId axis : builder[made].type.axes) axes += " " + builder.axis(axis).name;
  return fmt::format("the builder infers {}[{}]", name(builder[made].type.dtype), axes);
}

std::string table_defect(const Graph& graph) {
  for (const Axis& axis : graph.axes) {
    if (axis.degree != kNone && !has(graph, axis.degree)) {
      return fmt::format("the degree of axis {} is %{}, which is none", axis.name, axis.degree);
    }
    for (const ExtentTerm& term : axis.extent) {
      if (term.kind == ExtentTerm::Kind::Axis && !has_axis(graph, term.axis)) {
        return fmt::format("the extent of axis {} has axis {}, which is none", axis.name,
                           term.axis);
      }
    }
  }
  for (const Output& output : graph.outputs) {
    if (!has(graph, output.node)) {
      return fmt::format("output {} is %{}, which is none", output.name, output.node);
    }
  }
  const auto missing = [&](NodeId id) { return id != kNone && !has(graph, id); };
  for (const Kernel& kernel : graph.kernels) {
    bool bad = missing(kernel.visible) || missing(kernel.solid);
    for (const NodeId result : kernel.results) bad = bad || !has(graph, result);
    for (const AxisId axis : {kernel.row, kernel.column, kernel.shared}) {
      bad = bad || (axis != kNone && !has_axis(graph, axis));
    }
    if (bad) return fmt::format("kernel {} has a node or an axis that is none", kernel.name);
    if ((kernel.shared == kNone) != (kernel.members == 0))
      return fmt::format("kernel {} has one of share and members", kernel.name);
    for (const int slot : kernel.slots) bad = bad || slot < kNone;
    if (bad || (!kernel.slots.empty() && kernel.slots.size() != kernel.results.size()))
      return fmt::format("kernel {} has not one slot to a result", kernel.name);
  }
  return "";
}

std::string defect(const Graph& graph) {
  if (std::string table = table_defect(graph); !table.empty()) return table;
  Builder builder(graph);
  const auto count = static_cast<NodeId>(graph.nodes.size());
  for (NodeId id = 0; id < count; ++id) {
    std::string found = ids_defect(graph, id);
    try {
      if (found.empty()) found = rebuilt_defect(builder, id, graph.node(id));
      for (AxisId axis = 0; axis < static_cast<AxisId>(graph.axes.size()); ++axis) {
        if (found.empty() && graph.axis(axis).degree == id) builder.set_degree(axis, id);
      }
    } catch (const Error& error) {
      found = error.what();
    }
    if (!found.empty()) return show(graph, id) + ": " + found;
  }
  if (builder.finish(graph.outputs, graph.kernels) != graph) {
    return "nodes, names or layouts are not in canonical order, or something is left that nothing "
           "needs";
  }
  return "";
}

}  // namespace

std::string find_defect(const Graph& graph) {
  try {
    return defect(graph);
  } catch (const Error& error) {
    return error.what();
  }
}

void verify(const Graph& graph, std::string_view after) {
  const std::string found = find_defect(graph);
  invariant(found.empty(), fmt::format("the graph after {} is broken: {}", after, found));
}

}  // namespace fovea::ir
