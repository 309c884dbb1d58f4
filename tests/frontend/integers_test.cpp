// Integers wrap around, `/` and `%` round down, divided by nothing they are 0, and every pair of
// operands has its place: in masks and in values, off the plane and on it, whatever lies across the
// lanes.
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
    Options options{.target = std::string(target.name), .threads = 2};
    if (fused) options.fuse = true;
    const Kernel kernel = compile(graph, options);
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
constexpr auto kQuotients = std::array<std::string_view, 11>{"x / y",
                                                             "x % y",
                                                             "x / 3",
                                                             "x % 3",
                                                             "x / -3 + y % -7",
                                                             "y / -1 - x % -1",
                                                             "(x + j) / (y - i)",
                                                             "(i - j) / 5 + (i - j) % 5",
                                                             "x % size(j) + y / size(i)",
                                                             "(-2147483647 - 1) / (x - x - 1)",
                                                             "(-2147483647 - 1) % (y - y - 1)"};

// Beyond i32 for some pairs, also by what a compiler would conclude if it took that for impossible.
constexpr auto kWrapping = std::array<std::string_view, 17>{"x + y",
                                                            "x - y",
                                                            "x * y",
                                                            "-x - y",
                                                            "abs(x) + abs(y)",
                                                            "x + 2147483647 - y",
                                                            "(x + 1000) / 3 - (y * 8) / 4",
                                                            "x * 6 % 3 + y * 65536 / 16",
                                                            "i32(x + y < x)",
                                                            "i32(y - 1 < y) - i32(abs(x) < 0)",
                                                            "max(x + i, y - j) - min(x * j, y + 1)",
                                                            "(i * 100000007 + j * 7777777) * 31",
                                                            "where(x - y > 0, x - y, y - x)",
                                                            "x * size(j) + y * size(i)",
                                                            "x - x - 2147483647 - 2",
                                                            "(y - y + 65536) * 65537",
                                                            "abs(x - x - 2147483647 - 1)"};

}  // namespace

TEST_CASE("integers: sums, differences and products wrap around off the plane") {
  std::string text = "axis i, j\nx : i32[i]\ny : i32[j]\n";
  int n = 0;
  for (const std::string_view term : kWrapping)
    text += fmt::format("out o{} = {} + 0 * (x + y)\n", n++, term);
  for (const std::string_view fold : {"sum", "max", "min", "argmax"}) {
    text += fmt::format("out f{} = {}(j, x + y)\n", n, fold);
    text += fmt::format("out g{} = {}(i, x + j)\n", n, fold);
    text += fmt::format("out h{} = {}(j, x * 3 - j)\n", n++, fold);
  }
  check(text + "out c = cumsum(j, y)\nout l = sum(j, x)\n", false);
}

TEST_CASE("integers: sums, differences and products wrap around on the plane") {
  std::string text(kHead);
  int n = 0;
  for (const std::string_view term : kWrapping)
    text += fmt::format("out o{} = sum(j, f32(({}) % 1024) * f32(j % 5 + 1))\n", n++, term);
  for (const std::string_view fold : {"sum", "max", "min"}) {
    text += fmt::format("out f{} = {}(j, where(s > 0.0, x + y, x - j))\n", n, fold);
    text += fmt::format("out g{} = {}(i, where(s > 0.0, x * y, y + i))\n", n++, fold);
  }
  check(text + "out o = sum(j, softmax(j, s) * v)", true);
}

TEST_CASE("integers: what wraps around decides what is masked") {
  for (const std::string_view mask :
       {"x - y > 5", "x + y < x", "(x * y + j) % 3 != 1", "(i * 100000007 + j * 7777777) % 5 > 0"})
    check(std::string(kHead) +
              fmt::format("m = {}\nout o = sum(j, softmax(j, where(m, s, -inf)) * v)", mask),
          true);
}

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
