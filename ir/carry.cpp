#include "ir/carry.h"

#include <algorithm>
#include <set>

#include "ir/query.h"

namespace fovea::ir {
namespace {

void conjuncts(const Graph& graph, NodeId id, std::set<NodeId>& into) {
  into.insert(id);
  if (is_map(graph.node(id), Fn::And))
    for (const NodeId input : graph.node(id).inputs) conjuncts(graph, input, into);
}

std::optional<bool> known(const Graph& graph, const std::set<NodeId>& true_ones, NodeId id) {
  if (true_ones.contains(id)) return true;
  for (const NodeId one : true_ones)
    if (is_map(graph.node(one), Fn::Not) && graph.node(one).inputs[0] == id) return false;
  const Node& node = graph.node(id);
  if (is_map(node, Fn::And) && std::ranges::all_of(node.inputs, [&](NodeId n) {
        return known(graph, true_ones, n) == true;
      }))
    return true;
  return std::nullopt;
}

// How a value changes from one row to the next.
enum class Trend { Same, Up, Down, Any };

Trend reversed(Trend trend) {
  return trend == Trend::Up ? Trend::Down : trend == Trend::Down ? Trend::Up : trend;
}

Trend together(Trend a, Trend b) {
  if (a == Trend::Same) return b;
  if (b == Trend::Same || a == b) return a;
  return Trend::Any;
}

// Of integers and conditions.
class Trends {
 public:
  Trends(const Graph& graph, AxisId row) : graph_(graph), row_(row) {}

  Trend of(NodeId id) const {
    const Node& node = graph_.node(id);
    if (!node.type.has(row_)) return Trend::Same;
    if (is_index(node)) return Trend::Up;
    const auto* map = map_of(node);
    if (!map || (node.type.dtype != Dtype::I32 && node.type.dtype != Dtype::Bool))
      return Trend::Any;
    return of(map->fn, node);
  }

 private:
  Trend of(Fn fn, const Node& node) const {
    const auto input = [&](std::size_t n) { return of(node.inputs[n]); };
    switch (fn) {
      case Fn::Add:
      case Fn::Min:
      case Fn::Max:
      case Fn::And:
      case Fn::Or: return together(input(0), input(1));
      case Fn::Sub:
      case Fn::Gt:
      case Fn::Ge: return together(input(0), reversed(input(1)));
      case Fn::Lt:
      case Fn::Le: return together(reversed(input(0)), input(1));
      case Fn::Neg:
      case Fn::Not: return reversed(input(0));
      case Fn::Mul:
      case Fn::Div: return by_constant(node);
      default: return Trend::Any;
    }
  }

  Trend by_constant(const Node& node) const {
    const bool swaps = is_map(node, Fn::Mul) && is_constant(graph_.node(node.inputs[0]));
    const auto factor = number_of(graph_.node(node.inputs[swaps ? 0 : 1]));
    if (!factor) return Trend::Any;
    const Trend trend = of(node.inputs[swaps ? 1 : 0]);
    return *factor > 0 ? trend : *factor < 0 ? reversed(trend) : Trend::Any;
  }

  const Graph& graph_;
  AxisId row_;
};

// Takes the term of one sum apart.
class Term {
 public:
  Term(const Graph& graph, const Kernel& kernel, const Region& region)
      : graph_(graph), kernel_(kernel), region_(region) {}

  std::optional<CarriedSum> of(const PlaneReduction& reduction) {
    const Node& node = graph_.node(reduction.node);
    const Reduce& reduce = std::get<Reduce>(node.op);
    sum_ = {};
    sum_.reduction = reduction.node;
    result_ = &node.type;
    if (!reduction.over_columns || reduce.fn != ReduceFn::Sum || !is_float(node.type.dtype) ||
        reduction.maximum != kNone || !take(node.inputs[0], false))
      return std::nullopt;
    for (const Factor& factor : sum_.rows)
      if (has_feature(factor.node, node.type)) return std::nullopt;
    return sum_;
  }

 private:
  const Node& node(NodeId id) const { return graph_.node(id); }

  // An axis that a result has, other than the plane's and those walked outside of it.
  bool has_feature(NodeId id, const Type& result) const {
    return std::ranges::any_of(result.axes, [&](AxisId axis) {
      const bool outside = std::ranges::find(region_.batch, axis) != region_.batch.end();
      return axis != kernel_.row && !outside && node(id).type.has(axis);
    });
  }

  bool take(NodeId id, bool inverted) {
    const Type& type = node(id).type;
    if (const auto number = number_of(node(id))) {
      sum_.scale = inverted ? sum_.scale / *number : sum_.scale * *number;
      return *number != 0;
    }
    if (!type.has(kernel_.row) || !type.has(kernel_.column)) {
      (type.has(kernel_.column) ? sum_.columns : sum_.rows).push_back({id, inverted});
      return true;
    }
    return !inverted && take_plane(id);
  }

  bool take_plane(NodeId id) {
    const Node& at = node(id);
    if (region_.leaves[static_cast<std::size_t>(id)]) return false;
    if (at.type.dtype == Dtype::Bool) return when_solid(graph_, kernel_.solid, id) == true;
    if (!is_float(at.type.dtype)) return false;
    if (const auto* reduce = reduce_of(at)) return take_contraction(id, *reduce);
    if (is_map(at, Fn::Mul)) return take(at.inputs[0], false) && take(at.inputs[1], false);
    if (is_map(at, Fn::Div)) return take(at.inputs[0], false) && take(at.inputs[1], true);
    if (is_map(at, Fn::Neg)) {
      sum_.scale = -sum_.scale;
      return take(at.inputs[0], false);
    }
    if (is_map(at, Fn::Cast) && node(at.inputs[0]).type.dtype == Dtype::Bool)
      return take(at.inputs[0], false);
    if (is_map(at, Fn::Where)) {
      const auto holds = when_solid(graph_, kernel_.solid, at.inputs[0]);
      return holds && take(at.inputs[*holds ? 1 : 2], false);
    }
    const bool base_two = is_map(at, Fn::Exp2);
    if (!(base_two || is_map(at, Fn::Exp)) || has_feature(id, *result_) ||
        !is_additive(at.inputs[0]))
      return false;
    sum_.gaps.push_back({at.inputs[0], base_two});
    return true;
  }

  bool take_contraction(NodeId id, const Reduce& reduce) {
    // What else is multiplied may have the axis too: there it is another one.
    if (reduce.fn != ReduceFn::Sum || sum_.inner != kNone || has_feature(id, *result_) ||
        result_->has(reduce.axis) || is_multiple(graph_, id) ||
        graph_.axis(reduce.axis).degree != kNone)
      return false;
    sum_.inner = reduce.axis;
    return take(node(id).inputs[0], false);
  }

  // Whether the value is the sum of a part without columns and one without rows.
  bool is_additive(NodeId id) const {
    const Node& at = node(id);
    const bool has_row = at.type.has(kernel_.row), has_column = at.type.has(kernel_.column);
    if (!has_row || !has_column) return true;
    if (region_.leaves[static_cast<std::size_t>(id)]) return false;
    if (is_map(at, Fn::Add) || is_map(at, Fn::Sub))
      return is_additive(at.inputs[0]) && is_additive(at.inputs[1]);
    if (is_map(at, Fn::Neg)) return is_additive(at.inputs[0]);
    if (is_map(at, Fn::Cast))
      return at.type.dtype == Dtype::F32 && node(at.inputs[0]).type.dtype == Dtype::I32 &&
             is_additive(at.inputs[0]);
    if (!is_map(at, Fn::Mul)) return false;
    for (const int n : {0, 1}) {
      const Type& factor = node(at.inputs[static_cast<std::size_t>(1 - n)]).type;
      if (!factor.has(kernel_.row) && !factor.has(kernel_.column))
        return is_additive(at.inputs[static_cast<std::size_t>(n)]);
    }
    return false;
  }

  const Graph& graph_;
  const Kernel& kernel_;
  const Region& region_;
  CarriedSum sum_;
  const Type* result_ = nullptr;
};

}  // namespace

std::optional<bool> when_solid(const Graph& graph, NodeId solid, NodeId condition) {
  std::set<NodeId> true_ones;
  if (solid != kNone) conjuncts(graph, solid, true_ones);
  return known(graph, true_ones, condition);
}

std::optional<std::vector<CarriedSum>> carried_sums(const Graph& graph, const Kernel& kernel,
                                                    const Region& region) {
  if (kernel.solid == kNone || region.reductions.empty()) return std::nullopt;
  // What is stored on the plane has to be computed block by block.
  for (const NodeId result : kernel.results)
    if (is_on_plane(graph, kernel, result)) return std::nullopt;
  const Trend trend = Trends(graph, kernel.row).of(kernel.solid);
  if (trend != Trend::Up && trend != Trend::Same) return std::nullopt;
  std::vector<CarriedSum> sums;
  for (const PlaneReduction& reduction : region.reductions) {
    auto sum = Term(graph, kernel, region).of(reduction);
    if (!sum) return std::nullopt;
    sums.push_back(std::move(*sum));
  }
  return sums;
}

}  // namespace fovea::ir
