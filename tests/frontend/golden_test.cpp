// Values from the literature, to 1e-5, as compiled for every row of the target table that this
// machine runs.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codegen/targets.h"
#include "ir/text.h"
#include "ops/mechanism.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

using Values = std::vector<double>;

ir::Array array(std::vector<std::int64_t> shape, Values data) {
  return {f32, std::move(shape), std::move(data)};
}

// A value per output.
void check_on(const ir::Target& target, const Graph& graph, const ir::Arrays& inputs,
              const std::map<std::string, Values>& expected) {
  INFO(target.name);
  const Kernel kernel = compile(graph, {.target = std::string(target.name), .threads = 1});
  const ir::Arrays found = run(kernel, graph, inputs);
  for (const auto& [output, values] : expected) {
    INFO(output);
    REQUIRE(found.at(output).data.size() == values.size());
    for (std::size_t n = 0; n < values.size(); ++n)
      CHECK(std::abs(found.at(output).data[n] - values[n]) <=
            1e-5 * std::max(1.0, std::abs(values[n])));
  }
}

void check(const Graph& graph, const ir::Arrays& inputs,
           const std::map<std::string, Values>& expected) {
  for (const ir::Target& target : codegen::runnable_targets())
    check_on(target, graph, inputs, expected);
}

Graph graph_of(std::string_view name, const std::map<std::string, double>& options) {
  const ops::Mechanism& mechanism = ops::find(name);
  return mechanism.build(ops::Problem(mechanism.options, options));
}

const Values kPoints{.9, 0, -.3, .8, .1, -.6};

}  // namespace

TEST_CASE("golden: distances in the ball") {
  const Graph graph = parse(R"(
axis n, d = 2
c : f32[n]
x : f32[n, d]
y : f32[n, d]
out o = distance(d, x, y, c)
)");
  const double far = .99 / std::sqrt(2.0);
  check(graph,
        {{"c", array({7}, {1, .1, .5, 1, 2, 1, 1e-12})},
         {"x", array({7, 2}, {.1, .2, .1, .1, .1, .1, .1, .1, .1, .1, far, far, .1, .2})},
         {"y", array({7, 2}, {.3, .1, .2, .2, .2, .2, .2, .2, .2, .2, .1, .1, .3, .1})}},
        {{"o", {.479057, .284170, .289623, .296787, .312423, 5.008554, 2 * std::sqrt(.05)}}});
}

TEST_CASE("golden: Möbius addition, maps and parallel transport") {
  const Graph graph = parse(R"(
axis d = 2
x : f32[d]
y : f32[d]
v : f32[d]
p : f32[d]
q : f32[d]
zero = 0.0 * f32(d)
out sum = mobius_add(d, x, y, 1.0)
out reversed = mobius_add(d, y, x, 1.0)
out exp = exp_map(d, zero, x, 1.0)
out log = log_map(d, zero, v, 1.0)
out back = exp_map(d, p, log_map(d, p, q, 1.0), 1.0)
out carried = parallel_transport(d, where(d == 0, 0.1, 0.0), where(d == 1, 0.1, 0.0), 0.05 + zero, 1.0)
)");
  check(graph,
        {{"x", array({2}, {.1, .2})},
         {"y", array({2}, {.3, .1})},
         {"v", array({2}, {.3, .4})},
         {"p", array({2}, {.5, .3})},
         {"q", array({2}, {-.2, .6})}},
        {{"sum", {.366516, .303167}},
         {"reversed", {.393665, .266968}},
         {"exp", {.098366, .196732}},
         {"log", {.329584, .439445}},
         {"back", {-.2, .6}},
         {"carried", {.050990, .048990}}});
}

TEST_CASE("golden: means of three points in the ball") {
  const Graph graph = parse(R"(
axis j, d = 2
w : f32[j]
x : f32[j, d]
out midpoint = einstein_midpoint(j, d, w, x, 1.0)
)");
  check(graph, {{"w", array({3}, {.5, .3, .2})}, {"x", array({3, 2}, kPoints)}},
        {{"midpoint", {.324284, .109580}}});
  // The same weights as those of an attention: keys at such distances from the origin.
  const auto at = [](double weight) { return std::tanh(std::log(.5 / weight) / 2 + .05); };
  const ir::Arrays inputs{{"q", array({1, 1, 1, 2}, {0, 0})},
                          {"k", array({1, 1, 3, 2}, {at(.5), 0, 0, at(.3), -at(.2), 0})},
                          {"v", array({1, 1, 3, 2}, kPoints)}};
  check(graph_of("poincare", {{"d", 2}, {"e", 2}}), inputs, {{"o", {.324284, .109580}}});
}

TEST_CASE("golden: the Fréchet mean of three points in the ball") {
  // Steps are kernels of their own, which take seconds to compile: on one row of the table, and as
  // many steps as bring the mean within 6e-6.
  const Graph graph = parse(R"(
axis j, d = 2
w : f32[j]
x : f32[j, d]
out mean = frechet_mean(j, d, w, x, 1.0, 14)
)");
  check_on(codegen::runnable_targets().front(), graph,
           {{"w", array({3}, {.5, .3, .2})}, {"x", array({3, 2}, kPoints)}},
           {{"mean", {.411192, .048519}}});
}

TEST_CASE("golden: two steps towards the Fréchet mean, compiled as interpreted") {
  const Graph graph = graph_of("poincare", {{"d", 5}, {"e", 3}, {"frechet", 2}});
  for (const auto& [rows, columns] : {std::pair(1, 9), std::pair(65, 40)}) {
    const Sizes sizes = ops::example_sizes(graph, rows, columns);
    ir::Arrays inputs = random_inputs(graph, sizes, 1);
    for (auto& [name, points] : inputs)
      for (double& x : points.data) x *= 0.25;
    const auto differs = compiled_differs(graph, inputs);
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

TEST_CASE("golden: scaled dot products") {
  const Graph graph = graph_of("scaled_dot_product", {{"d", 4}, {"e", 4}});
  const auto attend = [&](const ir::Array& q, const ir::Array& k, const ir::Array& v,
                          const Values& expected) {
    check(graph, {{"q", q}, {"k", k}, {"v", v}}, {{"o", expected}});
  };
  const ir::Array unit = array({1, 1, 3, 4}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0});
  const auto one = [](double x) { return array({1, 1, 1, 4}, Values(4, x)); };
  const auto three = [](double x) { return array({1, 1, 3, 4}, Values(12, x)); };
  const Values third{1 / 3., 1 / 3., 1 / 3., 0};
  attend(array({1, 1, 1, 4}, {1, 0, 0, 0}), unit, unit, {.451863, .274069, .274069, 0});
  attend(one(0), unit, unit, third);                 // zero queries: the mean
  attend(one(1), three(7), unit, third);             // identical keys: 1 / n each
  attend(one(1), three(7), three(3), Values(4, 3));  // all 7 and all 3
  attend(one(1.7e38), three(1.7e38), unit, third);   // scores that f32 does not hold
  attend(one(2), one(5), one(-4), Values(4, -4));    // a single key
}

TEST_CASE("golden: a window of 3 at row 5 is the keys 3, 4 and 5") {
  const Graph graph = graph_of("sliding_window", {{"d", 2}, {"e", 8}, {"window", 3}});
  Values unit(64), expected(64);
  for (std::size_t n = 0; n < 8; ++n) unit[n * 9] = 1;
  for (std::size_t i = 0; i < 8; ++i)
    for (std::size_t j = i < 2 ? 0 : i - 2; j <= i; ++j)
      expected[i * 8 + j] = 1 / std::min(3.0, static_cast<double>(i) + 1);
  check(graph,
        {{"q", array({1, 1, 8, 2}, Values(16, 0))},
         {"k", array({1, 1, 8, 2}, Values(16, 1))},
         {"v", array({1, 1, 8, 8}, unit)}},
        {{"o", expected}});
}

TEST_CASE("golden: attention in linear time to ones is one") {
  for (const char* name : {"linear", "causal_linear", "performer"}) {
    INFO(std::string(name));
    const ops::Mechanism& mechanism = ops::find(name);
    const ops::Problem problem(mechanism.options, {{"d", 8}, {"e", 5}});
    const Graph graph = mechanism.build(problem);
    const Sizes sizes = ops::example_sizes(graph, 9, 9, 1);
    ir::Arrays inputs = ops::example_inputs(mechanism, problem, graph, sizes, 1);
    for (const char* input : {"q", "k", "v"}) std::ranges::fill(inputs.at(input).data, 1);
    check(graph, inputs, {{"o", Values(45, 1)}});
  }
}

TEST_CASE("golden: compiled, outputs lie in the ball too, whatever the inputs") {
  for (const double c : {0.25, 9.0}) {
    const Graph graph = graph_of("poincare", {{"d", 3}, {"e", 3}, {"c", c}});
    for (const ir::Target& target : codegen::runnable_targets()) {
      INFO(target.name << ", c = " << c);
      const Kernel kernel = compile(graph, {.target = std::string(target.name), .threads = 1});
      std::mt19937 random(1);
      std::normal_distribution<double> normal;
      for (const double length : {0.1, 0.6, 3.0, 1e6}) {
        ir::Arrays inputs{{"q", array({1, 1, 65, 3}, Values(195))},
                          {"k", array({1, 1, 9, 3}, Values(27))},
                          {"v", array({1, 1, 9, 3}, Values(27))}};
        for (auto& [name, points] : inputs)
          for (double& x : points.data) x = static_cast<float>(length * normal(random));
        const Values o = run(kernel, graph, inputs).at("o").data;
        for (std::size_t n = 0; n < o.size(); n += 3)
          CHECK(c * (o[n] * o[n] + o[n + 1] * o[n + 1] + o[n + 2] * o[n + 2]) < 1);
      }
    }
  }
}

}  // namespace fovea::test
