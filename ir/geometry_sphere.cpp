// The sphere, and products of spaces (ir/geometry.h).
#include "ir/geometry_models.h"
#include "ir/geometry_value.h"

namespace fovea::ir::geometry {
namespace {

constexpr double kTiny = 1e-37;

struct Scene {
  Value value(std::size_t n) const { return {b, at.values[n]}; }
  Value dot(const Value& x, const Value& y) const { return geometry::dot(at.coordinates, x, y); }
  // Between x and y, by Kahan's formula.
  Value angle(const Value& x, const Value& y) const {
    const Value apart = sum(at.coordinates, square(x - y));
    const Value together = sum(at.coordinates, square(x + y));
    return 2.0 * Value::map(Fn::Atan, {sqrt(apart / max(together, kTiny))});
  }
  Value scaled(const Value& x, const Value& length) const {
    return x * (length / sqrt(max(dot(x, x), kTiny)));
  }

  Builder& b;
  const GeometryArguments& at;
};

}  // namespace

NodeId spherical_project(Builder& b, const GeometryArguments& arguments) {
  const Scene s{b, arguments};
  return s.scaled(s.value(0), s.value(1)).in(b);
}

NodeId spherical_exp_map(Builder& b, const GeometryArguments& arguments) {
  const Scene s{b, arguments};
  const Value x = s.value(0), v = s.value(1);
  const Value a = norm(arguments.coordinates, v) / s.value(2);
  const Value turn = where_zero(a, 1.0, Value::map(Fn::Sin, {a}) / a);
  return (x * Value::map(Fn::Cos, {a}) + v * turn).in(b);
}

// a / sin(a) (y - cos(a) x), with cos(a) - 1 = -2 sin²(a / 2).
NodeId spherical_log_map(Builder& b, const GeometryArguments& arguments) {
  const Scene s{b, arguments};
  const Value x = s.value(0), y = s.value(1), a = s.angle(x, y);
  const Value half = Value::map(Fn::Sin, {a * 0.5}), sine = Value::map(Fn::Sin, {a});
  return (((y - x) + x * (2.0 * half * half)) * where_zero(a, 1.0, a / sine)).in(b);
}

NodeId spherical_transport(Builder& b, const GeometryArguments& arguments) {
  const Scene s{b, arguments};
  const Value x = s.value(0), y = s.value(1), v = s.value(2), r = s.value(3);
  return (v - (x + y) * (s.dot(y, v) / (r * r + s.dot(x, y)))).in(b);
}

NodeId spherical_distance(Builder& b, const GeometryArguments& arguments) {
  const Scene s{b, arguments};
  return (s.angle(s.value(0), s.value(1)) * s.value(2)).in(b);
}

NodeId spherical_midpoint(Builder& b, const GeometryArguments& arguments) {
  const Scene s{b, arguments};
  return s.scaled(sum(arguments.points, s.value(0) * s.value(1)), s.value(2)).in(b);
}

NodeId product(Builder& b, const GeometryArguments& arguments) {
  Value total = square(Value(b, arguments.values[0]));
  for (std::size_t n = 1; n < arguments.values.size(); ++n)
    total = total + square(Value(b, arguments.values[n]));
  return sqrt(total).in(b);
}

}  // namespace fovea::ir::geometry
