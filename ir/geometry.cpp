#include "ir/geometry.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "ir/geometry_functions.h"
#include "ir/geometry_models.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea {

namespace ir {
namespace {

constexpr GeometryFn kFunctions[] = {
    {"project_to_ball", 1, 3, 1, geometry::project_to_ball},
    {"mobius_add", 1, 3, 2, geometry::mobius_add},
    {"exp_map", 1, 3, 2, geometry::exp_map},
    {"log_map", 1, 3, 2, geometry::log_map},
    {"parallel_transport", 1, 4, 3, geometry::parallel_transport},
    {"distance", 1, 3, 2, geometry::distance},
    {"einstein_midpoint", 2, 3, 2, geometry::einstein_midpoint},
    {"frechet_mean", 2, 4, 2, geometry::frechet_mean},
    {"lorentz_inner", 1, 2, -1, geometry::lorentz_inner},
    {"lorentz_project", 1, 2, 1, geometry::lorentz_project},
    {"lorentz_exp_map", 1, 3, 2, geometry::lorentz_exp_map},
    {"lorentz_log_map", 1, 3, 2, geometry::lorentz_log_map},
    {"lorentz_transport", 1, 4, 3, geometry::lorentz_transport},
    {"lorentz_distance", 1, 3, 2, geometry::lorentz_distance},
    {"lorentz_midpoint", 2, 3, 2, geometry::lorentz_midpoint},
    {"spherical_project", 1, 2, 1, geometry::spherical_project},
    {"spherical_exp_map", 1, 3, 2, geometry::spherical_exp_map},
    {"spherical_log_map", 1, 3, 2, geometry::spherical_log_map},
    {"spherical_transport", 1, 4, 3, geometry::spherical_transport},
    {"spherical_distance", 1, 3, 2, geometry::spherical_distance},
    {"spherical_midpoint", 2, 3, 2, geometry::spherical_midpoint},
    {"product", 0, -1, -1, geometry::product},
};

// Of a number, also one with a sign before it.
std::optional<double> number_of(const Builder& b, NodeId node) {
  if (!is_map(b[node], Fn::Neg)) return ir::number_of(b[node]);
  const auto negated = ir::number_of(b[b[node].inputs[0]]);
  return negated ? std::optional(-*negated) : std::nullopt;
}

// Beyond 1 points would be mirrored, below 0 left outside the ball; within 2^-23 of the border f32
// knows no inside.
void check_epsilon(std::optional<double> epsilon) {
  require(!epsilon || (*epsilon > 0x1p-23 && *epsilon < 1), Code::invalid_config,
          "the epsilon of project_to_ball is {}; expected a number above 2^-23 and below 1",
          epsilon.value_or(0));
}

}  // namespace

NodeId make_geometry(Builder& b, const GeometryFn& fn, const GeometryArguments& arguments) {
  if (fn.curved >= 0) {
    const auto number = number_of(b, arguments.values[static_cast<std::size_t>(fn.curved)]);
    require(!number || (*number > 0 && std::isfinite(*number)), Code::invalid_config,
            "the {} of {} is {}; expected a number above 0",
            fn.name.starts_with("spherical") ? "radius" : "c", fn.name, number.value_or(0));
  }
  if (fn.name == "project_to_ball") check_epsilon(number_of(b, arguments.values[2]));
  return fn.make(b, arguments);
}

std::span<const GeometryFn> geometry_functions() { return kFunctions; }

const GeometryFn* find_geometry_fn(std::string_view name) {
  const auto* found = std::ranges::find(kFunctions, name, &GeometryFn::name);
  return found == std::end(kFunctions) ? nullptr : found;
}

}  // namespace ir

using detail::geometry;

Tensor project_to_ball(const Axes& d, const Tensor& x, const Tensor& c, const Tensor& epsilon) {
  return geometry("project_to_ball", {d}, {x, c, epsilon});
}
Tensor mobius_add(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& c) {
  return geometry("mobius_add", {d}, {x, y, c});
}
Tensor exp_map(const Axes& d, const Tensor& x, const Tensor& v, const Tensor& c) {
  return geometry("exp_map", {d}, {x, v, c});
}
Tensor log_map(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& c) {
  return geometry("log_map", {d}, {x, y, c});
}
Tensor parallel_transport(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& v,
                          const Tensor& c) {
  return geometry("parallel_transport", {d}, {x, y, v, c});
}
Tensor distance(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& c) {
  return geometry("distance", {d}, {x, y, c});
}
Tensor einstein_midpoint(const Axes& j, const Axes& d, const Tensor& w, const Tensor& x,
                         const Tensor& c) {
  return geometry("einstein_midpoint", {j, d}, {w, x, c});
}
Tensor frechet_mean(const Axes& j, const Axes& d, const Tensor& w, const Tensor& x, const Tensor& c,
                    int steps) {
  return geometry("frechet_mean", {j, d}, {w, x, c, steps});
}
Tensor lorentz_inner(const Axes& d, const Tensor& x, const Tensor& y) {
  return geometry("lorentz_inner", {d}, {x, y});
}
Tensor lorentz_project(const Axes& d, const Tensor& x, const Tensor& c) {
  return geometry("lorentz_project", {d}, {x, c});
}
Tensor lorentz_exp_map(const Axes& d, const Tensor& x, const Tensor& v, const Tensor& c) {
  return geometry("lorentz_exp_map", {d}, {x, v, c});
}
Tensor lorentz_log_map(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& c) {
  return geometry("lorentz_log_map", {d}, {x, y, c});
}
Tensor lorentz_transport(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& v,
                         const Tensor& c) {
  return geometry("lorentz_transport", {d}, {x, y, v, c});
}
Tensor lorentz_distance(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& c) {
  return geometry("lorentz_distance", {d}, {x, y, c});
}
Tensor lorentz_midpoint(const Axes& j, const Axes& d, const Tensor& w, const Tensor& x,
                        const Tensor& c) {
  return geometry("lorentz_midpoint", {j, d}, {w, x, c});
}
Tensor spherical_project(const Axes& d, const Tensor& x, const Tensor& r) {
  return geometry("spherical_project", {d}, {x, r});
}
Tensor spherical_exp_map(const Axes& d, const Tensor& x, const Tensor& v, const Tensor& r) {
  return geometry("spherical_exp_map", {d}, {x, v, r});
}
Tensor spherical_log_map(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& r) {
  return geometry("spherical_log_map", {d}, {x, y, r});
}
Tensor spherical_transport(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& v,
                           const Tensor& r) {
  return geometry("spherical_transport", {d}, {x, y, v, r});
}
Tensor spherical_distance(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& r) {
  return geometry("spherical_distance", {d}, {x, y, r});
}
Tensor spherical_midpoint(const Axes& j, const Axes& d, const Tensor& w, const Tensor& x,
                          const Tensor& r) {
  return geometry("spherical_midpoint", {j, d}, {w, x, r});
}
Tensor product(const std::vector<Tensor>& distances) { return geometry("product", {}, distances); }

}  // namespace fovea
