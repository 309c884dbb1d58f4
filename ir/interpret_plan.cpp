#include "ir/interpret_plan.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <set>

#include "ir/infer.h"
#include "ir/query.h"

namespace fovea::ir {
namespace {

// A stored value of a slice stays in the second-level cache; one that cannot stays within this
// memory.
constexpr std::int64_t kSliceElements = std::int64_t{1} << 17;
constexpr std::int64_t kStoredElements = std::int64_t{1} << 22;

using AxisSet = std::vector<AxisId>;

void add(AxisSet& axes, const AxisSet& more) {
  AxisSet sorted = more, both;
  std::ranges::sort(sorted);
  std::ranges::set_union(axes, sorted, std::back_inserter(both));
  axes = std::move(both);
}

// Which inputs of a node are terms of a sum if the node is one itself, or is the sum.
std::array<bool, 3> passes_terms(const Node& node, bool term) {
  constexpr std::array<bool, 3> kNo{false, false, false};
  const auto map = [&](const Map& op) -> std::array<bool, 3> {
    if (!term) return kNo;
    switch (op.fn) {
      case Fn::Mul:
      case Fn::Add:
      case Fn::Sub: return {true, true, false};
      case Fn::Neg:
      case Fn::Div: return {true, false, false};
      case Fn::Where: return {false, true, true};
      case Fn::Cast: return {is_float(node.type.dtype), false, false};
      default: return kNo;
    }
  };
  return match(
      node.op, [&](const Input&) { return kNo; }, [&](const Constant&) { return kNo; },
      [&](const Index&) { return kNo; }, map,
      [&](const Reduce& op) {
        return std::array<bool, 3>{op.fn == ReduceFn::Sum, false, false};
      },
      [&](const Scan&) {
        return std::array<bool, 3>{true, false, false};
      },
      [&](const Read&) {
        return std::array<bool, 3>{term, false, false};
      },
      [&](const TopK&) { return kNo; });
}

// Whether being a term can make a difference to each node.
std::vector<bool> find_terms(const Graph& graph) {
  std::vector<bool> matters;
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id) {
    const Node& node = graph.node(id);
    const Map* map = map_of(node);
    bool any = map != nullptr && (map->fn == Fn::Mul || map->fn == Fn::Div) &&
               node.type.dtype == Dtype::F32;
    const bool hands_on = map != nullptr || is_read(node);
    const std::array<bool, 3> passes = passes_terms(node, hands_on);
    for (std::size_t n = 0; hands_on && n < std::min(node.inputs.size(), passes.size()); ++n) {
      any = any || (passes[n] && matters[static_cast<std::size_t>(node.inputs[n])]);
    }
    matters.push_back(any);
  }
  return matters;
}

class Planner {
 public:
  Planner(const Graph& graph, const std::vector<std::int64_t>& extents)
      : graph_(graph), extents_(extents), terms_(find_terms(graph)) {}

  Plan make() {
    make_values();
    choose_stored();
    choose_chunks();
    unstore_large();
    for (Value& value : plan_.values) value.keys = keys(value);
    list_insides();
    return std::move(plan_);
  }

 private:
  std::size_t slot(NodeId id, bool term) const {
    return static_cast<std::size_t>(id) * 2 +
           (term && terms_[static_cast<std::size_t>(id)] ? 1 : 0);
  }

  void make_values() {
    std::vector<bool> needed(graph_.nodes.size() * 2, false);
    const auto need = [&](NodeId id, bool term) { needed[slot(id, term)] = true; };
    for (const Output& output : graph_.outputs) need(output.node, false);
    for (const Axis& axis : graph_.axes) {
      if (axis.degree != kNone) need(axis.degree, false);
    }
    for (std::size_t s = needed.size(); s-- > 0;) {
      if (!needed[s]) continue;
      const Node& node = graph_.nodes[s / 2];
      const std::array<bool, 3> passes = passes_terms(node, s % 2 == 1);
      for (std::size_t n = 0; n < node.inputs.size(); ++n) {
        need(node.inputs[n], n < passes.size() && passes[n]);
      }
    }
    std::vector<int> value_of(needed.size(), -1);
    for (std::size_t s = 0; s < needed.size(); ++s) {
      if (!needed[s]) continue;
      value_of[s] = static_cast<int>(plan_.values.size());
      plan_.values.push_back(value(static_cast<NodeId>(s / 2), s % 2 == 1, value_of));
    }
    for (const Output& output : graph_.outputs) {
      plan_.outputs.push_back(value_of[slot(output.node, false)]);
    }
    for (const Axis& axis : graph_.axes) {
      plan_.degrees.push_back(axis.degree == kNone ? -1 : value_of[slot(axis.degree, false)]);
    }
  }

  Value value(NodeId id, bool term, const std::vector<int>& value_of) const {
    const Node& node = graph_.node(id);
    Value made;
    made.node = id;
    made.term = term;
    add(made.axes, node.type.axes);
    made.domain = made.axes;
    const std::array<bool, 3> passes = passes_terms(node, term);
    for (std::size_t n = 0; n < node.inputs.size(); ++n) {
      const NodeId input = node.inputs[n];
      made.inputs.push_back(value_of[slot(input, n < passes.size() && passes[n])]);
      if (!is_read(node)) add(made.domain, graph_.node(input).type.axes);
    }
    if (const auto* reduce = reduce_of(node)) add(made.domain, {reduce->axis});
    return made;
  }

  // What is folded, or is a map of what is computed at the same points, need not be stored.
  bool takes_on_the_way(const Value& user) const {
    const Node& node = graph_.node(user.node);
    return is_map(node) || is_reduce(node) || is_scan(node);
  }

  bool is_pinned(int v) const {
    return std::ranges::count(plan_.outputs, v) != 0 || std::ranges::count(plan_.degrees, v) != 0;
  }

  void choose_stored() {
    // Of each value, where it would be used on the way; a second user or one that reads it anywhere
    // makes it be stored.
    std::vector<std::set<int>> users(plan_.values.size());
    std::vector<bool> whole(plan_.values.size(), false);
    for (int v = static_cast<int>(plan_.values.size()) - 1; v >= 0; --v) {
      Value& value = at(v);
      const std::set<int>& own = users[static_cast<std::size_t>(v)];
      value.stored = !is_map(graph_.node(value.node)) || is_pinned(v) ||
                     whole[static_cast<std::size_t>(v)] || own.size() != 1 ||
                     at(*own.begin()).domain != value.axes;
      for (const int input : value.inputs) {
        if (!takes_on_the_way(value)) whole[static_cast<std::size_t>(input)] = true;
        users[static_cast<std::size_t>(input)].insert(value.stored ? v : *own.begin());
      }
    }
    whole_ = std::move(whole);
  }

  bool is_ragged(AxisId axis) const { return graph_.axis(axis).degree != kNone; }

  // Axes along which every op is pointwise.
  std::vector<bool> find_walkable() const {
    std::vector<bool> walkable(graph_.axes.size(), true);
    for (const Node& node : graph_.nodes) {
      for (const AxisId axis : bounded_axes(node.op))
        walkable[static_cast<std::size_t>(axis)] = false;
    }
    for (AxisId axis = 0; axis < static_cast<AxisId>(graph_.axes.size()); ++axis) {
      if (is_ragged(axis)) walkable[static_cast<std::size_t>(axis)] = false;
    }
    return walkable;
  }

  std::int64_t size(const Value& value) const {
    std::int64_t elements = 1;
    for (const AxisId axis : value.axes) {
      const std::int64_t chunk = is_ragged(axis) ? 16 : std::max<std::int64_t>(chunk_of(axis), 1);
      if (__builtin_mul_overflow(elements, chunk, &elements))
        return std::numeric_limits<std::int64_t>::max();
    }
    return elements;
  }

  std::int64_t largest_stored_along(AxisId axis) const {
    std::int64_t largest = 0;
    for (const Value& value : plan_.values) {
      const bool has = std::ranges::binary_search(value.axes, axis);
      if (has && value.stored && !is_input(graph_.node(value.node))) {
        largest = std::max(largest, size(value));
      }
    }
    return largest;
  }

  void choose_chunks() {
    plan_.chunks = extents_;
    const std::vector<bool> walkable = find_walkable();
    for (const int degree : plan_.degrees) {
      // One row at a time is as long as its own degree; many would be as long as the longest.
      if (degree < 0) continue;
      for (const AxisId axis : at(degree).axes) {
        if (walkable[static_cast<std::size_t>(axis)]) chunk_of(axis) = 1;
      }
    }
    for (AxisId axis = 0; axis < static_cast<AxisId>(graph_.axes.size()); ++axis) {
      if (!walkable[static_cast<std::size_t>(axis)]) continue;
      std::int64_t& chunk = chunk_of(axis);
      if (chunk == 0) continue;  // nothing to walk
      const std::int64_t largest = largest_stored_along(axis);
      if (largest > kSliceElements) {
        const std::int64_t one = std::max<std::int64_t>(largest / chunk, 1);
        chunk = std::max<std::int64_t>(kSliceElements / one, 1);
      }
      if (chunk < extents_[static_cast<std::size_t>(axis)]) plan_.walked.push_back(axis);
    }
  }

  void unstore_large() {
    for (int v = 0; v < static_cast<int>(plan_.values.size()); ++v) {
      Value& value = at(v);
      if (!is_map(graph_.node(value.node)) || is_pinned(v)) continue;
      if (!whole_[static_cast<std::size_t>(v)] && size(value) > kStoredElements) {
        value.stored = false;
      }
    }
  }

  // Along a ragged axis a value is as long as the degree is in this slice.
  AxisSet keys(const Value& value) const {
    AxisSet all = value.axes;
    for (std::size_t n = 0; n < all.size(); ++n) {
      const NodeId degree = graph_.axis(all[n]).degree;
      if (degree == kNone) continue;
      for (const AxisId more : graph_.node(degree).type.axes) {
        if (std::ranges::find(all, more) == all.end()) all.push_back(more);
      }
    }
    AxisSet walked;
    for (const AxisId axis : plan_.walked) {
      if (std::ranges::find(all, axis) != all.end()) walked.push_back(axis);
    }
    return walked;
  }

  void list_insides() {
    for (Value& value : plan_.values) {
      if (!value.stored) continue;
      std::set<int> inside, operands;
      std::vector<int> open = value.inputs;
      while (!open.empty()) {
        const int v = open.back();
        open.pop_back();
        if (at(v).stored) {
          operands.insert(v);
        } else if (inside.insert(v).second) {
          open.insert(open.end(), at(v).inputs.begin(), at(v).inputs.end());
        }
      }
      value.on_the_way.assign(inside.begin(), inside.end());
      value.operands.assign(operands.begin(), operands.end());
    }
  }

  Value& at(int v) { return plan_.values[static_cast<std::size_t>(v)]; }
  const Value& at(int v) const { return plan_.values[static_cast<std::size_t>(v)]; }
  std::int64_t& chunk_of(AxisId axis) { return plan_.chunks[static_cast<std::size_t>(axis)]; }
  std::int64_t chunk_of(AxisId axis) const { return plan_.chunks[static_cast<std::size_t>(axis)]; }

  const Graph& graph_;
  const std::vector<std::int64_t>& extents_;
  const std::vector<bool> terms_;
  std::vector<bool> whole_;
  Plan plan_;
};

}  // namespace

Plan make_plan(const Graph& graph, const std::vector<std::int64_t>& extents) {
  return Planner(graph, extents).make();
}

}  // namespace fovea::ir
