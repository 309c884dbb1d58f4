#include "passes/followed_products.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "ir/contraction.h"
#include "ir/query.h"
#include "ir/worklist.h"
#include "passes/extents.h"

namespace fovea::passes {
namespace {

using namespace ir;

constexpr std::int64_t kNarrow = 16;  // fewer do not fill a vector

class Search {
 public:
  Search(const Graph& graph, const std::function<bool(NodeId)>& plain)
      : graph_(graph), plain_(plain), none_(graph.nodes.size()), users_(graph.nodes.size()) {
    for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); id++)
      for (const NodeId input : graph.node(id).inputs) users_[input].insert(id);
    for (const Output& output : graph.outputs) outputs_.insert(output.node);
    for (const Axis& axis : graph.axes)
      if (axis.degree != kNone) outputs_.insert(axis.degree);
  }

  std::optional<NodeId> before(const Output& output) const {
    const AxisId last = output.layout.empty() ? kNone : output.layout.back();
    if (last == kNone || !is_map(output.node) || !users_[output.node].empty()) return {};
    if (fixed_extent(graph_, last).value_or(kNarrow) < kNarrow) return {};
    std::set<NodeId> maps;  // from the output down to what is not of its points
    std::vector<NodeId> products;
    Worklist todo(graph_, {output.node});
    while (const auto id = todo.next()) {
      if (is_product(*id, output.node, last)) products.push_back(*id);
      if (!is_map(*id)) continue;
      maps.insert(*id);
      todo.add(graph_.node(*id).inputs);
    }
    if (products.size() != 1 || !only_for(products[0], output.node, maps)) return {};
    return products[0];
  }

 private:
  bool is_map(NodeId id) const { return ir::is_map(graph_.node(id)); }

  // Whether it has a tile in registers that lies as the result does: some factor varies along the
  // last axis and what is summed, and another does not and has an axis of its own.
  bool is_product(NodeId id, NodeId result, AxisId last) const {
    const auto sum = sum_of(graph_, id, none_);
    if (!sum || !plain_(id) || !is_matrix_product(graph_, id, none_) ||
        graph_.node(id).type.axes != graph_.node(result).type.axes)
      return false;
    std::set<AxisId> with, without;
    for (const Factor& factor : product_of(graph_, sum->term, none_).factors) {
      if (!lies_along(factor.node, last)) return false;
      const Type& type = graph_.node(factor.node).type;
      (type.has(last) ? with : without).insert(type.axes.begin(), type.axes.end());
    }
    const auto own = [&](AxisId axis) { return without.contains(axis) && !with.contains(axis); };
    return std::ranges::any_of(sum->axes, [&](AxisId axis) { return with.contains(axis); }) &&
           std::ranges::any_of(graph_.node(id).type.axes, own);
  }

  // Whether all inputs below that vary along the axis have it fastest. Sums that are stored do as
  // their kernels see fit.
  bool lies_along(NodeId id, AxisId axis) const {
    const Node& node = graph_.node(id);
    if (!node.type.has(axis)) return true;
    if (is_input(node)) return node.type.axes.back() == axis;
    if (is_read(node)) return lies_along(node.inputs[0], axis);
    return !is_map(id) ||
           std::ranges::all_of(node.inputs, [&](NodeId input) { return lies_along(input, axis); });
  }

  // Whether every way from the product leads to the result, through these maps.
  bool only_for(NodeId product, NodeId result, const std::set<NodeId>& maps) const {
    Worklist todo(graph_, {product});
    while (const auto id = todo.next()) {
      if (*id == result) continue;
      if (outputs_.contains(*id) || (*id != product && !maps.contains(*id))) return false;
      todo.add(users_[*id]);
    }
    return true;
  }

  const Graph& graph_;
  const std::function<bool(NodeId)>& plain_;
  Leaves none_;
  std::vector<std::set<NodeId>> users_;
  std::set<NodeId> outputs_;
};

}  // namespace

std::set<NodeId> followed_products(const Graph& graph, const std::function<bool(NodeId)>& plain) {
  const Search search(graph, plain);
  std::set<NodeId> found;
  for (const Output& output : graph.outputs)
    if (const auto product = search.before(output)) found.insert(*product);
  return found;
}

}  // namespace fovea::passes
