// Geometry as the interpreter has it: values from the literature, and laws on random points.
#include "ir/geometry.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "ir/error.h"
#include "ir/geometry_functions.h"
#include "ir/interpret.h"
#include "ir/query.h"
#include "ir/text.h"

using namespace fovea;

namespace {

using Point = std::vector<double>;
using Named = std::map<std::string, Point>;

// A formula over points named in it, and c.
Point evaluate(const std::string& formula, const Named& points, double c = 1) {
  std::string text = fmt::format("axis d = {}\n", points.begin()->second.size());
  ir::Arrays inputs;
  for (const auto& [name, point] : points) {
    text += name + " : f32[d]\n";
    inputs[name] = {f32, {static_cast<std::int64_t>(point.size())}, point};
  }
  text += "c : f32[]\nout o = " + formula + " + 0 * c\n";
  inputs["c"] = {f32, {}, {c}};
  const ir::Graph graph = ir::parse(text);
  std::erase_if(inputs, [&](const auto& given) {  // what the formula does not use
    return std::ranges::none_of(graph.nodes, [&](const ir::Node& node) {
      const auto* input = ir::input_of(node);
      return input != nullptr && input->name == given.first;
    });
  });
  return ir::interpret(graph, inputs).at("o").data;
}

double number(const std::string& formula, const Named& points, double c = 1) {
  const Point result = evaluate(formula, points, c);
  REQUIRE(result.size() == 1);
  return result[0];
}

double dot(const Point& x, const Point& y) {
  double sum = 0;
  for (std::size_t n = 0; n < x.size(); ++n) sum += x[n] * y[n];
  return sum;
}

double apart(const Point& x, const Point& y) {
  double most = 0;
  for (std::size_t n = 0; n < x.size(); ++n) most = std::max(most, std::abs(x[n] - y[n]));
  return most;
}

void check(const Point& found, const Point& expected) {
  CAPTURE(found[0]);
  CAPTURE(found[1]);
  CHECK(apart(found, expected) < 1e-6);
}

// A vector of three numbers below `size`.
rc::Gen<Point> vectors(double size) {
  return rc::gen::container<Point>(
      3, rc::gen::map(rc::gen::inRange(-1000, 1001), [=](int n) { return n * size / 1000; }));
}

// Points of the ball for c, up to so much of the way to its border.
rc::Gen<Point> points(double c, double share = 0.999) {
  return rc::gen::map(vectors(1), [=](Point x) {
    const double scale = share / std::sqrt(3 * c);
    for (double& coordinate : x) coordinate *= scale;
    return x;
  });
}

double curvature() { return *rc::gen::element(0.25, 1.0, 3.0); }

void property(const std::string& what, auto&& holds) { CHECK(rc::check(what, holds)); }

void expect_close(double found, double expected, double tolerance = 1e-8) {
  RC_ASSERT(std::abs(found - expected) <= tolerance * std::max(1.0, std::abs(expected)));
}

}  // namespace

TEST_CASE("geometry: distances in the ball") {
  const Named near{{"x", {.1, .2}}, {"y", {.3, .1}}}, diagonal{{"x", {.1, .1}}, {"y", {.2, .2}}};
  const std::string distance = "distance(d, x, y, c)";
  CHECK(number(distance, near) == doctest::Approx(.479057).epsilon(2e-6));
  CHECK(number(distance, diagonal, .1) == doctest::Approx(.284170).epsilon(2e-6));
  CHECK(number(distance, diagonal, .5) == doctest::Approx(.289623).epsilon(2e-6));
  CHECK(number(distance, diagonal, 1) == doctest::Approx(.296787).epsilon(2e-6));
  CHECK(number(distance, diagonal, 2) == doctest::Approx(.312423).epsilon(2e-6));
  CHECK(number(distance, {{"x", {.99 / std::sqrt(2.0), .99 / std::sqrt(2.0)}}, {"y", {.1, .1}}}) ==
        doctest::Approx(5.008554).epsilon(2e-6));
  CHECK(number(distance, near, 1e-12) == doctest::Approx(2 * std::sqrt(.05)).epsilon(1e-6));
}

TEST_CASE("geometry: on the border and outside, distances are finite") {
  const std::string distance = "distance(d, x, y, c)";
  const double border = number(distance, {{"x", {1, 0}}, {"y", {-1, 0}}});
  CHECK(border == doctest::Approx(std::log(0x1p52)).epsilon(1e-6));
  CHECK(std::isfinite(number(distance, {{"x", {7, 0}}, {"y", {0, 9}}})));
}

TEST_CASE("geometry: Möbius addition and maps") {
  const Named two{{"x", {.1, .2}}, {"y", {.3, .1}}};
  check(evaluate("mobius_add(d, x, y, c)", two), {.366516, .303167});
  check(evaluate("mobius_add(d, y, x, c)", two), {.393665, .266968});
  const Named zero{{"x", {0, 0}}, {"v", {.1, .2}}, {"y", {.3, .4}}};
  check(evaluate("exp_map(d, x, v, c)", zero), {.098366, .196732});
  check(evaluate("log_map(d, x, y, c)", zero), {.329584, .439445});
  check(evaluate("parallel_transport(d, x, y, v, c)",
                 {{"x", {.1, 0}}, {"y", {0, .1}}, {"v", {.05, .05}}}),
        {.050990, .048990});
  check(evaluate("exp_map(d, p, log_map(d, p, q, c), c)", {{"p", {.5, .3}}, {"q", {-.2, .6}}}),
        {-.2, .6});
}

TEST_CASE("geometry: means of three points") {
  const std::string text = R"(axis j = 3, d = 2
w : f32[j]
x : f32[j, d]
out o = )";
  const ir::Arrays inputs{{"w", {f32, {3}, {.5, .3, .2}}},
                          {"x", {f32, {3, 2}, {.9, 0, -.3, .8, .1, -.6}}}};
  const auto mean = [&](const std::string& formula) {
    return ir::interpret(ir::parse(text + formula + "\n"), inputs).at("o").data;
  };
  check(mean("einstein_midpoint(j, d, w, x, 1.0)"), {.324284, .109580});
  check(mean("einstein_midpoint(j, d, 7 * w, x, 1.0)"), {.324284, .109580});
  check(mean("frechet_mean(j, d, w, x, 1.0, 24)"), {.411192, .048519});
  check(mean("frechet_mean(j, d, w, x, 1.0, 0)"), {.324284, .109580});
  check(mean("einstein_midpoint(j, d, 0 * w, x, 1.0)"), {0, 0});
  check(mean("frechet_mean(j, d, 0 * w, x, 1.0, 3)"), {0, 0});
}

TEST_CASE("geometry: points outside are projected, points inside stay") {
  const std::string project = "project_to_ball(d, x, c, 0.01)";
  check(evaluate(project, {{"x", {3, 4}}}), {.594, .792});
  check(evaluate(project, {{"x", {3, 4}}}, 4), {.297, .396});
  check(evaluate(project, {{"x", {.3, .4}}}), {.3, .4});
  check(evaluate(project, {{"x", {0, 0}}}), {0, 0});
  CHECK(std::isnan(evaluate(project, {{"x", {1e200, 0}}})[0]));
}

TEST_CASE("geometry: laws of the ball") {
  property("distance is symmetric, 0 of equal points, and takes no detour", [] {
    const double c = curvature();
    const Named at{{"x", *points(c)}, {"y", *points(c)}, {"z", *points(c)}};
    const double xy = number("distance(d, x, y, c)", at, c);
    expect_close(number("distance(d, y, x, c)", at, c), xy);
    RC_ASSERT(number("distance(d, x, x, c)", at, c) == 0);
    const double xz = number("distance(d, x, z, c)", at, c),
                 zy = number("distance(d, z, y, c)", at, c);
    RC_ASSERT(xy <= (xz + zy) * (1 + 1e-12));
  });
  property("x ⊕ y = gyr[x, y](y ⊕ x), which has the same length", [] {
    const double c = curvature();
    const Named at{{"x", *points(c, 0.9)}, {"y", *points(c, 0.9)}};
    const Point sum = evaluate("mobius_add(d, x, y, c)", at, c);
    const Point turned = evaluate("mobius_add(d, y, x, c)", at, c);
    expect_close(dot(sum, sum), dot(turned, turned), 1e-6);
    RC_ASSERT(dot(sum, sum) * c < 1);
    RC_ASSERT(apart(evaluate("mobius_add(d, -x, mobius_add(d, x, y, c), c)", at, c), at.at("y")) <
              1e-5);
    // gyr[a, b] v = -(a ⊕ b) ⊕ (a ⊕ (b ⊕ v))
    const Point gyrated = evaluate(
        "mobius_add(d, -mobius_add(d, x, y, c), mobius_add(d, x, mobius_add(d, y, "
        "mobius_add(d, y, x, c), c), c), c)",
        at, c);
    RC_ASSERT(apart(sum, gyrated) < 1e-7);
  });
  property("the exponential map undoes the logarithm at any point", [] {
    const double c = curvature();
    const Named at{{"x", *points(c)}, {"y", *points(c)}};
    const Point back = evaluate("exp_map(d, x, log_map(d, x, y, c), c)", at, c);
    RC_ASSERT(apart(back, at.at("y")) < 1e-6);
    const Point v = evaluate("log_map(d, x, y, c)", at, c);
    const double gap = 1 - c * dot(at.at("x"), at.at("x"));
    expect_close(2 / gap * std::sqrt(dot(v, v)), number("distance(d, x, y, c)", at, c), 1e-6);
  });
  property("parallel transport keeps Riemannian lengths and comes back", [] {
    const double c = curvature();
    const Named at{{"x", *points(c)}, {"y", *points(c)}, {"v", *vectors(1)}};
    const Point there = evaluate("parallel_transport(d, x, y, v, c)", at, c);
    const double at_x = 1 - c * dot(at.at("x"), at.at("x"));
    const double at_y = 1 - c * dot(at.at("y"), at.at("y"));
    expect_close(std::sqrt(dot(there, there)) * at_x, std::sqrt(dot(at.at("v"), at.at("v"))) * at_y,
                 1e-6);
    const Named back{{"x", at.at("y")}, {"y", at.at("x")}, {"v", there}};
    RC_ASSERT(apart(evaluate("parallel_transport(d, x, y, v, c)", back, c), at.at("v")) < 1e-5);
  });
  property("flat space is the limit of no curvature", [] {
    const Named at{{"x", *vectors(1)}, {"y", *vectors(1)}, {"v", *vectors(1)}};
    const double c = 1e-10;
    double squared = 0;
    Point sum, difference;
    for (std::size_t n = 0; n < 3; ++n) {
      squared += std::pow(at.at("x")[n] - at.at("y")[n], 2);
      sum.push_back(at.at("x")[n] + at.at("v")[n]);
      difference.push_back(at.at("y")[n] - at.at("x")[n]);
    }
    expect_close(number("distance(d, x, y, c)", at, c), 2 * std::sqrt(squared), 1e-7);
    RC_ASSERT(apart(evaluate("mobius_add(d, x, v, c)", at, c), sum) < 1e-7);
    RC_ASSERT(apart(evaluate("exp_map(d, x, v, c)", at, c), sum) < 1e-7);
    RC_ASSERT(apart(evaluate("log_map(d, x, y, c)", at, c), difference) < 1e-7);
    RC_ASSERT(apart(evaluate("parallel_transport(d, x, y, v, c)", at, c), at.at("v")) < 1e-7);
  });
}

TEST_CASE("geometry: laws of the hyperboloid") {
  const std::string x = "lorentz_project(d, x, c)", y = "lorentz_project(d, y, c)";
  const std::string v = "lorentz_log_map(d, " + x + ", " + y + ", c)";
  property("it is the ball in other coordinates", [&] {
    const double c = curvature();
    const Named at{{"x", *vectors(3)}, {"y", *vectors(3)}};
    const auto in_ball = [&](const std::string& p) {
      return "where(d == 0, 0, " + p + ") / (1 + sqrt(c) * sum(d, where(d == 0, " + p + ", 0)))";
    };
    expect_close(number("lorentz_distance(d, " + x + ", " + y + ", c)", at, c),
                 number("distance(d, " + in_ball(x) + ", " + in_ball(y) + ", c)", at, c), 1e-6);
    expect_close(number("lorentz_inner(d, " + x + ", " + x + ")", at, c), -1 / c);
  });
  property("maps undo each other and transport keeps lengths", [&] {
    const double c = curvature();
    const Named at{{"x", *vectors(3)}, {"y", *vectors(3)}, {"z", *vectors(3)}};
    RC_PRE(number("lorentz_distance(d, " + x + ", " + y + ", c)", at, c) > 1e-3);
    const Point back = evaluate("lorentz_exp_map(d, " + x + ", " + v + ", c)", at, c);
    RC_ASSERT(apart(back, evaluate(y, at, c)) < 1e-6);
    const std::string z = "lorentz_project(d, z, c)";
    const std::string moved = "lorentz_transport(d, " + x + ", " + z + ", " + v + ", c)";
    expect_close(number("lorentz_inner(d, " + moved + ", " + moved + ")", at, c),
                 number("lorentz_inner(d, " + v + ", " + v + ")", at, c), 1e-6);
    expect_close(number("lorentz_inner(d, " + moved + ", " + z + ")", at, c), 0, 1e-6);
  });
}

TEST_CASE("geometry: laws of the sphere") {
  const std::string x = "spherical_project(d, x, c)", y = "spherical_project(d, y, c)";
  const std::string v = "spherical_log_map(d, " + x + ", " + y + ", c)";
  property("distances are arcs, and maps undo each other", [&] {
    const double r = *rc::gen::element(0.5, 1.0, 4.0);
    const Named at{{"x", *vectors(1)}, {"y", *vectors(1)}, {"z", *vectors(1)}};
    for (const auto& [name, point] : at) RC_PRE(dot(point, point) > 1e-4);
    const Point p = evaluate(x, at, r), q = evaluate(y, at, r);
    const double arc = number("spherical_distance(d, " + x + ", " + y + ", c)", at, r);
    const double cosine = std::clamp(dot(p, q) / (r * r), -1.0, 1.0);
    expect_close(arc, r * std::acos(cosine), 1e-6);
    RC_ASSERT(number("spherical_distance(d, " + x + ", " + x + ", c)", at, r) == 0);
    RC_PRE(cosine > -0.999);
    RC_ASSERT(apart(evaluate("spherical_exp_map(d, " + x + ", " + v + ", c)", at, r), q) < 1e-6);
    const std::string z = "spherical_project(d, z, c)";
    RC_PRE(dot(p, evaluate(z, at, r)) > -0.999 * r * r);
    const Point moved =
        evaluate("spherical_transport(d, " + x + ", " + z + ", " + v + ", c)", at, r);
    expect_close(std::sqrt(dot(moved, moved)), arc, 1e-6);
    expect_close(dot(moved, evaluate(z, at, r)), 0, 1e-6);
  });
}

TEST_CASE("geometry: both midpoints of hyperbolic space are the same point") {
  const std::string text = R"(axis j = 3, d = 4
w : f32[j]
x : f32[j, d]
p = lorentz_project(d, x, 2.0)
m = lorentz_midpoint(j, d, w, p, 2.0)
space = where(d == 0, 0, 1)
out lorentz = space * m / (1 + sqrt(2.0) * m[d = 0])
out ball = einstein_midpoint(j, d, w, space * p / (1 + sqrt(2.0) * p[d = 0]), 2.0)
out sphere = sqrt(sum(d, spherical_midpoint(j, d, w, x, 3.0) * spherical_midpoint(j, d, w, x, 3.0)))
out far = product(3.0, 4.0, 12.0)
)";
  const auto found = ir::interpret(
      ir::parse(text), {{"w", {f32, {3}, {.5, .3, .2}}},
                        {"x", {f32, {3, 4}, {0, 1, 2, -1, 5, .3, .4, .5, 0, -2, .1, .7}}}});
  CHECK(apart(found.at("lorentz").data, found.at("ball").data) < 1e-12);
  CHECK(found.at("sphere").data[0] == doctest::Approx(3));
  CHECK(found.at("far").data[0] == 13);
}

TEST_CASE("geometry: C++ and text are the same graph") {
  const Axis i{"i"}, j{"j"}, d{"d", 4};
  const Tensor q = input("q", f32, {i, d}), k = input("k", f32, {j, d}), w = input("w", f32, {j});
  const auto made = ir::make_graph({{"a", distance(d, project_to_ball(d, q, 0.5, 0.01), k, 0.5)},
                                    {"b", frechet_mean(j, d, w, k, 0.5, 2)},
                                    {"c", product({lorentz_distance(d, q, k, 2.0), Tensor(w)})}},
                                   {i, j, d});
  CHECK(made == ir::parse(R"(axis i, j, d = 4
q : f32[i, d]
k : f32[j, d]
w : f32[j]
out a = distance(d, project_to_ball(d, q, 0.5, 0.01), k, 0.5)
out b = frechet_mean(j, d, w, k, 0.5, 2)
out c = product(lorentz_distance(d, q, k, 2.0), w)
)"));
}

TEST_CASE("geometry: wrong arguments are told") {
  const auto message = [](const std::string& formula) -> std::string {
    try {
      ir::parse("axis j, d = 4, e = 4\nx : f32[j, d]\nout o = " + formula + "\n");
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK(message("mobius_add(d, x, x)").find("3 arguments of 'mobius_add'") != std::string::npos);
  CHECK(message("mobius_add(x, x, x, 1.0)").find("an axis") != std::string::npos);
  CHECK(message("product()") != "no error");
  CHECK(message("frechet_mean(j, d, 1.0, x, 1.0, 101)").find("0 to 100") != std::string::npos);
  CHECK(message("frechet_mean(j, d, 1.0, x, 1.0, x)").find("computed") != std::string::npos);
  CHECK(message("lorentz_inner((d, e), x, x)").find("2 axes of coordinates") != std::string::npos);
  CHECK(
      message("distance(d, x, x, 0.0)").find("the c of distance is 0; expected a number above 0") !=
      std::string::npos);
  CHECK(message("exp_map(d, x, x, -1.0)").find("the c of exp_map is -1;") != std::string::npos);
  CHECK(message("project_to_ball(d, x, -2, 0.1)").find("the c of") != std::string::npos);
  for (const char* epsilon : {"2.0", "1", "0.0", "-3.0", "1e-8", "inf", "nan"}) {
    CAPTURE(epsilon);
    CHECK(message(std::string("project_to_ball(d, x, 1.0, ") + epsilon + ")")
              .find("the epsilon of project_to_ball is ") != std::string::npos);
  }
  CHECK(message("project_to_ball(d, x, 1.0, 2.0)")
            .find("is 2; expected a number above 2^-23 and below 1") != std::string::npos);
  CHECK(message("project_to_ball(d, x, 1.0, x)") == "no error");
  CHECK(message("frechet_mean(j, d, 1.0, x, -1.0, 1)").find("the c of") != std::string::npos);
  CHECK(message("lorentz_midpoint(j, d, 1.0, x, inf)").find("is inf;") != std::string::npos);
  CHECK(message("spherical_project(d, x, 0)").find("the radius of") != std::string::npos);
  CHECK(message("distance(d, x, x, x)") == "no error");
  CHECK(message("mobius_sum(d, x, x, 1.0)").find("mobius_add") != std::string::npos);
}
