#include "passes/defer_normalization.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "ir/query.h"
#include "ir/text.h"
#include "tests/passes/same_meaning.h"

namespace fovea::passes {
namespace {

const ir::Target kTarget = ir::targets()[0];

ir::Graph graph_of(std::string_view statements) {
  return ir::parse("axis i, j, e = 4\ns : f32[i, j]\nl : f32[i]\nv : f32[j, e]\n" +
                   std::string(statements) + "\n");
}

std::ptrdiff_t divisions_along_j(const ir::Graph& graph) {
  return std::ranges::count_if(graph.nodes, [&](const ir::Node& node) {
    const auto* map = ir::map_of(node);
    return map != nullptr && map->fn == ir::Fn::Div && node.type.has(find_axis(graph, "j"));
  });
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("defer_normalization: no division is left along the sum") {
  constexpr std::string_view kFires[] = {
      "out o = sum(j, softmax(j, s) * v)",
      "out o = sum(j, v * softmax(j, s))",
      "out o = -sum(j, -(s / l) * v)",
      "out o = sum(j, where(s > 0.0, 0.0, s / l) * v)",
      "out o = sum(j, s / l / (l + 1.0) * v)",
      "out o = sum(j, (s / l) / (v + 3.0)) - 1.0",
      "out o = sum(j, (s / l + abs(s) / (l * l)) * v)",
      "out o = sum(j, (s / l + abs(s) / l) * v)",
      "out o = sum(j, (s / l - exp(s) / abs(l)) * (s / l + 2.0 * s / (l + 3.0)))",
      "out o = sum(j, (s / l + 2.0 * s / (l + 3.0)) * (s / l - exp(s) / abs(l)))"};
  for (const std::string_view statement : kFires) {
    INFO(statement);
    const ir::Graph before = graph_of(statement);
    const ir::Graph after = defer_normalization(before, kTarget);
    CHECK(after != before);
    const bool divides_by_column = statement.find("v + 3") != std::string_view::npos;
    CHECK(divisions_along_j(after) == (divides_by_column ? 1 : 0));
    const auto differs = difference(before, after);
    CHECK_MESSAGE(!differs, differs.value_or(""));
    CHECK(defer_normalization(after, kTarget) == after);
  }
}

TEST_CASE("defer_normalization: rows of zeros stay zeros whatever divides them") {
  const ir::Graph before = graph_of("out o = sum(j, relu(s) / l * v)");
  const ir::Graph after = defer_normalization(before, kTarget);
  REQUIRE(after != before);
  for (const double divisor : {0.0, kNan, 1.0}) {
    ir::Arrays inputs = random_inputs(before, Values::Ordinary, 1);
    inputs.at("s").data.assign(inputs.at("s").data.size(), -1);
    inputs.at("l").data.assign(inputs.at("l").data.size(), divisor);
    inputs.at("v").data[0] = kNan;
    const ir::Arrays expected = ir::interpret(before, inputs, small_sizes(before));
    const ir::Arrays found = ir::interpret(after, inputs, small_sizes(after));
    for (const double x : expected.at("o").data) CHECK(x == 0);
    for (const double x : found.at("o").data) CHECK(x == 0);
  }
}

TEST_CASE("defer_normalization: NaN that is not excluded shows in its row") {
  const ir::Graph before = graph_of("out o = sum(j, softmax(j, s) * v)");
  const ir::Graph after = defer_normalization(before, kTarget);
  ir::Arrays inputs = random_inputs(before, Values::Ordinary, 1);
  inputs.at("s").data[0] = kNan;
  const ir::Arrays found = ir::interpret(after, inputs, small_sizes(after));
  for (std::size_t n = 0; n < found.at("o").data.size(); ++n) {
    CHECK(std::isnan(found.at("o").data[n]) == (n < 4));
  }
}

TEST_CASE("defer_normalization: powers and doublings are not multiplied out") {
  for (const char* op : {"*", "+"}) {
    std::string statements = "x0 = s / l\n";
    for (int n = 0; n < 40; ++n) {
      statements += fmt::format("x{} = x{} {} x{}\n", n + 1, n, op, n);
    }
    const ir::Graph before = graph_of(statements + "out o = sum(j, x40 * v)");
    CHECK(defer_normalization(before, kTarget) == before);
  }
}

}  // namespace fovea::passes
