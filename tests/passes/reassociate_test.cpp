#include "passes/reassociate.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/interpret.h"
#include "ir/text.h"
#include "passes/extents.h"
#include "passes/run.h"
#include "tests/passes/same_meaning.h"

namespace fovea::passes {
namespace {

const ir::Target kTarget = ir::targets()[0];

constexpr std::string_view kInputs = R"(
axis i, j, d = 64, e = 64, n < deg
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
vd : f32[j, d]
g : f32[i]
deg : i32[i]
first : i32[i]
)";

ir::Graph graph_of(std::string_view statements) {
  return ir::parse(std::string(kInputs) + std::string(statements) + "\n");
}

bool has_pair_plane(const ir::Graph& graph) {
  for (const ir::Node& node : graph.nodes) {
    if (node.type.has(find_axis(graph, "i")) && node.type.has(find_axis(graph, "j"))) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("reassociate: linear attention comes out linear by itself") {
  const ir::Graph naive = graph_of(
      "s = sum(d, relu(q) * relu(k))\n"
      "out o = sum(j, s / sum(j, s) * v)");
  const ir::Graph linear = reassociate(naive, kTarget);
  CHECK(has_pair_plane(naive));
  CHECK(!has_pair_plane(linear));
  const ir::Graph by_hand = graph_of(
      "a = relu(q)\nc = relu(k)\n"
      "out o = sum(d, a * sum(j, c * v)) / sum(d, a * sum(j, c))");
  CHECK(operations(linear).at_usual() <= 1.02 * operations(by_hand).at_usual());
  CHECK(operations(linear).at_usual() < operations(naive).at_usual() / 50);
}

TEST_CASE("reassociate: for short axes linear attention stays on its plane") {
  const ir::Graph naive = graph_of(
      "s = sum(d, relu(q) * relu(k))\n"
      "out o = sum(j, s / sum(j, s) * v)");
  CHECK(reassociate_short(naive, kTarget) == naive);
  const ir::Graph by_hand = graph_of("out o = sum(d, relu(q) * sum(j, relu(k) * v))");
  const ir::Graph turned = reassociate_short(by_hand, kTarget);
  CHECK(has_pair_plane(turned));
  const auto differs = difference(by_hand, turned);
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

TEST_CASE("reassociate: so it does through the whole pipeline, scales and means included") {
  const ir::Graph naive = graph_of(
      "s = sum(d, exp(q) * exp(k)) / 8.0\n"
      "out o = sum(j, s / sum(j, s) * vd)\n"
      "out x = mean(j, s * v)");
  const ir::Graph linear = run_pipeline(naive, kTarget, {});
  CHECK(!has_pair_plane(linear));
  const auto differs = difference(naive, linear);
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

TEST_CASE("reassociate: softmax keeps its plane") {
  const ir::Graph softmax = graph_of("out o = sum(j, softmax(j, sum(d, q * k)) * v)");
  CHECK(reassociate(softmax, kTarget) == softmax);
}

TEST_CASE("reassociate: leaves sums over ragged axes") {
  const ir::Graph ragged =
      graph_of("out o = sum(n, sum(d, q * k[j = first + n]) * v[j = first + n])");
  CHECK(reassociate(ragged, kTarget) == ragged);
}

TEST_CASE("reassociate: leaves scores that softmax needs anyway, but not the second use of them") {
  const ir::Graph both = graph_of(
      "s = sum(d, q * k)\n"
      "out p = sum(j, softmax(j, s) * v)\n"
      "out o = sum(j, s * v)");
  const ir::Graph after = reassociate(both, kTarget);
  CHECK(operations(after).at_usual() < operations(both).at_usual());
  CHECK(has_pair_plane(after));
  const auto differs = difference(both, after);
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

TEST_CASE("reassociate: a factor taken out of a sum is still annihilated by rows of zeros") {
  const ir::Graph before = ir::parse(
      "axis i, j, e = 4\np : f32[i, j]\ng : f32[i]\nv : f32[j, e]\n"
      "out o = sum(j, relu(p) * g * v)");
  const ir::Graph after = reassociate(before, kTarget);
  REQUIRE(after != before);
  ir::Arrays inputs = random_inputs(before, Values::Ordinary, 1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  inputs.at("p").data.assign(inputs.at("p").data.size(), -1);
  inputs.at("g").data.assign(inputs.at("g").data.size(), nan);
  const ir::Arrays outputs = ir::interpret(after, inputs, small_sizes(after));
  for (const double x : outputs.at("o").data) CHECK(x == 0);
}

// The limit that products.h and ir/README.md tell: the definition is the graph as it is written.
TEST_CASE("reassociate: an infinite factor meets the sum instead of its terms") {
  const ir::Graph written = ir::parse(R"(
axis i, j, d
q : f32[i, d]
k : f32[j, d]
out s = sum(j, sum(d, q * k)))");
  const ir::Graph reordered = reassociate(written, kTarget);
  REQUIRE(reordered != written);
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto value = [&](const ir::Graph& graph, std::vector<double> k) {
    const ir::Arrays inputs{{"q", {ir::Dtype::F32, {1, 1}, {kInf}}},
                            {"k", {ir::Dtype::F32, {2, 1}, std::move(k)}}};
    return ir::interpret(graph, inputs, {}).at("s").data[0];
  };
  CHECK(std::isnan(value(written, {1, -2})));
  CHECK(value(reordered, {1, -2}) == -kInf);
  CHECK(std::isnan(value(written, {1, -1})));
  CHECK(value(reordered, {1, -1}) == 0);
  for (const ir::Graph* graph : {&written, &reordered}) {  // what masks and padding rely on
    CHECK(value(*graph, {0, 0}) == 0);
    CHECK(value(*graph, {1, 0}) == kInf);
  }
}

TEST_CASE("reassociate: a power by squaring is not unrolled") {
  std::string statements;
  for (int n = 0; n < 40; ++n) {
    statements += fmt::format("x{} = {} * {}\n", n + 1, n == 0 ? "g" : fmt::format("x{}", n),
                              n == 0 ? "g" : fmt::format("x{}", n));
  }
  const ir::Graph power = graph_of(statements + "out o = sum(j, x40 * v)");
  const ir::Graph after = reassociate(power, kTarget);
  CHECK(after.nodes.size() <= power.nodes.size() + 4);
}

TEST_CASE("extents: fixed in the text, also by way of other axes") {
  const ir::Graph graph = ir::parse(
      "axis a = 6, b = a, c = (a + 2) * b / 5 - 1, n, m = n + a, r < deg\n"
      "deg : i32[a]\nx : f32[a, b, c]\nw : f32[n, m]\n"
      "out o = sum((a, b, c), x) + sum((n, m), w) + f32(sum(a, sum(r, 1)))");
  const auto extent = [&](std::string_view name) {
    return fixed_extent(graph, find_axis(graph, name));
  };
  CHECK(extent("a") == 6);
  CHECK(extent("b") == 6);
  CHECK(extent("c") == 8);
  CHECK(!extent("n"));
  CHECK(!extent("m"));
  CHECK(!extent("r"));
  const ir::AxisId axes[] = {find_axis(graph, "a"), find_axis(graph, "n")};
  CHECK(points(graph, axes) == 6 * 4096);
}

TEST_CASE("extents: operations and stored bytes are counted for extents that come later") {
  const ir::Graph graph = ir::parse(
      "axis i, j, d = 8, m = j\n"
      "q : f32[i, d]\nk : f32[j, d]\nw : f32[m]\n"
      "out o = exp(sum(d, q * k)) * 2.0 + sum(m, w)");
  const Count count = operations(graph);
  REQUIRE(count.open().size() == 3);
  const auto of = [&](double i, double j) {
    const std::map<std::string, double> extents{{"i", i}, {"j", j}, {"m", j}};
    std::vector<double> at;
    for (const ir::AxisId axis : count.open()) at.push_back(extents.at(graph.axis(axis).name));
    return count.at(at);
  };
  // Products and their sum over d, exp, times two and plus on the plane, the sum of w.
  CHECK(of(3, 5) == 2 * 3 * 5 * 8 + 3 * 3 * 5 + 5);
  CHECK(of(0, 5) == 5);
  CHECK(count.at_usual(10) == 2 * 10 * 10 * 8 + 3 * 10 * 10 + 10);
  CHECK(stored_bytes(graph).at_usual() == 0);  // no kernels yet
  const ir::Graph parted = run_pipeline(
      ir::parse("axis i, d = 8\nx : f32[i, d]\ns = sum(d, x)\nout o = s / sum(i, s)"), kTarget, {});
  const double stored = stored_bytes(parted).at_usual(100);
  CHECK(stored >= 100 * 4);  // s
  CHECK(stored <= 101 * 4);  // and at most its sum
}

TEST_CASE("extents: each is looked at once, and one beyond any memory is none") {
  std::string text = "axis a0 = 1, b0 = 2";
  for (int n = 1; n <= 60; ++n) text += fmt::format(", a{0} = a{1} * a{1}", n, n - 1);
  for (int n = 1; n <= 6; ++n) text += fmt::format(", b{0} = b{1} * b{1}", n, n - 1);
  const ir::Graph graph = ir::parse(text + "\nout o = size(a60) + size(b6)");
  CHECK(fixed_extent(graph, find_axis(graph, "a60")) == 1);
  CHECK(fixed_extent(graph, find_axis(graph, "b5")) == std::int64_t{1} << 32);
  CHECK(!fixed_extent(graph, find_axis(graph, "b6")));
}

}  // namespace fovea::passes
