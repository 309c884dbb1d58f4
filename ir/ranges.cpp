#include "ir/ranges.h"

#include <algorithm>

namespace fovea::ir {
namespace {

constexpr Range kTruth{0, 1};

Range hull(Range a, Range b) { return {std::min(a.low, b.low), std::max(a.high, b.high)}; }

Range range_of_dtype(Dtype dtype) {
  switch (dtype) {
    case Dtype::Bool: return kTruth;
    case Dtype::U8: return {0, 255};
    case Dtype::I8: return {-128, 127};
    case Dtype::I4: return {-8, 7};
    default: return kAllI32;
  }
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

Reach either(Reach a, Reach b) { return {std::max(a.size, b.size), std::max(a.scale, b.scale)}; }

using ReachOf = std::function<Reach(std::size_t)>;  // of the n-th input

Reach reach_of_map(Fn fn, Reach own, double divisor, const ReachOf& x) {
  switch (fn) {
    case Fn::Add:
    case Fn::Sub: return {x(0).size + x(1).size, std::max(x(0).scale, x(1).scale)};
    case Fn::Mul: return {x(0).size * x(1).size, x(0).scale * x(1).scale};
    case Fn::Div: {
      const double by = std::max(std::abs(divisor), 1.0);
      return {x(0).size / by + 1, x(0).scale * by};
    }
    case Fn::Neg:
    case Fn::Abs: return x(0);
    case Fn::Cast: return either(own, x(0));
    case Fn::Min:
    case Fn::Max: return either(x(0), x(1));
    case Fn::Where: return either(x(1), x(2));
    default: return own;
  }
}

}  // namespace

std::vector<bool> wrapping(const Graph& graph) { return known_ranges(graph).wraps; }

std::vector<Reach> reaches(const Graph& graph) {
  const Known known = known_ranges(graph);
  std::vector<Reach> all;
  for (std::size_t id = 0; id < graph.nodes.size(); ++id) {
    const Node& node = graph.nodes[id];
    const Reach own = is_float(node.type.dtype) ? Reach{} : reach_of_range(known.ranges[id]);
    const auto input = [&](std::size_t n) { return all[static_cast<std::size_t>(node.inputs[n])]; };
    const auto* map = std::get_if<Map>(&node.op);
    Reach reach = own;
    if (map != nullptr && is_integer(node.type.dtype) && !known.wraps[id]) {
      const auto* divisor =
          node.inputs.size() == 2 ? std::get_if<Constant>(&graph.node(node.inputs[1]).op) : nullptr;
      reach = reach_of_map(map->fn, own, divisor != nullptr ? divisor->value : 1, input);
    } else if (std::holds_alternative<Read>(node.op)) {
      for (std::size_t n = 0; n < node.inputs.size(); ++n) reach = either(reach, input(n));
    }
    all.push_back(reach);
  }
  return all;
}

Reach reach_of_index(const Axis& axis) { return {static_cast<double>(longest(axis)), 1}; }

bool may_move(Reach left, Reach right) {
  const double scale = std::max(left.scale, right.scale);
  return (left.size + right.size) * scale < static_cast<double>(kAllI32.high);
}

}  // namespace fovea::ir
