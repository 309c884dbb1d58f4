// The hyperboloid (ir/geometry.h).
#include "ir/geometry_models.h"
#include "ir/geometry_value.h"
#include "ir/require.h"

namespace fovea::ir::geometry {
namespace {

struct Scene {
  Scene(Builder& b, const GeometryArguments& arguments) : b(b), at(arguments) {
    require(at.coordinates.size() == 1, Code::invalid_config,
            "a function of the hyperboloid is given {} axes of coordinates; expected one, whose "
            "first is the time",
            at.coordinates.size());
  }

  Value value(std::size_t n) const { return {b, at.values[n]}; }
  // In place of the time, `first`; in place of the others, `rest`.
  Value by_kind(const Value& first, const Value& rest) const {
    const NodeId is_time = b.map(Fn::Eq, {b.index(at.coordinates[0]), b.constant(0, Dtype::I32)});
    return Value::map(Fn::Where, {Value(b, is_time), first, rest});
  }
  Value inner(const Value& x, const Value& y) const {
    return sum(at.coordinates, by_kind(-(x * y), x * y));
  }
  // cosh(√c distance) - 1; rounding may put it below 0.
  Value excess(const Value& x, const Value& y, const Value& c) const {
    return max(inner(x - y, x - y) * (c * 0.5), 0.0);
  }

  Builder& b;
  const GeometryArguments& at;
};

}  // namespace

NodeId lorentz_inner(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  return s.inner(s.value(0), s.value(1)).in(b);
}

NodeId lorentz_project(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const Value x = s.value(0), c = s.value(1);
  const Value space = sum(arguments.coordinates, s.by_kind(0.0, x * x));
  return s.by_kind(sqrt(1.0 / c + space), x).in(b);
}

// cosh(a) x + sinh(a) / a v with a = √c |v|, both by exp(-a) - 1, which keeps a small a.
NodeId lorentz_exp_map(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const Value x = s.value(0), v = s.value(1), c = s.value(2);
  const Value a = sqrt(max(s.inner(v, v) * c, 0.0));
  const Value m = Value::map(Fn::Elu, {-a});
  const Value cosh = 1.0 + m * m / (2.0 * (1.0 + m)), sinh = -(m * (2.0 + m)) / (2.0 * (1.0 + m));
  return (x * cosh + v * where_zero(a, 1.0, sinh / a)).in(b);
}

NodeId lorentz_log_map(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const Value x = s.value(0), y = s.value(1), e = s.excess(x, y, s.value(2));
  const Value sinh = sqrt(e * (e + 2.0));
  return (((y - x) - e * x) * where_zero(sinh, 1.0, acosh_above_one(e) / sinh)).in(b);
}

NodeId lorentz_transport(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const Value x = s.value(0), y = s.value(1), v = s.value(2), c = s.value(3);
  return (v + (x + y) * (c * s.inner(y, v) / (2.0 + s.excess(x, y, c)))).in(b);
}

NodeId lorentz_distance(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const Value c = s.value(2);
  return (acosh_above_one(s.excess(s.value(0), s.value(1), c)) * (1.0 / sqrt(c))).in(b);
}

NodeId lorentz_midpoint(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const Value total = sum(arguments.points, s.value(0) * s.value(1));
  return (total / sqrt(-(s.inner(total, total) * s.value(2)))).in(b);
}

}  // namespace fovea::ir::geometry
