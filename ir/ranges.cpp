#include "ir/ranges.h"

#include <algorithm>
#include <utility>

#include "ir/deciding.h"
#include "ir/query.h"

namespace fovea::ir {
namespace {

Range hull(Range a, Range b) { return {std::min(a.low, b.low), std::max(a.high, b.high)}; }

Range range_of_dtype(Dtype dtype) {
  const runtime::DtypeRow& row = runtime::row(dtype);
  return is_float(dtype) ? kAllI32 : Range{row.min, row.max};
}

std::int64_t longest(const Axis& axis) {
  const bool fixed = axis.extent.size() == 1 && axis.extent[0].kind == ExtentTerm::Kind::Number;
  return fixed ? axis.extent[0].number : kLongestAxis;
}

// Of numbers of 32 bits.
std::int64_t product(std::int64_t a, std::int64_t b) { return a * b; }

template <class F>
Range corners(Range a, Range b, F f) {
  const auto [low, high] =
      std::minmax({f(a.low, b.low), f(a.low, b.high), f(a.high, b.low), f(a.high, b.high)});
  return {low, high};
}

// By nothing everything is 0.
Range quotient(Range a, Range b) {
  if (b.low > 0) return hull(a, {0, 0});
  const std::int64_t most = std::max(-a.low, a.high);
  return {-most, most};
}

Range range_of_map(const Node& node, Fn fn, const RangeOf& range_of) {
  using I = std::int64_t;
  const auto x = [&](std::size_t n) { return range_of(node.inputs[n]); };
  switch (fn) {
    case Fn::Add: return {x(0).low + x(1).low, x(0).high + x(1).high};
    case Fn::Sub: return {x(0).low - x(1).high, x(0).high - x(1).low};
    case Fn::Mul: return corners(x(0), x(1), product);
    case Fn::Div: return quotient(x(0), x(1));
    case Fn::Mod: return {std::min<I>(x(1).low, 0), std::max<I>(x(1).high, 0)};
    case Fn::Neg: return {-x(0).high, -x(0).low};
    case Fn::Abs: return {0, std::max(-x(0).low, x(0).high)};
    case Fn::Min: return {std::min(x(0).low, x(1).low), std::min(x(0).high, x(1).high)};
    case Fn::Max: return {std::max(x(0).low, x(1).low), std::max(x(0).high, x(1).high)};
    case Fn::Where: return hull(x(1), x(2));
    case Fn::Cast: {
      const Range to = range_of_dtype(node.type.dtype);
      return {std::clamp(x(0).low, to.low, to.high), std::clamp(x(0).high, to.low, to.high)};
    }
    default: return range_of_dtype(node.type.dtype);
  }
}

}  // namespace

bool fits_i32(Range range) { return range.low >= kAllI32.low && range.high <= kAllI32.high; }

Range range_before_wrapping(const Node& node, std::span<const Axis> axes, const RangeOf& range_of) {
  const auto axis = [&](AxisId id) { return longest(axes[static_cast<std::size_t>(id)]); };
  const Range any = range_of_dtype(node.type.dtype);
  if (is_float(node.type.dtype)) return any;
  return match(
      node.op, [&](const Input&) { return any; },
      [&](const Constant& op) {
        const auto value = static_cast<std::int64_t>(op.value);
        return Range{value, value};
      },
      [&](const Index& op) {
        return Range{0, std::max<std::int64_t>(axis(op.axis) - 1, 0)};
      },
      [&](const Map& op) {
        return is_integer(node.type.dtype) ? range_of_map(node, op.fn, range_of) : any;
      },
      [&](const Reduce& op) {
        if (op.fn == ReduceFn::ArgMax) return Range{-1, axis(op.axis)};
        if (op.fn != ReduceFn::Sum || !is_integer(node.type.dtype)) return any;
        return corners(range_of(node.inputs[0]), {0, axis(op.axis)}, product);
      },
      [&](const Scan&) { return any; },
      [&](const Read& op) {
        Range all = hull({0, 0}, range_of(node.inputs[0]));
        std::size_t next = 1;
        for (const Read::Coordinate& at : op.at) {
          next += at.otherwise ? 2 : 1;
          if (at.otherwise) all = hull(all, range_of(node.inputs[next - 1]));
        }
        return all;
      },
      [&](const TopK& op) {
        return Range{-1, axis(op.axis)};
      });
}

namespace {

// What a node is before and after it wraps around.
struct Known {
  std::vector<Range> ranges;
  std::vector<bool> wraps;
};

Known known_ranges(const Graph& graph) {
  Known known;
  for (const Node& node : graph.nodes) {
    const Range range = range_before_wrapping(
        node, graph.axes, [&](NodeId id) { return known.ranges[static_cast<std::size_t>(id)]; });
    known.wraps.push_back(!fits_i32(range));
    known.ranges.push_back(known.wraps.back() ? kAllI32 : range);
  }
  return known;
}

Reach reach_of_range(Range range) {
  return {static_cast<double>(std::max(std::abs(range.low), std::abs(range.high))), 1};
}

bool fits_i32(Reach reach) { return reach.size * reach.scale < static_cast<double>(kAllI32.high); }

Reach sum(Reach a, Reach b) { return {a.size + b.size, std::max(a.scale, b.scale)}; }

Reach either(Reach a, Reach b) { return {std::max(a.size, b.size), std::max(a.scale, b.scale)}; }

using ReachOf = std::function<Reach(std::size_t)>;  // of the n-th input

// What a map of integers makes of the terms of its inputs: as they are in its result, and while
// terms are moved from one input to the other, or a divisor's multiples into what it divides.
struct Terms {
  Reach result, moving;
};

Terms terms_of_map(Fn fn, Reach own, double divisor, const ReachOf& x) {
  const auto both = [](Reach reach) { return Terms{reach, reach}; };
  const auto compared = [&](Reach result) { return Terms{result, sum(x(0), x(1))}; };
  const double by = std::max(std::abs(divisor), 1.0);
  const auto divided = [&](Reach result) { return Terms{result, sum(x(0), {by, 1})}; };
  switch (fn) {
    case Fn::Add:
    case Fn::Sub: return both(sum(x(0), x(1)));
    case Fn::Mul: return both({x(0).size * x(1).size, x(0).scale * x(1).scale});
    case Fn::Neg:
    case Fn::Abs: return both(x(0));
    case Fn::Div: return divided({x(0).size / by + 1, x(0).scale * by});
    case Fn::Mod: return divided(own);
    case Fn::Min:
    case Fn::Max: return compared(either(x(0), x(1)));
    case Fn::Where: return {either(x(1), x(2)), {}};
    case Fn::Cast: return {either(own, x(0)), {}};
    default: return is_ordering(fn) ? compared(own) : both(own);
  }
}

class Overflows {
 public:
  explicit Overflows(const Graph& graph) : graph_(graph), known_(known_ranges(graph)) {}

  Overflow operator()() {
    found_.wraps = known_.wraps;
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); ++id) {
      found_.opaque.push_back(0);
      found_.reaches.push_back(own(id));
      const Node& node = graph_.node(id);
      if (const auto* map = map_of(node)) visit(id, node, map->fn);
      if (const auto* reduce = reduce_of(node)) visit(id, node, *reduce);
      if (is_read(node))
        for (const NodeId input : node.inputs) reach(id) = either(reach(id), reach(input));
    }
    return std::move(found_);
  }

 private:
  Reach& reach(NodeId id) { return found_.reaches[static_cast<std::size_t>(id)]; }

  Reach own(NodeId id) const {
    const Node& node = graph_.node(id);
    return is_float(node.type.dtype) ? Reach{}
                                     : reach_of_range(known_.ranges[static_cast<std::size_t>(id)]);
  }

  void visit(NodeId id, const Node& node, Fn fn) {
    const auto is_real = [&](NodeId input) { return is_float(graph_.node(input).type.dtype); };
    if (is_float(node.type.dtype) || found_.wraps[static_cast<std::size_t>(id)]) return;
    if (is_ordering(fn) && std::ranges::any_of(node.inputs, is_real)) return;
    const auto* constant =
        node.inputs.size() == 2 ? constant_of(graph_.node(node.inputs[1])) : nullptr;
    const double divisor = constant != nullptr ? constant->value : 1;
    unsigned& opaque = found_.opaque[static_cast<std::size_t>(id)];
    const auto terms = [&] {
      return terms_of_map(fn, own(id), divisor, [&](std::size_t n) {
        const NodeId input = node.inputs[n];
        return (opaque >> n & 1) != 0 ? own(input) : reach(input);
      });
    };
    // First the operands that are made of terms, then all but constants.
    for (const bool all : {false, true}) {
      if (fits_i32(terms().moving)) break;
      for (std::size_t n = 0; n < node.inputs.size(); ++n)
        if (!is_constant(node.inputs[n]) && (all || has_terms(node.inputs[n]))) opaque |= 1U << n;
    }
    reach(id) = terms().result;
  }

  bool is_constant(NodeId id) const { return ir::is_constant(graph_.node(id)); }
  bool has_terms(NodeId id) {
    return reach(id).scale > own(id).scale || reach(id).size > own(id).size;
  }

  // A sum of the same value again and again is a product.
  void visit(NodeId id, const Node& node, const Reduce& reduce) {
    if (reduce.fn != ReduceFn::Sum || is_float(node.type.dtype)) return;
    const auto extent = static_cast<double>(longest(graph_.axis(reduce.axis)));
    const Reach each = reach(node.inputs[0]);
    if (!fits_i32(Reach{each.size * extent, each.scale}))
      found_.opaque[static_cast<std::size_t>(id)] = 1;
  }

  const Graph& graph_;
  const Known known_;
  Overflow found_;
};

}  // namespace

Overflow overflow(const Graph& graph) { return Overflows(graph)(); }

Reach reach_of_index(const Axis& axis) { return {static_cast<double>(longest(axis)), 1}; }

bool may_move(Reach left, Reach right) { return fits_i32(sum(left, right)); }

}  // namespace fovea::ir
