// Attention by distance in the Poincaré ball of curvature -c, values brought together in the ball.
//
//   p = softmax(-d(q, k) / T),  d(x, y) = 1/√c arcosh(1 + 2c|x - y|² / ((1 - c|x|²)(1 - c|y|²)))
//   o = Einstein midpoint of v with weights p, or their Fréchet mean
//
// Queries, keys and values beyond (1 - ε)/√c are pulled in to there. All is computed in the unit
// ball: distances scale by √c.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ir/geometry.h"
#include "ir/require.h"
#include "ops/curved.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(
    kCurvature, kTemperature, kEpsilon,
    Option{"frechet", 0, "steps towards the Fréchet mean, about 20; 0: the Einstein midpoint"},
    Option{"tolerance", 1e-5,
           "largest relative error of weights and means, which decides the form"});

// 1 - |x|² on the border.
double least_gap(double epsilon) { return 1 - (1 - epsilon) * (1 - epsilon); }

// cosh(distance) - 1 by norms and products, |q|² + |k|² - 2 q·k, is off by what rounding leaves of
// |q|² + |k|² over the least product of both 1 - |x|²; a distance then by √2 times the root of it.
double error_of_norms(double epsilon) {
  const double radius = 1 - epsilon, gap = least_gap(epsilon);
  return std::sqrt(2 * (2 * 4 * radius * radius * 0x1p-23) / (gap * gap));
}

// A mean of points on the border, on the hyperboloid, is (2 - gap) / gap lengths away in time, and
// its length is off by the square of that times the rounding of sums; in the ball by one of them
// less.
double error_of_length(double epsilon) {
  const double gap = least_gap(epsilon);
  return (2 - gap) / gap * 0x1p-22;
}

struct Form {
  double error;      // of a weight, relative, if distances come from norms and products
  double of_length;  // of a mean, if its length is a difference of sums
  double tolerance;
  bool norms() const { return error <= tolerance; }
  bool walks_again() const { return of_length > tolerance; }
};

Form form_of(const Problem& problem) {
  const double scale = 1 / (problem.positive("temperature") * std::sqrt(problem.positive("c")));
  const double epsilon = epsilon_of(problem);
  return {error_of_norms(epsilon) * scale, error_of_length(epsilon), problem.positive("tolerance")};
}

std::string decision(const Problem& problem) {
  const Form form = form_of(problem);
  return fmt::format(
      "distances from {}: norms and products may put a weight off by {:.2g}, {} the tolerance "
      "{:g}; "
      "means near the border {}: once may put one off by {:.2g}",
      form.norms() ? "norms and products" : "differences", form.error,
      form.norms() ? "within" : "beyond", form.tolerance,
      form.walks_again() ? "walked for twice" : "walked for once", form.of_length);
}

// cosh(distance) - 1 in the unit ball.
Tensor excess_of(const Heads& x, const UnitBall& q, const UnitBall& k, bool norms) {
  const Tensor stretch_q = (2.0 / q.gap).named("q_stretch");
  const Tensor stretch_k = (1.0 / k.gap).named("k_stretch");
  if (norms) {
    const Tensor product = x.dot() * (2.0 * q.scale) * k.scale;
    return max(q.squared + k.squared - product, 0.0) * stretch_q * stretch_k;
  }
  const Tensor apart = (x.q * q.scale).named("q_ball") - (x.k * k.scale).named("k_ball");
  return sum(x.d, apart * apart) * stretch_q * stretch_k;
}

// Scaled back to the hyperboloid, where v has the time λ - 1 and the coordinates λ v of space,
// λ = 2 / (1 - |v|²), and then to the ball.
Tensor midpoint(const Heads& x, const Tensor& p, const UnitBall& v, const Tensor& v_ball,
                const Problem& problem) {
  const double gap = least_gap(epsilon_of(problem));
  const Tensor lambda = 2.0 / v.gap;
  const PointSum sum{fovea::sum(x.j, p * (x.v * (v.scale * lambda)).named("v_klein")),
                     fovea::sum(x.j, p * (lambda - 1.0).named("v_weight"))};
  const Tensor least = sum.time * (gap / (2 - gap));
  const Tensor length = form_of(problem).walks_again()
                            ? length_of(x, p, {lambda, v_ball}, sum, least)
                            : short_length(x.e, sum, least);
  const Tensor total = sum.time + length;
  return sum.space / where(total == 0.0, 1.0, total);
}

// A step from p towards the Fréchet mean, as frechet_mean takes it, but by the known 1 - |v|²:
// next to the border coordinates in f32 tell few digits of it.
Tensor nearer(const Heads& x, const Tensor& p, const Tensor& w, const Tensor& v,
              const Tensor& gap) {
  const Tensor here = max(1.0 - sum(x.e, p * p), 0x1p-24), between = p - v;
  const Tensor apart = sum(x.e, between * between), divisor = apart + here * gap;
  const Tensor n = sqrt(apart / divisor);
  const Tensor distance = acosh_above_one(apart * (2.0 / here) * (1.0 / gap));
  const Tensor weight = w * where(n == 0.0, 1.0, distance * 0.5 / n), share = weight / divisor;
  const Tensor ahead = here * sum(x.j, share * v) - p * sum(x.j, share * (here + apart));
  const Tensor bound = sum(x.j, weight * (1.0 + n * n));
  return exp_map(x.e, p, ahead * (here / where(bound == 0.0, 1.0, bound)), 1.0);
}

ir::Graph build(const Problem& problem) {
  const double c = problem.positive("c"), epsilon = epsilon_of(problem);
  const double scale = 1 / (problem.positive("temperature") * std::sqrt(c));
  const int steps = problem.integer("frechet", 0);
  require(steps <= 100, Code::invalid_config, "option frechet is {}; expected at most 100", steps);
  const Heads x = heads(problem);
  const UnitBall q(x.d, x.q, c, epsilon), k(x.d, x.k, c, epsilon), v(x.e, x.v, c, epsilon);
  const Tensor excess = excess_of(x, q, k, form_of(problem).norms());
  const Tensor p = hyperbolic_weights(x.j, excess, scale, 2 * std::log(2 / epsilon)).named("p");
  const Tensor v_ball = (x.v * v.scale).named("v_ball");
  Tensor o = midpoint(x, p, v, v_ball, problem);
  for (int n = 0; n < steps; ++n) o = nearer(x, o, p, v_ball, v.gap);
  return graph_of(x, {{"o", o * (1 / std::sqrt(c))}});
}

Vector midpoint(const Vector& weights, const std::vector<Vector>& values, double c) {
  Vector klein(values[0].size(), 0);
  double total = 0;
  for (std::size_t j = 0; j < values.size(); ++j) {
    // In Klein's coordinates, with the Lorentz factor of the point there.
    const Vector& v = values[j];
    const double norm = c * dot(v, v), lorentz = (1 + norm) / (1 - norm);
    for (std::size_t e = 0; e < v.size(); ++e)
      klein[e] += weights[j] * lorentz * 2 * v[e] / (1 + norm);
    total += weights[j] * lorentz;
  }
  klein = scaled(klein, 1 / total);
  return scaled(klein, 1 / (1 + std::sqrt(1 - c * dot(klein, klein))));
}

Vector mobius_sum(const Vector& x, const Vector& y, double c) {
  const double xy = dot(x, y), xx = dot(x, x), yy = dot(y, y);
  const double divisor = 1 + 2 * c * xy + c * c * xx * yy;
  Vector sum;
  for (std::size_t n = 0; n < x.size(); ++n)
    sum.push_back(((1 + 2 * c * xy + c * yy) * x[n] + (1 - c * xx) * y[n]) / divisor);
  return sum;
}

// The logarithms' weighted sum over the bound r coth(r) of the second derivative, r = √c d.
Vector frechet_step(const Vector& p, const Vector& weights, const std::vector<Vector>& values,
                    double c) {
  Vector step(p.size(), 0);
  double bound = 0;
  for (std::size_t j = 0; j < values.size(); ++j) {
    const Vector u = mobius_sum(scaled(p, -1), values[j], c);
    const double length = std::sqrt(c * dot(u, u)), r = 2 * std::atanh(length);
    if (length == 0) bound += weights[j];
    if (length == 0) continue;
    for (std::size_t n = 0; n < p.size(); ++n) step[n] += weights[j] * r / 2 / length * u[n];
    bound += weights[j] * r / std::tanh(r);
  }
  const double length = std::sqrt(c * dot(step, step)) / bound;
  if (length == 0) return p;
  return mobius_sum(p, scaled(step, std::tanh(length) / length / bound), c);
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const double c = problem["c"], epsilon = problem["epsilon"];
  const ir::Array &q = inputs.at("q"), &k = inputs.at("k");
  const auto point = [&](const ir::Array& x, const Pair& at, std::int64_t n) {
    return inside(row_of(x, at.b, at.h, q.shape[1], n), c, epsilon);
  };
  const auto score = [&](const Pair& at) {
    return -hyperbolic_distance(point(q, at, at.i), point(k, at, at.j), c) / problem["temperature"];
  };
  const auto mean = [&](const Vector& weights, std::vector<Vector> values) {
    for (Vector& value : values) value = inside(value, c, epsilon);
    Vector p = midpoint(weights, values, c);
    for (int n = 0; n < problem["frechet"]; ++n) p = frechet_step(p, weights, values, c);
    return p;
  };
  return attend_by(q, inputs.at("v"), score, mean);
}

void special_inputs(const Problem& problem, const ir::Sizes&, unsigned, ir::Arrays& inputs) {
  for (const char* name : {"q", "k", "v"})
    spread_points(inputs.at(name), 0.5 / std::sqrt(problem["c"]));
}

}  // namespace

extern constinit const Mechanism poincare{
    .name = "poincare",
    .family = "geometric",
    .doc = "softmax over minus the hyperbolic distance, values averaged in the Poincaré ball",
    .formula =
        "o = midpoint(softmax(-arcosh(1 + 2c|q - k|² / ((1 - c|q|²)(1 - c|k|²))) / √c T), v)",
    .paper = "Gulcehre 2019",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .decision = decision,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
