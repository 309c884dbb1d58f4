// Compiling again what is in use, and what kernels need besides inputs and outputs.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>

#include "fovea/fovea.h"
#include "ir/text.h"
#include "passes/pipeline.h"
#include "tests/frontend/support.h"

namespace fovea {
namespace {

constexpr const char* kAttention = R"(
axis i, j, d = 16
q : f32[i, d]
k : f32[j, d]
out o = sum(j, softmax(j, sum(d, q * k)) * k)
)";

// Two kernels off the plane, the second of which reads what the first stores.
constexpr const char* kStored = R"(
axis i
x : f32[i]
c = cumsum(i, x)
out o = cumsum(i, c)
)";

double microseconds(auto&& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

TEST_CASE("compiled = interpreted, whichever pass is the last") {
  const char* const texts[] = {R"(
axis i, j, d = 16, e = 16
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
out o = sum(j, softmax(j, where(j <= i, sum(d, q * k), -inf)) * v)
)",
                               R"(
axis i, j, d = 16, n < degree
degree : i32[i]
q : f32[i, d]
k : f32[j, d]
out o = sum(n, softmax(n, sum(d, q * k[j = n])))
)"};
  for (const char* text : texts) {
    const Graph graph = parse(text);
    for (const std::int64_t rows : {5, 50}) {
      const Sizes sizes{{"i", rows}, {"j", 70}};
      const ir::Arrays inputs = test::random_inputs(graph, sizes, 1);
      const ir::Arrays expected = ir::interpret(graph, inputs, sizes);
      const std::size_t most = passes::pipeline().size() + 3;  // of a specialization
      for (std::size_t last = 0; last <= most; last++) {
        CAPTURE(rows);
        CAPTURE(last);
        setenv("FOVEA_PASSES", std::to_string(last).c_str(), 1);
        const Kernel kernel = compile(graph);
        unsetenv("FOVEA_PASSES");
        const auto differs =
            test::difference(test::run(kernel, graph, inputs, sizes), expected, 1e-5);
        CHECK_MESSAGE(!differs, differs.value_or(""));
      }
    }
  }
}

TEST_CASE("an equal graph with equal options is compiled once while it is in use") {
  const Graph graph = parse(kAttention);
  const Kernel first = compile(graph);
  double best = 1e9;
  for (int n = 0; n < 20; n++)
    best = std::min(best, microseconds([&] { CHECK(&compile(graph).graph() == &first.graph()); }));
  MESSAGE("compiled again: ", best, " us");
  CHECK(&compile(parse(kAttention)).graph() == &first.graph());
  CHECK(&compile(graph, {.threads = 1}).graph() != &first.graph());
  CHECK(&compile(graph, {.fuse = false}).graph() != &first.graph());
  std::string other = kAttention;
  other.replace(other.find("* k)) * k"), 9, "* k)) + k");
  CHECK(&compile(parse(other)).graph() != &first.graph());
}

TEST_CASE("scratch counts for every thread, and does not grow with the plane") {
  const Graph graph = parse(kAttention);
  const Kernel one = compile(graph, {.threads = 1}), three = compile(graph, {.threads = 3});
  const double bytes = one.explain({{"i", 1000}, {"j", 1000}}).extra_bytes;
  CHECK(bytes > 0);
  CHECK(one.explain({{"i", 1000}, {"j", 8000}}).extra_bytes == bytes);
  const Report report = three.explain({{"i", 1000}, {"j", 1000}});
  CHECK(report.threads == 3);
  CHECK(report.extra_bytes > bytes);
  CHECK(report.extra_bytes <= 3 * bytes);
}

TEST_CASE("what is stored between kernels counts by its type and sizes") {
  const Kernel kernel = compile(parse(kStored), {.threads = 2});
  REQUIRE(kernel.graph().kernels.size() == 2);
  CHECK(kernel.explain({{"i", 100}}).extra_bytes == 400);
}

}  // namespace
}  // namespace fovea
