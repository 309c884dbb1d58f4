#include "ir/deciding.h"

#include <algorithm>

#include "ir/query.h"
#include "ir/worklist.h"

namespace fovea::ir {
namespace {

class Search {
 public:
  explicit Search(const Graph& graph) : graph_(graph), decides_(graph.nodes.size()) {}

  std::vector<bool> operator()() {
    for (auto id = static_cast<NodeId>(graph_.nodes.size()); id-- > 0;) visit(id);
    return std::move(decides_);
  }

 private:
  void visit(NodeId id) {
    const Node& node = graph_.node(id);
    const bool decides = decides_[static_cast<std::size_t>(id)];
    match(
        node.op, [](const Input&) {}, [](const Constant&) {}, [](const Index&) {},
        [&](const Map& map) { visit(map.fn, node, decides); },
        [&](const Reduce& reduce) {
          if (reduce.fn != ReduceFn::Sum) mark(node.inputs[0]);
        },
        [](const Scan&) {},
        [&](const Read&) {
          if (decides) mark(node.inputs[0]);
        },
        [&](const TopK&) { mark(node.inputs[0]); });
  }

  void visit(Fn fn, const Node& node, bool decides) {
    if (is_ordering(fn)) {
      if (std::ranges::none_of(node.inputs, [&](NodeId in) { return is_constant(in); }))
        for (const NodeId input : node.inputs) mark(input);
      return;
    }
    switch (fn) {
      case Fn::Where:  // hands its branches on as they are
        if (decides) mark(node.inputs[1]), mark(node.inputs[2]);
        return;
      case Fn::Neg:
      case Fn::Abs:
      case Fn::Cast:
        if (decides) mark(node.inputs[0]);
        return;
      default: return;
    }
  }

  bool is_constant(NodeId id) const { return ir::is_constant(graph_.node(id)); }

  void mark(NodeId id) {
    if (is_float(graph_.node(id).type.dtype)) decides_[static_cast<std::size_t>(id)] = true;
  }

  const Graph& graph_;
  std::vector<bool> decides_;
};

}  // namespace

bool is_ordering(Fn fn) {
  switch (fn) {
    case Fn::Eq:
    case Fn::Ne:
    case Fn::Lt:
    case Fn::Le:
    case Fn::Gt:
    case Fn::Ge:
    case Fn::Min:
    case Fn::Max: return true;
    default: return false;
  }
}

std::vector<bool> deciding(const Graph& graph) { return Search(graph)(); }

std::vector<bool> computed_by(const Graph& graph, const Kernel& kernel) {
  std::vector<bool> stored(graph.nodes.size()), computed(graph.nodes.size());
  for (const Kernel& other : graph.kernels)
    for (const NodeId id : other.results) stored[static_cast<std::size_t>(id)] = true;
  for (const NodeId id : kernel.results) stored[static_cast<std::size_t>(id)] = false;
  Worklist todo(graph, kernel.results);
  for (const NodeId mask : {kernel.visible, kernel.solid})
    if (mask != kNone) todo.add(mask);
  while (const auto id = todo.next()) {
    if (stored[static_cast<std::size_t>(*id)] || is_input(graph.node(*id))) continue;
    computed[static_cast<std::size_t>(*id)] = true;
    todo.add(graph.node(*id).inputs);
  }
  return computed;
}

std::vector<bool> decided_alike(const Graph& graph, const Kernel& kernel) {
  const std::vector<bool> own = computed_by(graph, kernel), decides = deciding(graph);
  std::vector<bool> alike(graph.nodes.size());
  for (const Kernel& other : graph.kernels) {
    if (other == kernel) continue;
    const std::vector<bool> others = computed_by(graph, other);
    for (std::size_t id = 0; id < alike.size(); id++)
      if (own[id] && others[id] && decides[id]) alike[id] = true;
  }
  return alike;
}

}  // namespace fovea::ir
