// What values mean, on compiled code: exclusion, annihilation, NaN, infinities, sizes, dtypes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

constexpr std::string_view kHead = R"(
axis h = 2, i, j, d = 16, e = 24
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
)";

ir::Arrays inputs_of(const Graph& graph, const Sizes& sizes, int integers = 3) {
  return random_inputs(graph, sizes, 11, integers);
}

void check(const Graph& graph, const ir::Arrays& inputs, const Sizes& sizes = {},
           double tolerance = 1e-5) {
  INFO(print(graph));
  INFO(describe(sizes));
  const auto differs = compiled_differs(graph, inputs, sizes, tolerance);
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

// Row `n` along the second axis of [h, n, …] becomes this value throughout.
void set_row(ir::Array& array, std::int64_t n, double value) {
  const std::int64_t heads = array.shape[0], rows = array.shape[1];
  const auto width =
      static_cast<std::int64_t>(array.data.size()) / std::max<std::int64_t>(heads * rows, 1);
  for (std::int64_t head = 0; head < heads; ++head) {
    std::fill_n(array.data.begin() + (head * rows + n) * width, width, value);
  }
}

bool all_finite(const ir::Array& array) {
  return std::ranges::all_of(array.data, [](double x) { return std::isfinite(x); });
}

// Attention under a mask on 100 rows and 150 columns, of which those from 120 on no row sees, with
// `value` in keys and values there.
void check_hidden(std::string_view declarations, std::string_view mask, double value) {
  const Graph graph =
      parse(std::string(kHead) + std::string(declarations) + "\ns = sum(d, q * k) * 0.25\n" +
            "out o = sum(j, softmax(j, where(" + std::string(mask) + ", s, -inf)) * v)\n");
  const Sizes sizes = {{"i", 100}, {"j", 150}};
  ir::Arrays inputs = inputs_of(graph, sizes);
  if (inputs.contains("seen")) {
    for (std::size_t n = 0; n < inputs["seen"].data.size(); ++n) {
      if (n % 150 >= 120) inputs["seen"].data[n] = 0;
    }
  }
  if (inputs.contains("document")) {
    for (std::size_t n = 0; n < 150; ++n) inputs["document"].data[n] = n >= 120 ? 9 : n / 30;
    for (std::size_t n = 0; n < 100; ++n) inputs["mine"].data[n] = n / 25;
  }
  for (std::int64_t j = 120; j < 150; ++j) {
    set_row(inputs["k"], j, value);
    set_row(inputs["v"], j, value);
  }
  INFO(print(graph));
  const ir::Arrays found = run(compile(graph), graph, inputs, sizes);
  CHECK(all_finite(found.at("o")));
  const auto differs = difference(found, ir::interpret(graph, inputs, sizes));
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

}  // namespace

TEST_CASE("semantics: NaN and infinity behind a mask stay there") {
  for (const double value : {kNan, kInf, -kInf}) {
    CAPTURE(value);
    check_hidden("", "j <= i", value);
    check_hidden("", "j <= i && i - j < 17", value);
    check_hidden("", "j < 120", value);
    check_hidden("seen : bool[i, j]", "seen", value);
    check_hidden("document : i32[j]\nmine : i32[i]", "mine == document", value);
    check_hidden("", "j < 120 && (j % 3 == 0 || j <= i)", value);
  }
}

TEST_CASE("semantics: nested masks hide as one") {
  const Graph graph = parse(std::string(kHead) + R"(
s = sum(d, q * k) * 0.25
t = where(j <= i, where(i - j < 9, s, -inf), -inf)
out o = sum(j, softmax(j, where(j != 3, t, -inf)) * v)
)");
  const Sizes sizes = {{"i", 60}, {"j", 90}};
  ir::Arrays inputs = inputs_of(graph, sizes);
  for (const std::int64_t j : {3, 60, 75, 89}) {
    set_row(inputs["k"], j, kNan);
    set_row(inputs["v"], j, kInf);
  }
  check(graph, inputs, sizes);
  CHECK(all_finite(run(compile(graph), graph, inputs, sizes).at("o")));
}

TEST_CASE("semantics: masks of numbers and of extents, by row and by column") {
  for (const char* join : {"&&", "||"}) {
    const Graph graph = parse(std::string(kHead) + R"(
x : f32[i]
m = x < 0.0 )" + join + R"( j <= i + size(j) - size(i)
out o = sum(j, softmax(j, where(m, sum(d, q * k) * 0.25, -inf)) * v)
)");
    const Sizes sizes = {{"i", 129}, {"j", 64}};
    check(graph, inputs_of(graph, sizes), sizes);
  }
}

TEST_CASE("semantics: NaN that is seen shows in the rows that see it and in no others") {
  const Graph graph = parse(std::string(kHead) + R"(
out o = sum(j, softmax(j, where(j <= i, sum(d, q * k) * 0.25, -inf)) * v)
)");
  const Sizes sizes = {{"i", 150}, {"j", 150}};
  const Kernel kernel = compile(graph);
  for (const char* name : {"k", "v", "q"}) {
    CAPTURE(name);
    ir::Arrays inputs = inputs_of(graph, sizes);
    set_row(inputs[name], 70, kNan);
    const ir::Array o = run(kernel, graph, inputs, sizes).at("o");
    for (std::int64_t i = 0; i < 150; ++i) {
      const bool sees = name[0] == 'q' ? i == 70 : i >= 70;
      const double x = o.data[static_cast<std::size_t>(i * 24)];
      CHECK(std::isnan(x) == sees);
    }
    const auto differs = difference({{"o", o}}, ir::interpret(graph, inputs, sizes));
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

TEST_CASE("semantics: one infinite value shows with its sign") {
  const Graph graph = parse(std::string(kHead) + R"(
out o = sum(j, softmax(j, sum(d, q * k) * 0.25) * v)
)");
  const Sizes sizes = {{"i", 20}, {"j", 130}};
  ir::Arrays inputs = inputs_of(graph, sizes);
  inputs["v"].data[5 * 24 + 3] = -kInf;
  check(graph, inputs, sizes);
}

TEST_CASE("semantics: rows that see nothing are zeros, their logsumexp is -inf") {
  const Graph graph = parse(std::string(kHead) + R"(
s = where(j < i - 40, sum(d, q * k) * 0.25, -inf)
out o = sum(j, softmax(j, s) * v)
out lse = logsumexp(j, s)
)");
  for (const std::int64_t rows : {1, 40, 120}) {
    const Sizes sizes = {{"i", rows}, {"j", 65}};
    const ir::Arrays inputs = inputs_of(graph, sizes);
    const ir::Arrays found = run(compile(graph), graph, inputs, sizes);
    for (std::size_t n = 0; n < static_cast<std::size_t>(std::min<std::int64_t>(rows, 41) * 24);
         ++n) {
      CHECK(found.at("o").data[n] == 0);
    }
    CHECK(found.at("lse").data[0] == -kInf);
    check(graph, inputs, sizes);
  }
}

TEST_CASE("semantics: scores of 1e38 are as good as scores of 1") {
  const Graph graph = parse(R"(
axis i, j, e = 8
a : f32[i]
b : f32[j]
v : f32[j, e]
s = a + b
out o = sum(j, softmax(j, s) * v)
out causal = sum(j, softmax(j, where(j <= i, s, -inf)) * v)
out lse = logsumexp(j, s)
)");
  const Sizes sizes = {{"i", 70}, {"j", 100}};
  ir::Arrays inputs = inputs_of(graph, sizes);
  for (std::size_t n = 0; n < 70; ++n) inputs["a"].data[n] = n % 2 == 0 ? 1e38F : -1e38F;
  check(graph, inputs, sizes);
  for (std::size_t n = 0; n < 100; ++n) inputs["b"].data[n] = n % 3 == 0 ? 1e38F : -1e38F;
  check(graph, inputs, sizes);
}

TEST_CASE("semantics: products beyond f32 weigh as their sums do") {
  const Graph graph = parse(R"(
axis i, j, d = 1, e = 8
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
out o = sum(j, softmax(j, sum(d, q * k)) * v)
)");
  const Sizes sizes = {{"i", 5}, {"j", 100}};
  ir::Arrays inputs = inputs_of(graph, sizes);
  std::ranges::fill(inputs["q"].data, 1.7e38F);
  std::ranges::fill(inputs["k"].data, 1.7e38F);
  check(graph, inputs, sizes);
  std::ranges::fill(inputs["k"].data, -1.7e38F);
  check(graph, inputs, sizes);
}

TEST_CASE("semantics: a factor of exactly 0 annihilates") {
  const Graph graph = parse(R"(
axis i, j, e = 8
w : f32[i, j]
v : f32[j, e]
m = where(j <= i, w, 0.0)
out o = sum(j, m * v)
out p = sum(j, -(m - m) * v / 2.0)
)");
  const Sizes sizes = {{"i", 40}, {"j", 70}};
  ir::Arrays inputs = inputs_of(graph, sizes);
  for (std::size_t n = 45 * 8; n < 70 * 8; ++n) inputs["v"].data[n] = n % 2 == 0 ? kNan : kInf;
  check(graph, inputs, sizes);
  CHECK(all_finite(run(compile(graph), graph, inputs, sizes).at("o")));
}

// The limit that ir/README.md tells: a quotient that is stored has lost its numerator.
TEST_CASE("semantics: a numerator of 0 annihilates, unless only the quotient is stored") {
  constexpr std::string_view kWeights = R"(
axis i, j, d = 1
q : f32[i, d]
k : f32[j, d]
p = softmax(j, sum(d, q * k))
out g = sum(i, p * q)
)";
  const Graph graph = parse(kWeights);
  const ir::Arrays inputs{{"q", {f32, {2, 1}, {1, -1}}}, {"k", {f32, {2, 1}, {kInf, 2}}}};
  check(graph, inputs);
  CHECK(run(compile(graph), graph, inputs).at("g").data[1] == -1);

  const Graph stores = parse(std::string(kWeights) + "out w = p\n");
  const ir::Arrays found = run(compile(stores), stores, inputs);
  const auto differs =
      difference({{"w", found.at("w")}}, {{"w", ir::interpret(stores, inputs, {}).at("w")}});
  CHECK_MESSAGE(!differs, differs.value_or(""));
  CHECK(std::isnan(found.at("g").data[1]));
}

TEST_CASE("semantics: nothing along an axis") {
  const Graph graph = parse(std::string(kHead) + R"(
s = sum(d, q * k) * 0.25
out o = sum(j, softmax(j, s) * v)
out lse = logsumexp(j, s)
out best = argmax(j, s)
out high = max(j, s)
out all_rows = sum(i, q)
out mean_of = mean(j, v)
)");
  const Kernel kernel = compile(graph);
  for (const auto& [rows, columns] : {std::pair(5, 0), std::pair(0, 5), std::pair(0, 0)}) {
    const Sizes sizes = {{"i", rows}, {"j", columns}};
    INFO(describe(sizes));
    const ir::Arrays inputs = inputs_of(graph, sizes);
    const auto differs =
        difference(run(kernel, graph, inputs, sizes), ir::interpret(graph, inputs, sizes));
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

TEST_CASE("semantics: a cache and its new keys, either of them empty") {
  const Graph graph = parse(R"(
axis h = 2, i, past, new, j = past + new, d = 16, e = 8
q : f32[h, i, d]
k0 : f32[h, past, d]
k1 : f32[h, new, d]
v0 : f32[h, past, e]
v1 : f32[h, new, e]
k = k0[past = j else k1[new = j - size(past)]]
v = v0[past = j else v1[new = j - size(past)]]
out o = sum(j, softmax(j, where(j <= i + size(past), sum(d, q * k) * 0.25, -inf)) * v)
)");
  const Kernel kernel = compile(graph);
  for (const auto& [past, fresh] :
       {std::pair(90, 7), std::pair(0, 20), std::pair(33, 0), std::pair(0, 0)}) {
    const Sizes sizes = {{"i", std::max(fresh, 1)}, {"past", past}, {"new", fresh}};
    INFO(describe(sizes));
    const ir::Arrays inputs = inputs_of(graph, sizes);
    const auto differs =
        difference(run(kernel, graph, inputs, sizes), ir::interpret(graph, inputs, sizes));
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

TEST_CASE("semantics: several outputs, weights among them, in layouts of their own") {
  const Graph graph = parse(std::string(kHead) + R"(
s = where(j <= i, sum(d, q * k) * 0.25, -inf)
out p = softmax(j, s)
out turned[j, i, h] = p * 2.0
out o[i, h, e] = sum(j, p * v)
out lse[i, h] = logsumexp(j, s)
out total = sum((i, h), o)
)");
  for (const auto& [rows, columns] : {std::pair(7, 9), std::pair(65, 130)}) {
    const Sizes sizes = {{"i", rows}, {"j", columns}};
    check(graph, inputs_of(graph, sizes), sizes);
  }
}

TEST_CASE("semantics: views that are neither dense nor aligned") {
  const Graph graph = parse(std::string(kHead) + R"(
mask : bool[i, j]
out o = sum(j, softmax(j, where(mask, sum(d, q * k) * 0.25, -inf)) * v)
out lse[i, h] = logsumexp(j, where(mask, sum(d, q * k) * 0.25, -inf))
)");
  const Kernel kernel = compile(graph);
  for (const auto& [rows, columns] : {std::pair(3, 5), std::pair(70, 101)}) {
    const Sizes sizes = {{"i", rows}, {"j", columns}};
    const ir::Arrays inputs = inputs_of(graph, sizes);
    const auto differs = difference(run(kernel, graph, inputs, sizes, Layout::Strided),
                                    ir::interpret(graph, inputs, sizes));
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

TEST_CASE("semantics: every dtype in and out") {
  for (const char* dtype : {"f32", "bf16", "f16", "i32", "u8", "i8", "i4", "bool"}) {
    const std::string name = dtype;
    const Graph graph =
        parse("axis i, j, d = 16, e = 7\nq : f32[i, d]\nk : " + name + "[j, d]\nv : " + name +
              "[j, e]\nout o = sum(j, softmax(j, sum(d, q * k) * 0.25) * v)\n" +
              "out same = " + name + "(v)\nout scaled = " + name + "(o * 3.0)\n");
    for (const Layout layout : {Layout::Dense, Layout::Strided}) {
      const Sizes sizes = {{"i", 50}, {"j", 101}};
      const ir::Arrays inputs = inputs_of(graph, sizes);
      ir::Arrays expected = ir::interpret(graph, inputs, sizes);
      ir::Arrays found = run(compile(graph), graph, inputs, sizes, layout);
      // A sum right at the border may fall to either side of it.
      if (!ir::is_float(expected.at("scaled").dtype) && name != "bool") {
        double off = 0;
        for (std::size_t n = 0; n < expected.at("scaled").data.size(); ++n) {
          off = std::max(off, std::abs(expected.at("scaled").data[n] - found.at("scaled").data[n]));
        }
        CHECK(off <= 1);
        expected.erase("scaled");
      }
      INFO(name);
      const auto differs = difference(found, expected,
                                      name == "bf16"  ? 8e-3
                                      : name == "f16" ? 1e-3
                                                      : 1e-5);
      CHECK_MESSAGE(!differs, differs.value_or(""));
    }
  }
}

TEST_CASE("semantics: integer arithmetic, exact") {
  const Graph graph = parse(R"(
axis i, j, d = 12
a : i32[i, d]
b : i8[j, d]
c : u8[j]
out dot = sum(d, a * b)
out best = argmax(j, sum(d, a * b))
out over = sum(j, (sum(d, a * b) + c) % 7)
out mixed = sum(j, where(c > 3 && j != i, a[d = 3] / (b[d = 1] - 3), 0))
out any_of = any(j, c == 200)
)");
  const Sizes sizes = {{"i", 33}, {"j", 70}};
  ir::Arrays inputs = inputs_of(graph, sizes, 120);
  for (double& x : inputs["a"].data) x -= 60;
  check(graph, inputs, sizes);
}

TEST_CASE("semantics: gathered reads inside, and errors outside") {
  const Graph graph = parse(R"(
axis i, n = 5, j, d = 16, e = 8
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
neighbour : i32[i, n]
s = sum(d, q * k[j = neighbour]) * 0.25
out o = sum(n, softmax(n, s) * v[j = neighbour])
)");
  const Sizes sizes = {{"i", 40}, {"j", 30}};
  ir::Arrays inputs = inputs_of(graph, sizes, 30);
  check(graph, inputs, sizes);
  const Kernel kernel = compile(graph);
  for (const double wrong : {-1.0, 30.0, 2147483647.0, -2147483648.0}) {
    ir::Arrays bad = inputs;
    bad["neighbour"].data[77] = wrong;
    const std::string error = error_of([&] { run(kernel, graph, bad, sizes); });
    CAPTURE(error);
    CHECK(error.starts_with("out_of_bounds"));
    CHECK(error.find("'j'") != std::string::npos);
    CHECK(error.find("30") != std::string::npos);
  }
  const Graph tolerant = parse(R"(
axis i, n = 5, j, e = 8
v : f32[j, e]
neighbour : i32[i, n]
out o = sum(n, v[j = neighbour else -2.0])
)");
  ir::Arrays some = inputs_of(tolerant, sizes, 30);
  some["neighbour"].data[3] = -1;
  some["neighbour"].data[9] = 30;
  check(tolerant, some, sizes);
}

TEST_CASE("semantics: ragged neighbour sets") {
  const Graph graph = parse(R"(
axis h = 2, i, r = i + 1, edge, j, d = 8, e = 8, n < degree
start : i32[r]
column : i32[edge]
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
weight : f32[edge]
degree = start[r = i + 1] - start[r = i]
key = column[edge = start[r = i] + n]
s = sum(d, q * k[j = key]) * 0.35 + weight[edge = start[r = i] + n]
out o = sum(n, softmax(n, s) * v[j = key])
out count = sum(n, 1)
out high = max(n, s)
)");
  for (const int rows : {1, 9, 50}) {
    const Sizes sizes = {{"i", rows}, {"edge", rows * 3}, {"j", 20}};
    ir::Arrays inputs = inputs_of(graph, sizes, 20);
    std::vector<double>& start = inputs["start"].data;
    // Degrees 0, 6, 0, 6, …, of which the list holds all.
    for (std::size_t n = 0; n < start.size(); ++n)
      start[n] = std::min<double>(6.0 * (n / 2), rows * 3);
    check(graph, inputs, sizes);
  }
}

TEST_CASE("semantics: topk, argmax and cumsum choose and add as the interpreter does") {
  const Graph graph = parse(R"(
axis i, j, n = 6
x : f32[i, j]
y : i32[i, j]
at = topk(j, n, x)
out where_at = at
out values = x[j = at else -1.0]
out best = argmax(j, x)
out best_integer = argmax(j, y)
out running = cumsum(j, x)
out running_integer = cumsum(j, y)
out least = topk(j, n, -y)
)");
  for (const auto& [rows, columns] : {std::pair(3, 4), std::pair(1, 1), std::pair(20, 67)}) {
    const Sizes sizes = {{"i", rows}, {"j", columns}};
    ir::Arrays inputs = inputs_of(graph, sizes, 4);
    std::vector<double>& x = inputs["x"].data;
    for (std::size_t n = 0; n < x.size(); ++n) {
      if (n % 5 == 1) x[n] = -kInf;
      if (n % 7 == 3) x[n] = kNan;
      if (n % 3 == 0) x[n] = 0.5;
    }
    ir::Arrays expected = ir::interpret(graph, inputs, sizes);
    check(graph, inputs, sizes);
  }
}

TEST_CASE("semantics: every element function") {
  const char* const kFunctions[] = {"abs(x)",
                                    "exp(x)",
                                    "exp2(x)",
                                    "log(y)",
                                    "log1p(y)",
                                    "sqrt(y)",
                                    "rsqrt(y)",
                                    "tanh(x)",
                                    "sigmoid(x)",
                                    "relu(x)",
                                    "leaky_relu(x, 0.1)",
                                    "elu(x)",
                                    "gelu(x)",
                                    "erf(x)",
                                    "sin(x)",
                                    "cos(x)",
                                    "asin(t)",
                                    "acos(t)",
                                    "atan(x)",
                                    "acosh(1.0 + y)",
                                    "atanh(t)",
                                    "floor(x)",
                                    "round(x)",
                                    "pow(y, x)",
                                    "x % 0.7",
                                    "min(x, t)",
                                    "max(x, t)",
                                    "x / y",
                                    "-x"};
  std::string text = "axis i\nx : f32[i]\ny : f32[i]\nt : f32[i]\n";
  int number = 0;
  for (const char* function : kFunctions)
    text += "out o" + std::to_string(number++) + " = " + function + "\n";
  const Graph graph = parse(text);
  const Sizes sizes = {{"i", 301}};
  ir::Arrays inputs = inputs_of(graph, sizes);
  for (double& y : inputs["y"].data) y = static_cast<float>(std::abs(y) + 0.01);
  for (double& t : inputs["t"].data) t = static_cast<float>(std::tanh(t));
  inputs["x"].data[0] = kNan;
  inputs["x"].data[1] = kInf;
  inputs["x"].data[2] = -kInf;
  inputs["x"].data[3] = 0.5;
  inputs["x"].data[4] = 2.5;
  inputs["x"].data[5] = -0.5;
  check(graph, inputs, sizes);
}

}  // namespace fovea::test
