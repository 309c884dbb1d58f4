// What the fuzzer found, as small as it could be made: each case is a program, with sizes, that was
// once compiled wrongly or not at all. All targets, and tensors dense and not.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "codegen/targets.h"
#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

void check(std::string_view text, const std::vector<Sizes>& examples) {
  const Graph graph = parse(text);
  for (const ir::Target& target : codegen::runnable_targets()) {
    const Kernel kernel = compile(graph, {.target = std::string(target.name), .threads = 2});
    for (const Sizes& sizes : examples) {
      const ir::Arrays inputs = random_inputs(graph, sizes, 7);
      const ir::Arrays expected = ir::interpret(graph, inputs, sizes);
      for (const Layout layout : {Layout::Dense, Layout::Strided}) {
        INFO(target.name << " for " << describe(sizes));
        const auto differs = difference(run(kernel, graph, inputs, sizes, layout), expected);
        CHECK_MESSAGE(!differs, differs.value_or(""));
      }
    }
  }
}

}  // namespace

TEST_CASE("found: a panel that is a factor in a contraction and a result of its own") {
  check(R"(
axis h = 4, i, j, d = 20, e = 32
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
p = softmax(j, sum(d, q * k) * 0.3)
out o = sum(j, sum(h, p * v))
out largest = max(j, p))",
        {{{"i", 1}, {"j", 7}}, {{"i", 65}, {"j", 97}}});
}

TEST_CASE("found: a fold over rows of a plane that is in memory, which packs nothing") {
  check(R"(
axis i, j, d = 3, e = 8
q : f32[i, d]
k : f32[j, d]
w : f32[i, e]
p = softmax(j, sum(d, q * k))
out weights = p
out o = sum(i, p * w))",
        {{{"i", 1}, {"j", 7}}, {{"i", 65}, {"j", 97}}});
}

TEST_CASE("found: the least and greatest integer, and all and any, over rows") {
  check(R"(
axis i, j
x : i32[i]
y : i32[j]
out least = min(i, (x + 1) * (y + j))
out greatest = max(i, (x - 5) * (y + j))
out all = all(i, (x * y + i) % 7 != j % 7)
out any = any(i, x * i == y * j)
out both = any(j, (i - j) / 3 <= y) && all(i, j % 5 == i % 3))",
        {{{"i", 1}, {"j", 7}}, {{"i", 65}, {"j", 97}}, {{"i", 0}, {"j", 3}}});
}

TEST_CASE("found: a mask that every row shares and each head has its own of") {
  check(R"(
axis h = 3, i, j, d = 20, e = 32
length : i32[h]
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
p = softmax(j, where(j < 20 * length, sum(d, q * k) * 0.3, -inf))
out o = sum(j, sum(h, p * v)))",
        {{{"i", 1}, {"j", 7}}, {{"i", 65}, {"j", 197}}});
}

TEST_CASE("found: inputs that nothing needs once the graph is simplified") {
  check(R"(
axis i, j, m
x : bool[j]
y : f32[i, j]
z : f32[m, i]
out o = sum(j, where(x || j % 1 == i % 1, y, 0.0))
out extent = size(m) + i32(0.0 * z[m = 0]))",
        {{{"i", 1}, {"j", 7}, {"m", 3}}, {{"i", 65}, {"j", 97}, {"m", 2}}});
}

}  // namespace fovea::test
