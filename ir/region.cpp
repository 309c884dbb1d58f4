#include "ir/region.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "ir/query.h"
#include "ir/worklist.h"

namespace fovea::ir {
namespace {

bool on_plane(const Node& node, AxisId row, AxisId column) {
  return (row == kNone || node.type.has(row)) && node.type.has(column);
}

void take_apart(const Graph& graph, NodeId id, const Leaves& leaves, bool inverted, Product& into) {
  const Node& node = graph.node(id);
  if (!leaves[id]) {
    if (is_map(node, Fn::Mul) || is_map(node, Fn::Div)) {
      take_apart(graph, node.inputs[0], leaves, inverted, into);
      take_apart(graph, node.inputs[1], leaves, inverted != is_map(node, Fn::Div), into);
      return;
    }
    if (is_map(node, Fn::Neg) && is_float(node.type.dtype)) {
      into.negative = !into.negative;
      take_apart(graph, node.inputs[0], leaves, inverted, into);
      return;
    }
  }
  into.factors.push_back({id, inverted});
}

// The Reduce(Max) behind `node`: itself, or where(m == -inf, 0, m).
NodeId maximum_behind(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (is_map(node, Fn::Where)) {
    const Node& condition = graph.node(node.inputs[0]);
    const NodeId m = node.inputs[2];
    const bool guards = is_map(condition, Fn::Eq) && condition.inputs[0] == m &&
                        is_number(graph.node(condition.inputs[1]), -INFINITY) &&
                        is_number(graph.node(node.inputs[1]), 0);
    return guards ? maximum_behind(graph, m) : kNone;
  }
  return is_reduce(node, ReduceFn::Max) ? id : kNone;
}

// How a term depends on a maximum m: not at all, linearly in exp(-m) or exp2(-m), or otherwise.
enum class Degree { Absent, Linear, LinearBaseTwo, Other };

class Linearity {
 public:
  Linearity(const Graph& graph, NodeId maximum, const Leaves& leaves)
      : graph_(graph), maximum_(maximum), leaves_(leaves), known_(graph.nodes.size()) {}

  Degree of(NodeId id) {
    if (!known_[id]) known_[id] = compute(id);
    return *known_[id];
  }

 private:
  Degree compute(NodeId id) {
    if (id == maximum_) return Degree::Other;
    if (leaves_[id]) return Degree::Absent;
    const Node& node = graph_.node(id);
    if (const auto found = stabilised(graph_, id); found && found->maximum == maximum_)
      return of(found->argument) != Degree::Absent ? Degree::Other
             : found->base_two                     ? Degree::LinearBaseTwo
                                                   : Degree::Linear;
    std::vector<Degree> inputs;
    for (const NodeId input : node.inputs) inputs.push_back(of(input));
    if (std::ranges::all_of(inputs, [](Degree d) { return d == Degree::Absent; }))
      return Degree::Absent;
    if (std::ranges::any_of(inputs, [](Degree d) { return d == Degree::Other; }))
      return Degree::Other;
    const auto has = [&](Degree d) { return std::ranges::find(inputs, d) != inputs.end(); };
    if (has(Degree::Linear) && has(Degree::LinearBaseTwo)) return Degree::Other;
    const auto* map = map_of(node);
    if (!map || !linear(map->fn, inputs, node)) return Degree::Other;
    return has(Degree::Linear) ? Degree::Linear : Degree::LinearBaseTwo;
  }

  bool linear(Fn fn, const std::vector<Degree>& inputs, const Node& node) const {
    const auto is_linear = [&](int n) { return inputs[n] != Degree::Absent; };
    const auto is_zero = [&](int n) { return is_number(graph_.node(node.inputs[n]), 0); };
    switch (fn) {
      case Fn::Mul: return is_linear(0) != is_linear(1);
      case Fn::Div: return is_linear(0) && !is_linear(1);
      case Fn::Neg: return true;
      case Fn::Cast: return node.type.dtype == Dtype::F32;
      case Fn::Add:
      case Fn::Sub: return is_linear(0) && is_linear(1);
      case Fn::Where:
        return !is_linear(0) && (is_linear(1) || is_zero(1)) && (is_linear(2) || is_zero(2));
      default: return false;
    }
  }

  const Graph& graph_;
  NodeId maximum_;
  const Leaves& leaves_;
  std::vector<std::optional<Degree>> known_;
};

void collect(const Graph& graph, NodeId id, AxisId row, AxisId column, const Leaves& leaves,
             std::vector<bool>& seen, std::vector<NodeId>& into) {
  if (seen[id] || leaves[id]) return;
  seen[id] = true;
  for (const NodeId input : graph.node(id).inputs)
    collect(graph, input, row, column, leaves, seen, into);
  if (is_plane_reduction(graph, id, row, column)) into.push_back(id);
}

// The factors of a reduction's term that live on the plane.
std::vector<NodeId> plane_factors(const Graph& graph, NodeId reduction, AxisId row, AxisId column,
                                  const Leaves& leaves) {
  std::vector<NodeId> result;
  for (const Factor& factor : product_of(graph, graph.node(reduction).inputs[0], leaves).factors)
    if (on_plane(graph.node(factor.node), row, column)) result.push_back(factor.node);
  return result;
}

}  // namespace

Product product_of(const Graph& graph, NodeId node, const Leaves& leaves) {
  Product product;
  take_apart(graph, node, leaves, false, product);
  return product;
}

std::optional<Stabilised> stabilised(const Graph& graph, NodeId exponential) {
  const Node& node = graph.node(exponential);
  const bool base_two = is_map(node, Fn::Exp2);
  if (!base_two && !is_map(node, Fn::Exp)) return std::nullopt;
  const Node& difference = graph.node(node.inputs[0]);
  if (!is_map(difference, Fn::Sub)) return std::nullopt;
  const NodeId maximum = maximum_behind(graph, difference.inputs[1]);
  if (maximum == kNone || graph.node(maximum).inputs[0] != difference.inputs[0])
    return std::nullopt;
  return Stabilised{maximum, difference.inputs[0], base_two, maximum != difference.inputs[1]};
}

std::vector<NodeId> unguarded_maxima(const Graph& graph, const std::vector<NodeId>& roots,
                                     const Leaves& leaves) {
  std::vector<NodeId> maxima;
  Worklist todo(graph, roots);
  while (const auto id = todo.next()) {
    if (leaves[*id]) continue;
    if (const auto found = stabilised(graph, *id); found && !found->guarded)
      maxima.push_back(found->maximum);
    todo.add(graph.node(*id).inputs);
  }
  return maxima;
}

std::vector<NodeId> hidden_by(const Graph& graph, NodeId node, const Leaves& leaves) {
  std::vector<NodeId> conditions;
  while (!leaves[node] && is_map(graph.node(node), Fn::Where)) {
    const std::vector<NodeId>& inputs = graph.node(node).inputs;
    if (!is_number(graph.node(inputs[2]), -INFINITY)) break;
    conditions.push_back(inputs[0]);
    node = inputs[1];
  }
  return conditions;
}

const PlaneReduction* Region::find(NodeId node) const {
  const auto at = std::ranges::find(reductions, node, &PlaneReduction::node);
  return at == reductions.end() ? nullptr : &*at;
}

bool is_plane_reduction(const Graph& graph, NodeId id, AxisId row, AxisId column) {
  const Reduce* reduce = reduce_of(graph.node(id));
  return reduce && (reduce->axis == row || reduce->axis == column) &&
         on_plane(graph.node(graph.node(id).inputs[0]), row, column);
}

bool folds_rows(const Graph& graph, const Kernel& kernel, NodeId result) {
  const Reduce* reduce = reduce_of(graph.node(result));
  return kernel.row != kNone && reduce && reduce->axis == kernel.row;
}

std::vector<NodeId> plane_reductions_of(const Graph& graph, NodeId node, AxisId row, AxisId column,
                                        const Leaves& leaves) {
  std::vector<bool> seen(graph.nodes.size());
  std::vector<NodeId> result;
  collect(graph, node, row, column, leaves, seen, result);
  return result;
}

Followed followed_by(const Graph& graph, NodeId reduction, AxisId row, AxisId column,
                     const Leaves& leaves) {
  const Node& node = graph.node(reduction);
  const Reduce* reduce = reduce_of(node);
  // Over rows a maximum is spread over tiles that were walked before: nothing can follow it.
  if (!reduce || reduce->fn != ReduceFn::Sum || reduce->axis != column) return {};
  NodeId found = kNone;
  for (const NodeId needed : plane_reductions_of(graph, node.inputs[0], row, column, leaves)) {
    const Reduce* maximum = reduce_of(graph.node(needed));
    if (maximum->fn != ReduceFn::Max || maximum->axis != reduce->axis || found != kNone) return {};
    found = needed;
  }
  if (found == kNone) return {};
  const Degree degree = Linearity(graph, found, leaves).of(node.inputs[0]);
  if (degree != Degree::Linear && degree != Degree::LinearBaseTwo) return {};
  return {found, degree == Degree::LinearBaseTwo};
}

bool is_on_plane(const Graph& graph, const Kernel& kernel, NodeId node) {
  return kernel.row != kNone && on_plane(graph.node(node), kernel.row, kernel.column);
}

Region make_region(const Graph& graph, AxisId row, AxisId column,
                   const std::vector<NodeId>& reductions, Leaves leaves,
                   const std::vector<NodeId>& plane_results) {
  Region region{row, column, std::move(leaves), {}, {}};
  for (const NodeId node : reductions) {
    const Reduce& reduce = std::get<Reduce>(graph.node(node).op);
    const Followed followed = followed_by(graph, node, row, column, region.leaves);
    region.reductions.push_back({node, reduce.axis == column, followed.maximum, followed.base_two});
  }
  // Batch axes: had by every plane factor of every reduction and by every reduction itself, and by
  // every result on the plane.
  std::optional<std::vector<AxisId>> common;
  const auto restrict_to = [&](const Type& type) {
    std::vector<AxisId> kept;
    for (AxisId a = 0; a < static_cast<AxisId>(graph.axes.size()); a++)
      if (a != row && a != column && type.has(a) &&
          (!common || std::ranges::find(*common, a) != common->end()))
        kept.push_back(a);
    common = kept;
  };
  for (const NodeId node : reductions) {
    restrict_to(graph.node(node).type);
    // What the plane factors lack together (the features of a column operand) is not walked outside.
    Type plane;
    for (const NodeId factor : plane_factors(graph, node, row, column, region.leaves))
      for (const AxisId axis : graph.node(factor).type.axes) plane.axes.push_back(axis);
    restrict_to(plane);
  }
  for (const NodeId node : plane_results) restrict_to(graph.node(node).type);
  // An axis that is folded on the plane (heads mixed with heads) is not walked outside.
  Worklist todo(graph, reductions);
  todo.add(plane_results);
  while (const auto id = todo.next()) {
    if (region.leaves[*id]) continue;
    const Node& node = graph.node(*id);
    if (const Reduce* reduce = reduce_of(node);
        reduce && common && reduce->axis != row && reduce->axis != column)
      std::erase(*common, reduce->axis);
    if (const Read* read = read_of(node); read && common &&
                                          on_plane(graph.node(node.inputs[0]), row, column) &&
                                          !region.leaves[node.inputs[0]])
      for (const Read::Coordinate& at : read->at) std::erase(*common, at.axis);
    todo.add(node.inputs);
  }
  if (common) region.batch = *common;
  return region;
}

Region region_of(const Graph& graph, const Kernel& kernel) {
  Leaves leaves(graph.nodes.size());
  for (std::size_t id = 0; id < graph.nodes.size(); id++) leaves[id] = is_input(graph.nodes[id]);
  for (const Kernel& other : graph.kernels)
    if (&other != &kernel && !(other == kernel))
      for (const NodeId id : other.results) leaves[id] = true;
  for (const NodeId id : kernel.results) leaves[id] = false;
  std::vector<bool> seen(graph.nodes.size());
  std::vector<NodeId> reductions;
  for (const NodeId id : kernel.results)
    collect(graph, id, kernel.row, kernel.column, leaves, seen, reductions);
  std::vector<NodeId> plane;
  for (const NodeId id : kernel.results)
    if (is_on_plane(graph, kernel, id)) plane.push_back(id);
  return make_region(graph, kernel.row, kernel.column, reductions, std::move(leaves), plane);
}

}  // namespace fovea::ir
