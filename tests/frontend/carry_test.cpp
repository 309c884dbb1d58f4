// Sums whose far part is carried from tile to tile: the same numbers as over the whole plane.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr std::string_view kHead = R"(
axis h = 2, i, j, d = 16, e = 24
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
rate : f32[h]
)";

Graph graph_of(std::string_view body) { return parse(std::string(kHead) + std::string(body)); }

bool carries(const Kernel& kernel) {
  return std::ranges::any_of(kernel.graph().kernels, [](const auto& each) { return each.carries; });
}

// Rows and columns around tiles, and more of one than of the other.
constexpr std::pair<int, int> kShapes[] = {{1, 1},     {47, 47},   {48, 48},
                                           {49, 49},   {97, 96},   {200, 200},
                                           {300, 130}, {130, 300}, {1000, 1000}};

void check(const Graph& graph, double tolerance = 1e-5) {
  for (const char* target : {"", "avx2", "sse41"}) {
    const Kernel kernel = compile(graph, {.target = target});
    CHECK(carries(kernel));
    for (const auto& [rows, columns] : kShapes) {
      const Sizes sizes{{"i", rows}, {"j", columns}};
      INFO(target, " ", describe(sizes));
      const ir::Arrays inputs = random_inputs(graph, sizes, 5);
      const auto differs = difference(run(kernel, graph, inputs, sizes),
                                      ir::interpret(graph, inputs, sizes), tolerance);
      CHECK_MESSAGE(!differs, differs.value_or(""));
    }
  }
}

}  // namespace

TEST_CASE("carry: a masked sum of products") {
  check(graph_of(R"(
s = where(j <= i, sum(d, q * k) * 0.25, 0.0)
out o = sum(j, s * v)
out z = sum(j, s)
)"));
}

TEST_CASE("carry: prefix sums that a user wrote") {
  check(graph_of(R"(
out o = sum(d, q * cumsum(j, k * v)[j = i + 5])
)"));
}

TEST_CASE("carry: scores that fade") {
  check(graph_of(R"(
s = sum(d, q * k) * exp(f32(i - j) * -0.01 * abs(rate))
out o = sum(j, where(j <= i, s, 0.0) * v)
)"));
}

TEST_CASE("carry: channels that fade by themselves") {
  check(graph_of(R"(
a = cumsum(j, -0.01 * abs(k))
out o = sum(j, where(j <= i, sum(d, q * k * exp(a[j = min(i, size(j) - 1)] - a)), 0.0) * v)
)"));
}

TEST_CASE("carry: no contraction, divisors and features of both") {
  check(graph_of(R"(
x = sum(d, q) / (1.0 + abs(rate))
out o = sum(j, where(j / 2 < i, -(x / (2.0 + abs(rate))), 0.0) * v)
)"));
}

TEST_CASE("carry: a read outside is 0 and so is its product, but not what is more than a product") {
  check(graph_of(R"(
s = sum(d, q * k) * rate[h = h - 1]
out o = sum(j, where(j <= i, s, 0.0) * v)
)"));
  check(graph_of(R"(
s = sum(d, q * k) * (rate[h = h - 1] + 1.0)
out o = sum(j, where(j <= i, s, 0.0) * v)
)"));
  check(graph_of(R"(
s = sum(d, q * k) * exp(abs(rate[h = h - 1]) * -0.01 * f32(i - j))
out o = sum(j, where(j <= i, s, 0.0) * v)
)"));
}

TEST_CASE("carry: the same bits for every number of threads") {
  const Graph graph = graph_of("out o = sum(j, where(j <= i, sum(d, q * k), 0.0) * v)\n");
  const Sizes sizes{{"i", 500}, {"j", 500}};
  const ir::Arrays inputs = random_inputs(graph, sizes, 5);
  const ir::Arrays one = run(compile(graph, {.threads = 1}), graph, inputs, sizes);
  for (const int threads : {2, 3, 5})
    CHECK(run(compile(graph, {.threads = threads}), graph, inputs, sizes).at("o").data ==
          one.at("o").data);
}

TEST_CASE("carry: what is not finite shows in the rows that see it, and in no others") {
  const Graph graph = graph_of("out o = sum(j, where(j <= i, sum(d, q * k), 0.0) * v)\n");
  const Sizes sizes{{"i", 300}, {"j", 300}};
  ir::Arrays inputs = random_inputs(graph, sizes, 5);
  inputs.at("v").data[200 * 24 + 3] = std::numeric_limits<double>::quiet_NaN();
  inputs.at("k").data[(300 + 100) * 16] = std::numeric_limits<double>::infinity();
  const auto differs = compiled_differs(graph, inputs, sizes);
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

TEST_CASE("carry: work grows with the length, not with its square") {
  const Kernel kernel =
      compile(graph_of("out o = sum(j, where(j <= i, sum(d, q * k), 0.0) * v)\n"));
  const auto flops = [&](std::int64_t length) {
    double all = 0;
    for (const KernelReport& each : kernel.explain({{"i", length}, {"j", length}}).kernels)
      all += each.flops;
    return all;
  };
  CHECK(flops(64000) < 2.05 * flops(32000));
  CHECK(flops(64000) < 64000.0 * 2 * (2 * 48 * (16 + 24) + 4 * 16 * 24) * 1.05);
}

TEST_CASE("carry: a kernel that cannot is told so") {
  const std::string text = std::string(kHead) + R"(
m = j <= i
out o = sum(j, where(m, exp(sum(d, q * k)), 0.0))
kernel o(o) over i, j visible=m solid=m carry=solid rows=48 columns=48 chunk=2 slots=_
)";
  const std::string error = error_of([&] { compile(parse(text)); });
  CHECK(error.find("invalid_config") == 0);
  CHECK(error.find("carry=solid") != std::string::npos);
}

}  // namespace fovea::test
