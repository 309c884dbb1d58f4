// Integer `/` and `%` round down, divided by nothing they are 0, and every pair of operands has its
// place: in masks and in values, off the plane and on it, whatever lies across the lanes.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>

#include "codegen/targets.h"
#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr auto kOperands = std::array<double, 16>{
    -2147483648.0, -2147483647.0, -1000,       -7, -3, -2, -1, 0, 1, 2, 3, 7, 8,
    1000,          2147483646.0,  2147483647.0};

// Rows have the operands one after the other, columns every operand that often in a row: all pairs
// are there from 16 rows and columns on.
ir::Arrays inputs_of(const Graph& graph, const Sizes& sizes) {
  ir::Arrays inputs = random_inputs(graph, sizes, 5);
  for (const char* name : {"x", "y"}) {
    if (!inputs.contains(name)) continue;
    auto& data = inputs[name].data;
    for (std::size_t n = 0; n < data.size(); ++n)
      data[n] = kOperands[(name[0] == 'x' ? n : n / (data.size() / 16 + 1)) % kOperands.size()];
  }
  return inputs;
}

// All targets, few rows and many. `fused`: a kernel walks the plane.
void check(const std::string& text, bool fused) {
  const Graph graph = parse(text);
  INFO(text);
  for (const ir::Target& target : codegen::runnable_targets()) {
    const Kernel kernel = compile(graph, {.target = std::string(target.name), .threads = 2});
    for (const std::int64_t rows : {1, 7, 16, 100}) {
      const Sizes sizes = {{"i", rows}, {"j", 160}};
      if (fused) CHECK(planes_of(kernel, sizes).kernels > 0);
      INFO(target.name << " for " << describe(sizes));
      const ir::Arrays inputs = inputs_of(graph, sizes);
      const auto differs =
          difference(run(kernel, graph, inputs, sizes), ir::interpret(graph, inputs, sizes));
      CHECK_MESSAGE(!differs, differs.value_or(""));
    }
  }
}

constexpr std::string_view kHead = R"(
axis i, j, d = 8, e = 16
x : i32[i]
y : i32[j]
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
s = sum(d, q * k)
)";

// What is asked of every pair: by an operand and by constants, of tensors and of indices.
constexpr auto kQuotients = std::array<std::string_view, 9>{"x / y",
                                                            "x % y",
                                                            "x / 3",
                                                            "x % 3",
                                                            "x / -3 + y % -7",
                                                            "y / -1 - x % -1",
                                                            "(x + j) / (y - i)",
                                                            "(i - j) / 5 + (i - j) % 5",
                                                            "x % size(j) + y / size(i)"};

}  // namespace

TEST_CASE("integers: quotients off the plane, stored as they are") {
  std::string text = "axis i, j\nx : i32[i]\ny : i32[j]\n";
  int n = 0;
  for (const std::string_view quotient : kQuotients)
    text += fmt::format("out o{} = {} + 0 * (x + y)\n", n++, quotient);
  check(text, false);
}

TEST_CASE("integers: quotients are values on the plane") {
  std::string text(kHead);
  int n = 0;
  // Small enough that f32 holds every sum exactly.
  for (const std::string_view quotient : kQuotients)
    text += fmt::format("out o{} = sum(j, f32(({}) % 1024) * f32(j % 5 + 1))\n", n++, quotient);
  check(text + "out o = sum(j, softmax(j, s) * v)", true);
}

TEST_CASE("integers: quotients decide what is masked") {
  for (const std::string_view quotient : kQuotients)
    check(std::string(kHead) +
              fmt::format("m = ({}) % 3 != 1\nout o = sum(j, softmax(j, where(m, s, -inf)) * v)",
                          quotient),
          true);
}

}  // namespace fovea::test
