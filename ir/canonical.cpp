#include "ir/canonical.h"

#include <algorithm>
#include <utility>

#include "ir/infer.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea::ir {
namespace {

class Order {
 public:
  explicit Order(const Graph& graph) : graph_(graph), place_(graph.nodes.size(), kNone) {}

  void visit(NodeId root) {
    if (root == kNone || at(root) != kNone) return;
    std::vector<Frame> stack{{root, needs(root), 0}};
    while (!stack.empty()) {
      Frame& top = stack.back();
      if (top.next == top.needs.size()) {
        if (at(top.node) == kNone) append(top.node);
        stack.pop_back();
      } else if (const NodeId next = top.needs[top.next++]; at(next) == kNone) {
        invariant(stack.size() <= graph_.nodes.size(), "no node needs itself");
        stack.push_back({next, needs(next), 0});
      }
    }
  }

  NodeId at(NodeId old) const {
    return old == kNone ? kNone : place_[static_cast<std::size_t>(old)];
  }
  std::vector<Node> take() { return std::move(nodes_); }

 private:
  struct Frame {
    NodeId node;
    std::vector<NodeId> needs;
    std::size_t next;
  };

  std::vector<NodeId> needs(NodeId id) const {
    std::vector<NodeId> all = graph_.node(id).inputs;
    for (const AxisId axis : axes_of(graph_.node(id).op)) {
      const NodeId degree = graph_.axis(axis).degree;
      if (degree != kNone) all.push_back(degree);
    }
    return all;
  }

  void append(NodeId old) {
    place_[static_cast<std::size_t>(old)] = static_cast<NodeId>(nodes_.size());
    Node node = graph_.node(old);
    for (NodeId& input : node.inputs) input = at(input);
    nodes_.push_back(std::move(node));
  }

  const Graph& graph_;
  std::vector<NodeId> place_;
  std::vector<Node> nodes_;
};

// Every axis once, however many extents mention it: a chain of squares would take forever else.
class ExtentCheck {
 public:
  explicit ExtentCheck(const Graph& graph) : graph_(graph), state_(graph.axes.size()) {}

  void visit(AxisId axis) {
    State& state = state_[static_cast<std::size_t>(axis)];
    require(state != State::Open, Code::invalid_config, "the extent of axis {} depends on itself",
            graph_.axis(axis).name);
    if (state == State::Done) return;
    state = State::Open;
    for (const ExtentTerm& term : graph_.axis(axis).extent) {
      if (term.kind == ExtentTerm::Kind::Axis) visit_term(axis, term.axis);
    }
    state = State::Done;
  }

 private:
  enum class State : std::uint8_t { Fresh, Open, Done };

  void visit_term(AxisId axis, AxisId term) {
    invariant(term >= 0 && static_cast<std::size_t>(term) < graph_.axes.size(),
              "an extent is made of axes of the graph");
    require(graph_.axis(term).degree == kNone, Code::invalid_config,
            "the extent of axis {} is made of {}, which is ragged and has no one extent",
            graph_.axis(axis).name, graph_.axis(term).name);
    visit(term);
  }

  const Graph& graph_;
  std::vector<State> state_;
};

void check_unragged(const Graph& graph, std::string_view what, const std::vector<AxisId>& axes) {
  for (const AxisId axis : axes) {
    require(graph.axis(axis).degree == kNone, Code::unsupported,
            "{} varies along the ragged axis {}, which may be summed away but not stored", what,
            graph.axis(axis).name);
  }
}

void check_output(const Graph& graph, Output& output) {
  invariant(output.node >= 0 && static_cast<std::size_t>(output.node) < graph.nodes.size(),
            "an output is a node of the graph");
  std::vector<AxisId> axes = graph.node(output.node).type.axes;
  std::ranges::sort(axes);
  if (output.layout.empty()) output.layout = axes;
  const auto names = [&](const std::vector<AxisId>& of) {
    std::string all;
    for (const AxisId axis : of) all += (all.empty() ? "" : ", ") + graph.axis(axis).name;
    return "[" + all + "]";
  };
  std::vector<AxisId> stored = output.layout;
  std::ranges::sort(stored);
  require(stored == axes, Code::dimension_mismatch,
          "output {} is stored as {}; expected each axis of its value once, {}", output.name,
          names(output.layout), names(axes));
  check_unragged(graph, "output " + output.name, axes);
}

void check(Graph& graph) {
  ExtentCheck extents(graph);
  for (AxisId axis = 0; axis < static_cast<AxisId>(graph.axes.size()); ++axis) extents.visit(axis);
  for (std::size_t n = 0; n < graph.outputs.size(); ++n) {
    const std::string& name = graph.outputs[n].name;
    require(std::ranges::count(graph.outputs, name, &Output::name) == 1, Code::invalid_config,
            "two outputs are called {}", name);
    require(find_axis(graph, name) == kNone, Code::invalid_config,
            "output {} has the name of an axis", name);
    check_output(graph, graph.outputs[n]);
  }
}

}  // namespace

Graph canonical(const Graph& graph) {
  Graph result = graph;
  check(result);
  Order order(graph);
  for (const Output& output : graph.outputs) order.visit(output.node);
  for (const Axis& axis : graph.axes) order.visit(axis.degree);
  for (const Kernel& kernel : graph.kernels) {
    for (const NodeId node : kernel.results) order.visit(node);
    order.visit(kernel.visible);
    order.visit(kernel.solid);
  }
  result.nodes = order.take();
  for (Output& output : result.outputs) output.node = order.at(output.node);
  for (Axis& axis : result.axes) axis.degree = order.at(axis.degree);
  for (Kernel& kernel : result.kernels) {
    for (NodeId& node : kernel.results) node = order.at(node);
    kernel.visible = order.at(kernel.visible);
    kernel.solid = order.at(kernel.solid);
  }
  for (Node& node : result.nodes) {
    const bool output = std::ranges::count(result.outputs, node.name, &Output::name) != 0;
    if (const auto* input = input_of(node)) {
      require(!output, Code::invalid_config, "output {} has the name of an input", input->name);
      check_unragged(result, "input " + input->name, node.type.axes);
    } else if (output || find_axis(result, node.name) != kNone) {
      node.name.clear();
    }
  }
  return result;
}

}  // namespace fovea::ir
