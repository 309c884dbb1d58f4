#include "passes/simplify.h"

#include <algorithm>
#include <cmath>

#include "ir/interpret.h"
#include "ir/query.h"
#include "ir/ranges.h"
#include "ir/rewrite.h"
#include "passes/extents.h"

namespace fovea::passes {
namespace {

using ir::AxisId;
using ir::Dtype;
using ir::Graph;
using ir::kNone;
using ir::Node;
using ir::NodeId;

bool is_computed(Dtype dtype) {
  return dtype == Dtype::F32 || dtype == Dtype::I32 || dtype == Dtype::Bool;
}

// What the interpreter makes of an element function of constants. NaN has no text and stays an
// expression.
std::optional<NodeId> fold(ir::Builder& into, NodeId id) {
  const Node node = into[id];
  if (!ir::is_map(node) || !is_computed(node.type.dtype)) return {};
  ir::Builder alone;
  std::vector<NodeId> inputs;
  for (const NodeId input : node.inputs) {
    const auto number = number_of(into[input]);
    if (!number) return {};
    inputs.push_back(alone.constant(*number, into[input].type.dtype));
  }
  const NodeId result = alone.node(node.op, inputs, node.type.dtype);
  const Graph graph = alone.finish({{"x", result, {}}});
  const double value = ir::interpret(graph, {}).at("x").data.at(0);
  if (std::isnan(value)) return {};
  return into.constant(value, node.type.dtype);
}

bool contains(const std::vector<AxisId>& all, AxisId axis) {
  return std::ranges::find(all, axis) != all.end();
}

// The axes of each node that must not get lost, because what is stored or ends a ragged axis has
// them from there. Rules may drop others: where(true, a, b) has the axes of a alone.
class KeptAxes {
 public:
  explicit KeptAxes(const Graph& graph) : graph_(graph), kept_(graph.nodes.size()) {
    for (const ir::Output& output : graph.outputs) keep_all(output.node);
    for (const ir::Axis& axis : graph.axes) keep_all(axis.degree);
    for (const ir::Kernel& kernel : graph.kernels) {
      for (const NodeId result : kernel.results) keep_all(result);
      keep_all(kernel.visible);
      keep_all(kernel.solid);
    }
    for (auto id = static_cast<NodeId>(graph.nodes.size()); id-- > 0;) spread(id);
  }

  bool lost(NodeId id, const ir::Type& type) const {
    return std::ranges::any_of(of(id), [&](AxisId axis) { return !type.has(axis); });
  }

 private:
  const std::vector<AxisId>& of(NodeId id) const { return kept_[static_cast<std::size_t>(id)]; }

  void keep(NodeId id, AxisId axis) {
    auto& kept = kept_[static_cast<std::size_t>(id)];
    if (graph_.node(id).type.has(axis) && !contains(kept, axis)) kept.push_back(axis);
  }
  void keep_all(NodeId id) {
    if (id == kNone) return;
    for (const AxisId axis : graph_.node(id).type.axes) keep(id, axis);
  }

  // One input with the axis is enough; best one that cannot lose it.
  NodeId giver(const Node& node, AxisId axis) const {
    NodeId best = kNone;
    for (const NodeId input : node.inputs) {
      if (!graph_.node(input).type.has(axis)) continue;
      const bool safe = contains(of(input), axis) || graph_.node(input).inputs.empty();
      if (best == kNone || safe) best = input;
    }
    return best;
  }

  void spread(NodeId id) {
    const Node& node = graph_.node(id);
    // A value that has lost the axis along which it is read would have no outside any more, and the
    // read would lose the axes of the coordinate.
    if (const auto* read = ir::read_of(node)) {
      for (const auto& at : read->at) keep(node.inputs[0], at.axis);
    }
    if (of(id).empty()) return;
    if (ir::is_map(node)) {
      for (const AxisId axis : of(id)) keep(giver(node, axis), axis);
      return;
    }
    for (const NodeId input : node.inputs) {
      for (const AxisId axis : of(id)) keep(input, axis);
    }
  }

  const Graph& graph_;
  std::vector<std::vector<AxisId>> kept_;
};

Graph apply(const Graph& graph, std::span<const std::span<const Rule>> rules, bool folds) {
  const KeptAxes kept(graph);
  return ir::rewrite(graph,
                     [&](ir::Builder& into, NodeId id, const Node& old,
                         const std::vector<NodeId>& inputs) -> std::optional<NodeId> {
                       if (ir::is_input(old)) return {};
                       Terms terms(into, graph, rules, folds);
                       const NodeId plain = into.node(old.op, inputs, old.type.dtype);
                       const NodeId simple = terms.simplified(plain);
                       return kept.lost(id, into[simple].type) ? plain : simple;
                     });
}

}  // namespace

bool Terms::is(NodeId id, ir::Fn fn) const { return is_map(into_[id], fn); }

bool Terms::is(NodeId id, ir::ReduceFn fn) const { return is_reduce(into_[id], fn); }

std::optional<double> Terms::number(NodeId id) const { return number_of(into_[id]); }

bool Terms::is_number(NodeId id, double value) const { return number(id) == value; }

NodeId Terms::input(NodeId id, int n) const {
  return into_[id].inputs[static_cast<std::size_t>(n)];
}

bool Terms::is_exact(NodeId id) const { return !ir::is_float(dtype(id)); }

bool Terms::may_wrap(NodeId id) const {
  // Deep arithmetic is taken to be anything: asking is to stay cheap.
  constexpr int kDeepest = 4;
  const auto range = [&](auto& self, NodeId node, int depth) -> ir::Range {
    if (depth > kDeepest) return ir::kAllI32;
    const ir::Range found = ir::range_before_wrapping(
        into_[node], graph_.axes, [&](NodeId input) { return self(self, input, depth + 1); });
    return depth == 0 || ir::fits_i32(found) ? found : ir::kAllI32;
  };
  return !ir::fits_i32(range(range, id, 0));
}

std::optional<std::int64_t> Terms::extent(AxisId axis) const { return fixed_extent(graph_, axis); }

NodeId Terms::constant(double value, Dtype dtype) { return into_.constant(value, dtype); }

NodeId Terms::map(ir::Fn fn, std::vector<NodeId> inputs) {
  return simplified(into_.map(fn, std::move(inputs)));
}

NodeId Terms::cast(Dtype to, NodeId x) {
  return dtype(x) == to ? x : simplified(into_.cast(to, x));
}

NodeId Terms::size(AxisId axis) { return simplified(into_.size(axis)); }

NodeId Terms::read(NodeId x, std::vector<ir::Builder::At> at) {
  return simplified(into_.read(x, std::move(at)));
}

NodeId Terms::simplified(NodeId id) {
  if (folds_) {
    if (const auto folded = fold(into_, id)) return *folded;
  }
  for (const std::span<const Rule> part : rules_) {
    for (const Rule& rule : part) {
      if (const auto found = rule.apply(*this, id)) return cast(dtype(id), *found);
    }
  }
  return id;
}

Graph simplify(const Graph& graph, const ir::Target&) {
  const std::span<const Rule> rules[] = {arithmetic_rules(), logic_rules(), structure_rules()};
  // What a rule drops may be all that kept an axis of something else.
  Graph current = graph;
  for (Graph next = apply(current, rules, true); next != current;
       next = apply(current, rules, true))
    current = std::move(next);
  return current;
}

Graph simplify_with(const Graph& graph, const Rule& rule) {
  const std::span<const Rule> rules[] = {{&rule, 1}};
  return apply(graph, rules, false);
}

}  // namespace fovea::passes
