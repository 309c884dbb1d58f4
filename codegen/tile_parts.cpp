// What the runtime has to know of a tile to walk its columns in parts (runtime/parts.h).
#include <Halide.h>

#include <algorithm>

#include "codegen/tiled.h"
#include "ir/query.h"
#include "ir/worklist.h"

namespace fovea::codegen {

using namespace ir;

// How the states of two parts of a tile become one.
std::vector<runtime::Tiled::State> state_rules(const TiledContext& context) {
  using Rule = runtime::Tiled::State;
  std::vector<Rule> rules;
  for (const State& state : context.states) {
    const ReduceFn fn = std::get<Reduce>(context.source.graph.node(state.reduction->node).op).fn;
    Rule rule{state.buffer, Rule::Fold::sum, -1, {}, 1};
    if (fn == ReduceFn::Max) rule.fold = Rule::Fold::max;
    if (fn == ReduceFn::Min) rule.fold = Rule::Fold::min;
    const std::vector<AxisId> axes = context.state_axes(state);
    for (std::size_t n = 0; n < context.states.size(); n++) {
      if (context.states[n].reduction->node != state.reduction->maximum) continue;
      rule.follows = static_cast<int>(n);
      rule.scale = static_cast<float>(
          context.exponent_scale(state.reduction->maximum, state.reduction->base_two));
      for (const AxisId axis : context.state_axes(context.states[n]))
        rule.along.push_back(static_cast<int>(std::ranges::find(axes, axis) - axes.begin()));
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

// Cycles or so of one element of the plane: a vector of multiply-adds each, and a column's operands
// come once to a tile.
double pair_work(const TiledContext& context, const Signature& signature) {
  constexpr double kOpenFeature = 64, kPerCycle = 32, kOfReading = 8;
  const Graph& graph = context.source.graph;
  const auto extent_of = [&](AxisId axis) {
    const std::int64_t fixed = signature.fixed_extent(axis);
    return fixed < 0 ? kOpenFeature : static_cast<double>(fixed);
  };
  const auto copies = [&](const Type& type) {
    double all = 1;
    for (const AxisId axis : context.other_axes(type))
      if (axis != context.kernel.shared) all *= extent_of(axis);
    return all;
  };
  double products = 1;
  Worklist todo(graph, {});
  for (const PlaneReduction& reduction : context.region.reductions) {
    if (const double features = copies(graph.node(reduction.node).type); features > 1)
      products += features;
    todo.add(graph.node(reduction.node).inputs);
  }
  while (const auto id = todo.next()) {
    const Node& node = graph.node(*id);
    if (context.source.leaves[*id]) continue;
    if (const Reduce* reduce = reduce_of(node);
        reduce && node.type.has(context.kernel.row) && node.type.has(context.kernel.column))
      products += extent_of(reduce->axis) * copies(node.type);
    todo.add(node.inputs);
  }
  const double rows = context.tiling.rows * std::max(context.kernel.members, 1);
  return products * (1 + kOfReading / rows) / kPerCycle;
}

}  // namespace fovea::codegen
