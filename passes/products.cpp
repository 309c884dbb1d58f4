#include "passes/products.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <string>

#include "ir/query.h"
#include "ir/rewrite.h"
#include "passes/extents.h"

namespace fovea::passes {
namespace {

using ir::AxisId;
using ir::Builder;
using ir::Fn;
using ir::Node;
using ir::NodeId;

bool is_nonzero_number(const Node& node) {
  const auto c = number_of(node);
  return c && *c != 0 && std::isfinite(*c);
}

NodeId unless_zero(Builder& into, NodeId y, NodeId scaled) {
  const NodeId zero = into.constant(0);
  return into.map(Fn::Where, {into.map(Fn::Eq, {y, zero}), zero, scaled});
}

std::vector<AxisId> joint_axes(const Builder& b, NodeId x, NodeId y) {
  std::vector<AxisId> a = b[x].type.axes, c = b[y].type.axes, both;
  std::ranges::sort(a);
  std::ranges::sort(c);
  std::ranges::set_union(a, c, std::back_inserter(both));
  return both;
}

bool is_taken(const ir::Graph& graph, const std::string& name) {
  return ir::find_axis(graph, name) != ir::kNone ||
         std::ranges::find(graph.nodes, name, &ir::Node::name) != graph.nodes.end() ||
         std::ranges::find(graph.outputs, name, &ir::Output::name) != graph.outputs.end();
}

}  // namespace

bool is_never_zero(const Builder& b, NodeId id) {
  const Node& node = b[id];
  if (is_nonzero_number(node)) return true;
  if (is_map(node, Fn::Max)) {
    return std::ranges::any_of(node.inputs, [&](NodeId in) { return number_of(b[in]) > 0.0; });
  }
  if (!is_map(node, Fn::Where)) return false;
  const Node& condition = b[node.inputs[0]];
  const NodeId instead = node.inputs[1], l = node.inputs[2];
  if (!is_map(condition, Fn::Eq) || !is_nonzero_number(b[instead])) return false;
  const NodeId x = condition.inputs[0], y = condition.inputs[1];
  return (x == l && is_number(b[y], 0)) || (y == l && is_number(b[x], 0));
}

NodeId times_outside(Builder& into, NodeId y, NodeId c) {
  const NodeId scaled = into.map(Fn::Mul, {y, c});
  return is_nonzero_number(into[c]) ? scaled : unless_zero(into, y, scaled);
}

NodeId divide_outside(Builder& into, NodeId y, NodeId l) {
  const NodeId scaled = into.map(Fn::Div, {y, l});
  return is_never_zero(into, l) ? scaled : unless_zero(into, y, scaled);
}

NodeId multiply(Builder& into, const ir::Graph& extents, std::vector<NodeId> factors) {
  if (factors.empty()) return into.constant(1);
  // Axes that the builder has beyond the graph's are copies of some of these, made by a rename.
  const auto cost = [&](NodeId x, NodeId y) {
    std::vector<AxisId> axes = joint_axes(into, x, y);
    const auto known = static_cast<AxisId>(extents.axes.size());
    std::erase_if(axes, [&](AxisId axis) { return axis >= known; });
    return points(extents, axes);
  };
  while (factors.size() > 1) {
    std::size_t first = 0, second = 1;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t m = 0; m < factors.size(); ++m) {
      for (std::size_t n = m + 1; n < factors.size(); ++n) {
        const double points = cost(factors[m], factors[n]);
        if (points < least) least = points, first = m, second = n;
      }
    }
    factors[first] = into.map(Fn::Mul, {factors[first], factors[second]});
    factors.erase(factors.begin() + static_cast<std::ptrdiff_t>(second));
  }
  return factors[0];
}

AxisId copy_axis(Builder& into, const ir::Graph& graph, AxisId axis) {
  const ir::Axis& old = graph.axis(axis);
  int n = 2;
  while (is_taken(graph, fmt::format("{}_{}", old.name, n))) ++n;
  ir::Extent extent = old.extent;
  if (extent.empty()) extent = {{ir::ExtentTerm::Kind::Axis, 0, axis}};
  return into.axis(fmt::format("{}_{}", old.name, n), extent);
}

ir::Graph replace(const ir::Graph& graph, NodeId site, const Build& build) {
  std::vector<NodeId> to;
  return ir::rewrite(graph,
                     [&](Builder& into, NodeId id, const Node& old,
                         const std::vector<NodeId>& inputs) -> std::optional<NodeId> {
                       to.push_back(id == site ? build(into, to) : into.copy(old, inputs));
                       return to.back();
                     });
}

}  // namespace fovea::passes
