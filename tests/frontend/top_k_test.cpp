// Selection, compiled: exactly what a stable sort puts first, whatever is equal, excluded or
// missing.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "codegen/targets.h"
#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr std::int64_t kRows = 3;

// Few different numbers, so that many are equal; of floats some are excluded, and some are NaN.
double number(Dtype dtype) {
  if (dtype == Dtype::Bool) return *rc::gen::inRange(0, 2);
  const int x = *rc::gen::inRange(-5, 6);
  if (dtype == Dtype::I32 || std::abs(x) < 5) return x;
  return x < 0 ? -HUGE_VAL : NAN;
}

std::vector<double> expected(const std::vector<double>& row, std::size_t places) {
  std::vector<double> order;
  for (std::size_t j = 0; j < row.size(); ++j) {
    if (row[j] > -HUGE_VAL) order.push_back(static_cast<double>(j));
  }
  const auto rank = [&](double j) { return std::pair(-row[static_cast<std::size_t>(j)], j); };
  std::ranges::sort(order, {}, rank);
  order.resize(std::max(order.size(), places), -1);
  order.resize(places);
  return order;
}

void check(const Kernel& kernel, const Graph& graph, Dtype dtype, std::size_t places) {
  const auto columns = *rc::gen::inRange<std::int64_t>(1, 140);
  ir::Array x{dtype, {kRows, columns}, {}};
  std::vector<double> all;
  for (std::int64_t i = 0; i < kRows; ++i) {
    std::vector<double> row;
    for (std::int64_t j = 0; j < columns; ++j) row.push_back(number(dtype));
    x.data.insert(x.data.end(), row.begin(), row.end());
    const std::vector<double> first = expected(row, places);
    all.insert(all.end(), first.begin(), first.end());
  }
  const ir::Arrays found = run(kernel, graph, {{"x", x}}, {});
  RC_ASSERT(found.at("t").data == all);
}

}  // namespace

TEST_CASE("top-k: compiled = a stable sort") {
  for (const Dtype dtype : {Dtype::F32, Dtype::I32, Dtype::Bool}) {
    for (const int places : {1, 2, 17, 64}) {
      const Graph graph = parse(fmt::format(
          "axis i, j, n = {}\nx : {}[i, j]\nout t = topk(j, n, x)", places, ir::name(dtype)));
      const Kernel kernel = compile(graph, {.threads = 2});
      CHECK(rc::check(fmt::format("{} of {}", places, ir::name(dtype)),
                      [&] { check(kernel, graph, dtype, static_cast<std::size_t>(places)); }));
    }
  }
}

// The last bit of a computed element decides whether it is among the best: it has only one.
TEST_CASE("top-k: of what is computed, as many are chosen as there are, and none twice") {
  const Graph graph = parse(R"(
axis i, j, n = 5
x : f32[i, j]
out t = topk(j, n, softmax(j, x * 0.37 + 0.1) * 1.7 - 0.3)
)");
  for (const ir::Target& target : codegen::runnable_targets()) {
    INFO(target.name);
    const Kernel kernel = compile(graph, {.target = std::string(target.name)});
    for (const std::int64_t columns : {5, 6, 64, 131}) {
      ir::Array x{f32, {200, columns}, {}};
      std::mt19937 random(static_cast<unsigned>(columns));
      std::normal_distribution<float> normal;
      for (std::int64_t n = 0; n < 200 * columns; ++n) x.data.push_back(normal(random));
      const std::vector<double> chosen = run(kernel, graph, {{"x", x}}).at("t").data;
      for (std::size_t row = 0; row < chosen.size(); row += 5) {
        std::vector<double> each(chosen.begin() + static_cast<std::ptrdiff_t>(row),
                                 chosen.begin() + static_cast<std::ptrdiff_t>(row + 5));
        std::ranges::sort(each);
        CHECK(each.front() >= 0);
        CHECK(each.back() < static_cast<double>(columns));
        CHECK(std::ranges::adjacent_find(each) == each.end());
      }
    }
  }
}

TEST_CASE("top-k: among neighbours, of which there may be none, or fewer than places") {
  const Graph graph = parse(R"(
axis i, j, e, r = i + 1, n < degree, t = 3
start : i32[r]
nb : i32[e]
x : f32[j]
y : f32[i]
degree = start[r = i + 1] - start[r = i]
near = x[j = nb[e = start[r = i] + n]]
out best = topk(n, t, near)
out computed = topk(n, t, near * y)
)");
  const Sizes sizes{{"i", 5}, {"j", 7}, {"e", 240}};
  ir::Arrays inputs = random_inputs(graph, sizes, 1, 7);
  inputs.at("start").data = {0, 0, 2, 9, 10, 240};
  for (double& x : inputs.at("x").data) x = std::round(x);  // often equal
  for (double& y : inputs.at("y").data) y = std::exp2(std::round(y));
  for (const ir::Target& target : codegen::runnable_targets()) {
    INFO(target.name);
    const auto differs =
        compiled_differs(graph, inputs, {}, 1e-5, {.target = std::string(target.name)});
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

}  // namespace fovea::test
