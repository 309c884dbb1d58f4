// Outputs that lie on a pair plane: stored because they are asked for, and nothing else with them.
#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <string_view>

#include "codegen/targets.h"
#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr std::string_view kHead = R"(
axis h = 3, i, j, d = 16, e = 24
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
)";

struct Shape {
  std::int64_t rows, columns;
};
constexpr Shape kShapes[] = {{97, 203}, {130, 5}, {1, 100}, {3, 40}, {40, 96}};

void compare(const Kernel& kernel, const Graph& graph, const ir::Arrays& inputs, const Sizes& sizes,
             double tolerance = 1e-5) {
  const auto differs =
      difference(run(kernel, graph, inputs, sizes), ir::interpret(graph, inputs, sizes), tolerance);
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

// On every target; `stored` planes of h, i and j are asked for.
void check(std::string_view body, int stored, int kernels = 1, double tolerance = 1e-5) {
  const std::string text = std::string(kHead) + std::string(body);
  const Graph graph = parse(text);
  INFO(text);
  for (const ir::Target& target : codegen::runnable_targets()) {
    INFO(target.name);
    const Kernel kernel = compile(graph, {.target = std::string(target.name)});
    for (const Shape& shape : kShapes) {
      Sizes sizes = all_sizes(graph, 2);
      sizes["i"] = shape.rows;
      sizes["j"] = shape.columns;
      INFO(describe(sizes));
      compare(kernel, graph, random_inputs(graph, sizes, 7, 5), sizes, tolerance);
    }
    const Planes planes = planes_of(kernel, {{"i", 500}, {"j", 500}});
    CHECK(planes.kernels == kernels);
    CHECK(planes.stored == stored * 500 * 500);
  }
}

}  // namespace

TEST_CASE("plane outputs: weights beside the sum that they weigh, in one kernel") {
  check(R"(
out p = softmax(j, where(j <= i, sum(d, q * k) * 0.25, -inf))
out o = sum(j, p * v))",
        3);
}

TEST_CASE("plane outputs: any layout, and numbers of two bytes") {
  check(R"(
p = softmax(j, sum(d, q * k) * 0.25)
out rows[h, j, i] = p
out heads[i, j, h] = bf16(p * 2.0)
out o = sum(j, p * v))",
        6, 1, 4e-3);
}

TEST_CASE("plane outputs: empty rows and empty tiles are zero") {
  check(R"(
seen : i32[i]
p = softmax(j, where(j < seen - 1 && abs(i - j) < 9, sum(d, q * k) * 0.25, -inf))
out p2 = p
out o = sum(j, p * v))",
        3);
}

TEST_CASE("plane outputs: weights without a maximum, and what decides them") {
  check(R"(
s = sum(d, q * k) * 0.25
p = where(i >= j, sigmoid(s), 0.0)
out w = p
out o = sum(j, p * v)
out above = s > 0.5)",
        6);
}

TEST_CASE("plane outputs: exponentials that a sum follows the maximum of") {
  check(R"(
s = sum(d, q * k) * 0.25
out x = exp(s - max(j, s))
out o = sum(j, x * v))",
        3);
}

TEST_CASE("plane outputs: the mean of the weights of all heads, in a walk of its own") {
  check(R"(
p = softmax(j, where(j <= i, sum(d, q * k) * 0.25, -inf))
out mean_weights = mean(h, p)
out o = sum(j, p * v))",
        1, 2);
}

TEST_CASE("plane outputs: a difference of two softmaxes") {
  check(R"(
k2 : f32[h, j, d]
p = softmax(j, sum(d, q * k) * 0.25) - 0.5 * softmax(j, sum(d, q * k2) * 0.25)
out w = p
out o = sum(j, p * v))",
        3, 2);
}

TEST_CASE("plane outputs: heads that talk") {
  check(R"(
axis m = 3
a : f32[h, m]
p = softmax(j, where(j <= i, sum(h, a * sum(d, q * k) * 0.25), -inf))
out w = p)",
        3);
}

TEST_CASE("plane outputs: scores are a product of matrices, with their end") {
  check("out s = tanh(sum(d, q * k) * 0.25)", 0, 0);
}

TEST_CASE("plane outputs: NaN behind a mask stays there, before it shows") {
  const Graph graph = parse(std::string(kHead) + R"(
p = softmax(j, where(j != 7, sum(d, q * k) * 0.25, -inf))
out w = p
out o = sum(j, p * v))");
  const Kernel kernel = compile(graph);
  for (const bool behind : {true, false}) {
    const Sizes sizes = {{"i", 50}, {"j", 60}};
    ir::Arrays inputs = random_inputs(graph, sizes, 3);
    const std::size_t row = behind ? 7 : 9;
    for (std::size_t d = 0; d < 16; d++)
      inputs["k"].data[row * 16 + d] = std::numeric_limits<double>::quiet_NaN();
    compare(kernel, graph, inputs, sizes);
  }
}

TEST_CASE("plane outputs: large scores") {
  const Graph graph = parse(std::string(kHead) + R"(
p = softmax(j, sum(d, q * k))
out w = p
out o = sum(j, p * v))");
  const Kernel kernel = compile(graph);
  for (const auto& [rows, columns] : {Shape{50, 60}, Shape{2, 60}}) {
    const Sizes sizes = {{"i", rows}, {"j", columns}};
    ir::Arrays inputs = random_inputs(graph, sizes, 3);
    for (double& x : inputs["q"].data) x = static_cast<float>(x * 1e36);
    compare(kernel, graph, inputs, sizes);
  }
}

}  // namespace fovea::test
