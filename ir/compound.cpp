// The functions of axes that are built from several ops.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/build.h"
#include "ir/infer.h"
#include "ir/require.h"

namespace fovea::ir {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

NodeId as_float(Builder& b, NodeId x) {
  return is_float(b[x].type.dtype) ? x : b.cast(Dtype::F32, x);
}

// The maximum, or 0 where everything is excluded, so that subtracting it never makes a NaN.
NodeId finite_max(Builder& b, std::span<const AxisId> axes, NodeId x) {
  const NodeId m = b.fold(ReduceFn::Max, axes, x);
  const NodeId excluded = b.map(Fn::Eq, {m, b.constant(-kInfinity)});
  return b.map(Fn::Where, {excluded, b.constant(0), m});
}

// Of axes, one that is ragged over another is folded before it.
std::vector<AxisId> folding_order(const Builder& b, std::span<const AxisId> axes) {
  std::vector<AxisId> left(axes.begin(), axes.end()), order;
  const auto is_ragged_over = [&](AxisId axis, AxisId other) {
    const NodeId degree = b.axis(axis).degree;
    return degree != kNone && axis != other && b[degree].type.has(other);
  };
  while (!left.empty()) {
    const auto next = std::ranges::find_if(left, [&](AxisId axis) {
      return std::ranges::none_of(left, [&](AxisId other) { return is_ragged_over(other, axis); });
    });
    invariant(next != left.end(), "no axes are ragged over each other");
    order.push_back(*next);
    left.erase(next);
  }
  return order;
}

}  // namespace

NodeId Builder::size(AxisId axis) { return reduce(ReduceFn::Sum, axis, constant(1, Dtype::I32)); }

NodeId Builder::fold(ReduceFn fn, std::span<const AxisId> axes, NodeId x) {
  require(!axes.empty(), Code::invalid_config,
          "a function of axes is given none; expected at least one");
  for (const AxisId axis : folding_order(*this, axes)) x = reduce(fn, axis, x);
  return x;
}

NodeId Builder::sum(std::span<const AxisId> axes, NodeId x) { return fold(ReduceFn::Sum, axes, x); }

NodeId Builder::mean(std::span<const AxisId> axes, NodeId x) {
  const NodeId total = sum(axes, as_float(*this, x));
  const std::vector<AxisId> order = folding_order(*this, axes);
  NodeId count = cast(Dtype::F32, size(order[0]));
  for (const AxisId axis : std::span(order).subspan(1)) {
    // An axis over which an earlier one is ragged has no product of sizes, only a sum.
    count = (*this)[count].type.has(axis) ? reduce(ReduceFn::Sum, axis, count)
                                          : map(Fn::Mul, {count, cast(Dtype::F32, size(axis))});
  }
  return map(Fn::Div, {total, count});
}

NodeId Builder::softmax(std::span<const AxisId> axes, NodeId x) {
  x = as_float(*this, x);
  const NodeId e = map(Fn::Exp, {map(Fn::Sub, {x, finite_max(*this, axes, x)})});
  const NodeId l = sum(axes, e);
  const NodeId empty = map(Fn::Eq, {l, constant(0)});
  return map(Fn::Div, {e, map(Fn::Where, {empty, constant(1), l})});
}

NodeId Builder::logsumexp(std::span<const AxisId> axes, NodeId x) {
  x = as_float(*this, x);
  const NodeId m = finite_max(*this, axes, x);
  const NodeId l = sum(axes, map(Fn::Exp, {map(Fn::Sub, {x, m})}));
  return map(Fn::Add, {m, map(Fn::Log, {l})});
}

}  // namespace fovea::ir
