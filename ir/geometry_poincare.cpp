// The Poincaré ball (ir/geometry.h). What depends on both points is written by |x - y|², the one
// sum over coordinates that keeps its digits next to the border.
#include <fmt/format.h>

#include <limits>

#include "ir/geometry_models.h"
#include "ir/geometry_value.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea::ir::geometry {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLeastGap = 0x1p-24;  // of 1 - c |x|², which f32 cannot tell from 0

// What formulas are made of, in the order of the text's arguments.
struct Scene {
  Scene(Builder& b, const GeometryArguments& arguments) : b(b), at(arguments) {}

  Value value(std::size_t n) const { return {b, at.values[n]}; }
  Value dot(const Value& x, const Value& y) const { return geometry::dot(at.coordinates, x, y); }
  Value norm(const Value& x) const { return geometry::norm(at.coordinates, x); }
  // |x - y|²
  Value apart(const Value& x, const Value& y) const { return sum(at.coordinates, square(x - y)); }
  Value gap(const Value& x, const Value& c) const { return max(1.0 - c * dot(x, x), kLeastGap); }
  Value over_points(const Value& x) const { return sum(at.points, x); }

  Builder& b;
  const GeometryArguments& at;
};

Value add(const Scene& s, const Value& x, const Value& y, const Value& c) {
  const Value xy = s.dot(x, y), xx = s.dot(x, x), yy = s.dot(y, y);
  const Value along_x = 1.0 + 2.0 * c * xy + c * yy, along_y = 1.0 - c * xx;
  return (along_x * x + along_y * y) / (1.0 + 2.0 * c * xy + c * c * xx * yy);
}

// tanh(√c |v|) v / (√c |v|)
Value exp_zero(const Scene& s, const Value& v, const Value& c) {
  const Value length = sqrt(c) * s.norm(v);
  return v * where_zero(length, 1.0, Value::map(Fn::Tanh, {length}) / length);
}

// cosh(√c distance) - 1
Value excess(const Scene& s, const Value& x, const Value& y, const Value& c) {
  return s.apart(x, y) * (2.0 * c / s.gap(x, c)) * (1.0 / s.gap(y, c));
}

}  // namespace

NodeId project_to_ball(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const Value x = s.value(0), c = s.value(1), epsilon = s.value(2);
  const Value squared = s.dot(x, x);
  const Value scale = min(1.0, (1.0 - epsilon) / sqrt(c * squared));
  const Value known = Value::map(Fn::Lt, {squared, kInfinity});
  return (x * Value::map(Fn::Where, {known, scale, squared * 0.0})).in(b);
}

NodeId mobius_add(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  return add(s, s.value(0), s.value(1), s.value(2)).in(b);
}

NodeId exp_map(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const Value x = s.value(0), c = s.value(2), v = s.value(1) / s.gap(x, c);
  return add(s, x, exp_zero(s, v, c), c).in(b);
}

NodeId log_map(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const Value x = s.value(0), y = s.value(1), c = s.value(2);
  // √c |-x ⊕ y| = tanh(√c distance / 2), whose inverse has no digits left next to 1.
  const Value u = add(s, -x, y, c), length = sqrt(c) * s.norm(u);
  const Value half = acosh_above_one(excess(s, x, y, c)) * 0.5;
  return (u * (s.gap(x, c) * where_zero(length, 1.0, half / length))).in(b);
}

// (λ_x / λ_y) gyr[y, -x] v, the gyration in closed form (Ungar 2008).
NodeId parallel_transport(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const Value x = s.value(0), y = s.value(1), v = s.value(2), c = s.value(3), z = -x;
  const Value yy = s.dot(y, y), zz = s.dot(z, z), yz = s.dot(y, z);
  const Value yv = c * s.dot(y, v), zv = c * s.dot(z, v);
  const Value along_y = zv + 2.0 * c * yz * zv - c * zz * yv, along_z = -(c * yy * zv + yv);
  const Value divisor = 1.0 + 2.0 * c * yz + c * c * yy * zz;
  const Value turned = v + 2.0 * (along_y * y + along_z * z) / divisor;
  return (turned * (s.gap(y, c) / s.gap(x, c))).in(b);
}

NodeId distance(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const Value c = s.value(2);
  return (acosh_above_one(excess(s, s.value(0), s.value(1), c)) * (1.0 / sqrt(c))).in(b);
}

namespace {

// In Klein's coordinates with λ = 2 / (1 - c |x|²): Σ w λ x / Σ w (λ - 1).
Value midpoint(const Scene& s, const Value& w, const Value& x, const Value& c) {
  const Value lambda = 2.0 / s.gap(x, c);
  const Value weight = s.over_points(w * (lambda - 1.0));
  const Value klein = s.over_points(w * (lambda * x)) / where_zero(weight, 1.0, weight);
  return klein / (1.0 + sqrt(max(1.0 - c * s.dot(klein, klein), 0.0)));
}

// One step from p. With n = √c |-p ⊕ x| = tanh(a) and a half of √c times the distance, the gradient
// is Σ w (a / n) (-p ⊕ x) and the second derivative at most Σ w (a / n) (1 + n²).
Value nearer(const Scene& s, const Value& p, const Value& w, const Value& x, const Value& c) {
  const Value here = s.gap(p, c), there = s.gap(x, c), apart = c * s.apart(p, x);
  const Value divisor = apart + here * there, n = sqrt(apart / divisor);
  const Value a = acosh_above_one(apart * (2.0 / here) * (1.0 / there)) * 0.5;
  const Value weight = w * where_zero(n, 1.0, a / n);
  const Value share = weight / divisor;  // -p ⊕ x = (here x - (here + apart) p) / divisor
  const Value ahead = here * s.over_points(share * x) - p * s.over_points(share * (here + apart));
  const Value bound = s.over_points(weight * (1.0 + n * n));
  return add(s, p, exp_zero(s, ahead / where_zero(bound, 1.0, bound), c), c);
}

}  // namespace

NodeId einstein_midpoint(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  return midpoint(s, s.value(0), s.value(1), s.value(2)).in(b);
}

NodeId frechet_mean(Builder& b, const GeometryArguments& arguments) {
  const Scene s(b, arguments);
  const auto* steps = ir::constant_of(b[arguments.values[3]]);
  require(steps != nullptr && b[arguments.values[3]].type.dtype == Dtype::I32 &&
              steps->value >= 0 && steps->value <= 100,
          Code::invalid_config, "the steps of frechet_mean are {}; expected an integer, 0 to 100",
          steps == nullptr ? "computed" : fmt::format("{}", steps->value));
  const auto count = static_cast<int>(steps->value);
  Value p = midpoint(s, s.value(0), s.value(1), s.value(2));
  for (int n = 0; n < count; ++n) p = nearer(s, p, s.value(0), s.value(1), s.value(2));
  return p.in(b);
}

}  // namespace fovea::ir::geometry
