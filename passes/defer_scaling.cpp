#include "passes/defer_scaling.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "ir/query.h"
#include "ir/rewrite.h"
#include "passes/keep_zeros.h"
#include "passes/products.h"
#include "passes/stored.h"

namespace fovea::passes {
namespace {

using namespace ir;

// n = leaf * scale or leaf / scale. The leaf, which is stored or read from what is, has all axes,
// and it alone has its fastest.
struct Scaling {
  NodeId leaf = kNone, scale = kNone;
  AxisId fastest = kNone;
  bool divides = false;
};

class Finder {
 public:
  explicit Finder(const Graph& graph) : graph_(graph), stored_(all_results(graph)) {
    for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id)
      if (is_input(graph.node(id))) stored_.insert(id);
  }

  // What a kernel stores, if it is a scaling that every kernel that needs it can compute itself.
  std::optional<Scaling> operator()(const Kernel& kernel) const {
    if (kernel.row != kNone || kernel.column != kNone || kernel.results.size() != 1) return {};
    const NodeId id = kernel.results[0];
    if (is_wanted(id)) return {};
    const auto found = scaling(id);
    if (!found) return {};
    const auto takes = [&](const Kernel& other) {
      const Needs needs = needs_of(graph_, other, stored_);
      return !needs.read.contains(id) || can_scale(other, needs, id, *found);
    };
    return std::ranges::all_of(graph_.kernels, takes) ? found : std::nullopt;
  }

  bool is_stored(NodeId id) const { return stored_.contains(id); }

 private:
  bool is_wanted(NodeId id) const {
    return std::ranges::any_of(graph_.outputs, [&](const Output& o) { return o.node == id; }) ||
           std::ranges::any_of(graph_.axes, [&](const Axis& a) { return a.degree == id; });
  }

  // Nothing for what is neither stored nor a read of it at other coordinates of slower axes.
  std::optional<AxisId> fastest(NodeId leaf) const {
    const Node& node = graph_.node(leaf);
    if (stored_.contains(leaf) && !node.type.axes.empty()) return node.type.axes.back();
    if (!is_read(node) || node.inputs.size() != 2) return {};
    const auto found = stored_.contains(node.inputs[0]) ? fastest(node.inputs[0]) : std::nullopt;
    const bool moves =
        found && (graph_.node(node.inputs[1]).type.has(*found) || !node.type.has(*found));
    return moves ? std::nullopt : found;
  }

  std::optional<Scaling> scaling(NodeId id) const {
    const Node& node = graph_.node(without_zeros(graph_, id).value_or(id));
    const bool divides = is_map(node, Fn::Div);
    if (node.type.dtype != Dtype::F32 || !(divides || is_map(node, Fn::Mul))) return {};
    for (const std::size_t n : {0, 1}) {
      const NodeId leaf = node.inputs[n], scale = node.inputs[1 - n];
      const Type &all = graph_.node(leaf).type, &some = graph_.node(scale).type;
      const std::optional<AxisId> feature = fastest(leaf);
      if ((divides && n == 1) || !feature || !is_float(all.dtype) || some.dtype != Dtype::F32 ||
          all.axes.size() != node.type.axes.size())
        continue;
      if (!some.has(*feature)) return Scaling{leaf, scale, *feature, divides};
    }
    return {};
  }

  // Whether a kernel has what is scaled as a column operand, and in every place of use may scale
  // it.
  bool can_scale(const Kernel& kernel, const Needs& needs, NodeId id,
                 const Scaling& scaling) const {
    const Type& type = graph_.node(id).type;
    if (kernel.lanes != Lanes::Columns || kernel.row == kNone || scaling.fastest == kernel.column ||
        !type.has(kernel.column) || type.has(kernel.row))
      return false;
    const auto moves = [&](NodeId coordinate) {
      const Type& along = graph_.node(coordinate).type;
      return along.has(kernel.row) || along.has(kernel.column) || along.has(scaling.fastest);
    };
    const auto allows = [&](NodeId user) {
      const Node& node = graph_.node(user);
      // The inverse of a divisor is rounded: as a factor that is harmless, but of equals divided by
      // equals the difference is 0.
      if (scaling.divides) return is_map(node, Fn::Mul);
      return !is_read(node) || std::none_of(node.inputs.begin() + 1, node.inputs.end(), moves);
    };
    const Node& leaf = graph_.node(scaling.leaf);
    if (!stored_.contains(scaling.leaf) && moves(leaf.inputs[1])) return false;
    const std::vector<NodeId> users = users_of(id, needs);
    return std::ranges::all_of(users, allows) && (kernel.row_tile == 1 || terms_of(id, needs) <= 1);
  }

  std::vector<NodeId> users_of(NodeId id, const Needs& needs) const {
    std::vector<NodeId> users;
    std::ranges::copy_if(needs.computed, std::back_inserter(users), [&](NodeId at) {
      const std::vector<NodeId>& inputs = graph_.node(at).inputs;
      return std::ranges::find(inputs, id) != inputs.end();
    });
    return users;
  }

  // In how many terms every row multiplies it out anew. As a factor of a product it need not be;
  // in one term four rows do so in less time than storing takes.
  int terms_of(NodeId id, const Needs& needs) const {
    int terms = 0;
    for (const NodeId user : users_of(id, needs)) {
      const Node& node = graph_.node(user);
      const bool reads = is_read(node);
      terms += reads ? terms_of(user, needs) : !is_map(node, Fn::Mul);
    }
    return terms;
  }

  const Graph& graph_;
  std::set<NodeId> stored_;
};

}  // namespace

Graph defer_scaling(const Graph& graph, const Target&) {
  const Finder find(graph);
  std::set<NodeId> scales, guarded;
  std::vector<Kernel> kernels;
  bool changed = false;
  for (Kernel kernel : graph.kernels) {
    const auto found = find(kernel);
    changed = changed || found;
    kernel.slots.clear();
    if (found) {
      if (without_zeros(graph, kernel.results[0])) guarded.insert(kernel.results[0]);
      const NodeId scale = found->scale;
      const bool there = find.is_stored(scale) || graph.node(scale).inputs.empty();
      if (there || !scales.insert(scale).second) continue;
      kernel.results = {scale};
    }
    kernels.push_back(std::move(kernel));
  }
  if (!changed) return graph;
  auto ordered = in_order(graph, std::move(kernels));
  if (!ordered) return graph;
  // A kernel that has both factors needs no test for zeros.
  Graph result = graph;
  result.kernels = std::move(*ordered);
  return rewrite(result, [&](Builder&, NodeId id, const Node&, const std::vector<NodeId>& inputs) {
    return guarded.contains(id) ? std::optional(inputs[2]) : std::nullopt;
  });
}

}  // namespace fovea::passes
