#include "passes/defer_scaling.h"

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "ir/rewrite.h"
#include "passes/products.h"

namespace fovea::passes {
namespace {

using namespace ir;

// n = leaf * scale or leaf / scale; the leaf has all axes, and its fastest one alone.
struct Scaling {
  NodeId leaf = kNone, scale = kNone;
  bool divides = false;
};

class Finder {
 public:
  explicit Finder(const Graph& graph) : graph_(graph) {
    for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id)
      if (std::holds_alternative<Input>(graph.node(id).op)) stored_.insert(id);
    for (const Kernel& kernel : graph.kernels)
      stored_.insert(kernel.results.begin(), kernel.results.end());
  }

  // What a kernel stores, if it is a scaling that every kernel that needs it can compute itself.
  std::optional<Scaling> operator()(const Kernel& kernel) const {
    if (kernel.row != kNone || kernel.column != kNone || kernel.results.size() != 1) return {};
    const NodeId id = kernel.results[0];
    if (is_wanted(id)) return {};
    const auto found = scaling(id);
    if (!found) return {};
    const auto takes = [&](const Kernel& other) {
      return &other == &kernel || !needs(other, id) || can_scale(other, id, *found);
    };
    return std::ranges::all_of(graph_.kernels, takes) ? found : std::nullopt;
  }

  bool is_stored(NodeId id) const { return stored_.contains(id); }

 private:
  bool is_wanted(NodeId id) const {
    return std::ranges::any_of(graph_.outputs, [&](const Output& o) { return o.node == id; }) ||
           std::ranges::any_of(graph_.axes, [&](const Axis& a) { return a.degree == id; });
  }

  AxisId fastest(NodeId leaf) const { return graph_.node(leaf).type.axes.back(); }

  std::optional<Scaling> scaling(NodeId id) const {
    const Node& node = graph_.node(id);
    const bool divides = is_map(node, Fn::Div);
    if (node.type.dtype != Dtype::F32 || !(divides || is_map(node, Fn::Mul))) return {};
    for (const std::size_t n : {0, 1}) {
      const NodeId leaf = node.inputs[n], scale = node.inputs[1 - n];
      const Type &all = graph_.node(leaf).type, &some = graph_.node(scale).type;
      if ((divides && n == 1) || !stored_.contains(leaf) || !is_float(all.dtype) ||
          some.dtype != Dtype::F32 || all.axes.size() != node.type.axes.size() || all.axes.empty())
        continue;
      if (!some.has(fastest(leaf))) return Scaling{leaf, scale, divides};
    }
    return {};
  }

  template <class Visit>
  void visit_computed(const Kernel& kernel, Visit visit) const {
    std::vector<NodeId> stack = kernel.results;
    for (const NodeId mask : {kernel.visible, kernel.solid})
      if (mask != kNone) stack.push_back(mask);
    std::set<NodeId> seen;
    while (!stack.empty()) {
      const NodeId id = stack.back();
      stack.pop_back();
      if (!seen.insert(id).second) continue;
      const bool own = std::ranges::find(kernel.results, id) != kernel.results.end();
      if (stored_.contains(id) && !own) continue;
      visit(graph_.node(id));
      for (const NodeId input : graph_.node(id).inputs) stack.push_back(input);
    }
  }

  bool needs(const Kernel& kernel, NodeId id) const {
    bool found = false;
    visit_computed(kernel, [&](const Node& node) {
      found = found || std::ranges::find(node.inputs, id) != node.inputs.end();
    });
    return found || kernel.visible == id || kernel.solid == id;
  }

  // Whether a kernel has what is scaled as a column operand. Where a read goes outside it is 0,
  // which a quotient of two reads would not be.
  bool can_scale(const Kernel& kernel, NodeId id, const Scaling& scaling) const {
    const Type& type = graph_.node(id).type;
    const AxisId feature = fastest(scaling.leaf);
    if (kernel.lanes != Lanes::Columns || kernel.row == kNone || feature == kernel.column ||
        !type.has(kernel.column) || type.has(kernel.row))
      return false;
    bool moved = false;
    visit_computed(kernel, [&](const Node& node) {
      if (!std::holds_alternative<Read>(node.op) || node.inputs[0] != id) return;
      moved = moved || scaling.divides;
      for (std::size_t n = 1; n < node.inputs.size(); ++n) {
        const Type& at = graph_.node(node.inputs[n]).type;
        moved = moved || at.has(kernel.row) || at.has(kernel.column) || at.has(feature);
      }
    });
    return !moved;
  }

  const Graph& graph_;
  std::set<NodeId> stored_;
};

Graph with_kernels(const Graph& graph, std::vector<Kernel> kernels) {
  Graph result = graph;
  result.kernels = std::move(kernels);
  return rewrite(result, [](Builder&, NodeId, const Node&, const std::vector<NodeId>&) {
    return std::optional<NodeId>();
  });
}

}  // namespace

Graph defer_scaling(const Graph& graph, const Target&) {
  const Finder find(graph);
  std::set<NodeId> scales;
  std::vector<Kernel> kernels;
  bool changed = false;
  for (Kernel kernel : graph.kernels) {
    const auto found = find(kernel);
    changed = changed || found;
    kernel.slots.clear();
    if (found) {
      const NodeId scale = found->scale;
      const bool there = find.is_stored(scale) || graph.node(scale).inputs.empty();
      if (there || !scales.insert(scale).second) continue;
      kernel.results = {scale};
    }
    kernels.push_back(std::move(kernel));
  }
  return changed ? with_kernels(graph, std::move(kernels)) : graph;
}

}  // namespace fovea::passes
