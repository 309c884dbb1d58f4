#include <doctest/doctest.h>

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>

#include "ir/build.h"
#include "ir/error.h"
#include "ir/text.h"

using namespace fovea;
using namespace fovea::ir;

namespace {

constexpr std::string_view kCausal = R"(axis b, h, g, i, j, d = 64, e = 64

q : f32[b, h, i, d]
k : f32[b, g, j, d]
v : f32[b, g, j, e]

s = sum(d, q * k[g = h / 4]) * 0.125
p = softmax(j, where(j <= i, s, -inf))
out o = sum(j, p * v[g = h / 4])
)";

const std::string_view kPrograms[] = {
    kCausal,
    // neighbours of a graph in compressed rows
    R"(axis r, i, n < degree, t, h, c
start : i32[r]
neighbour : i32[t]
x : f32[i, h, c]
a : f32[h, c]
degree = start[r = i + 1] - start[r = i]
source = neighbour[t = start[r = i] + n]
s = leaky_relu(sum(c, a * x) + sum(c, a * x[i = source]), 0.2)
out y = sum(n, softmax(n, s) * x[i = source])
out size = size(n)
)",
    // differential attention
    R"(axis i, j, d, e
q1 : f16[i, d]
k1 : f16[j, d]
q2 : f16[i, d]
k2 : f16[j, d]
v : bf16[j, e]
lambda : f32[]
p = softmax(j, sum(d, q1 * k1)) - lambda * softmax(j, sum(d, q2 * k2))
out o = sum(j, p * v)
out lse = logsumexp(j, sum(d, q1 * k1))
)",
    // casts, every dtype
    R"(axis i
a : f32[i]
b : bf16[i]
c : f16[i]
d : i32[i]
e : u8[i]
f : i8[i]
g : i4[i]
h : bool[i]
out o = f32(bf16(a)) + f16(b) + i32(c) + u8(d) + i8(e) + i4(f) + f32(bool(g)) + i32(h)
)",
    // selection, and reads with another value outside
    R"(axis i, j, n = 8, d
q : f32[i, d]
k : f32[j, d]
s = sum(d, q * k)
chosen = topk(j, n, s)
out o = sum(n, where(chosen >= 0, s[j = chosen else -inf], 0.0))
out best = argmax(j, s)
out run = cumsum(j, s)[j = j - 1 else 0.0, i = i + 1 else 1.0]
out first = s[j = 0, i = i * 2]
out edge = any(j, s > 0.0 && !(j == i)) || all(j, s != 1.0)
)",
    // several axes at once, extents, a triangle
    R"(axis past, new, j = past + new, i = new, d = (new - 2) * 3 / (2 - (past - 1)), w, n < i
x : f32[i, w, j, d]
out o = sum((d, j), softmax((w, j), x)) + mean((w, j, d), x)
out m[j, i] = max((w, d), x)
out triangle = sum(n, n * n)
)",
    // layouts, scalars, an input that goes right out, one value under two names
    R"(axis a, b, c
x : f32[c, a, b]
s : f32[]
out y[b, c, a] = x * s
out z = x
out t[c, b, a] = z
out u = y * y
out k = 3.0
out l = b
)",
    // what an earlier output needs
    R"(axis i
x : f32[i]
s = 2.0
_1 = exp(x * s)
out a = _1 + log(_1)
out b = _1
)",
    // kernels
    R"(axis i, j, d
q : f32[i, d]
k : f32[j, d]
m : f32[]
s = sum(d, q * k)
visible = j <= i && i - j < 256
_1 = j < i
out o = sum(j, where(visible, exp(s), 0.0))
_2 = s * m
out w = max(j, _2)
kernel attend(o, w) over i, j visible=visible solid=_1 carry=solid rows=48 columns=96 chunk=10 lanes=columns slots=0,_ because "plane \"s\"\nin two lines \\"
kernel spare(_2) over i slots=12
kernel "1 not a name"(s) over _, j
)",
    // an axis as a value in front
    "axis i, j\nx = i\n_1 = j\nout o = max(x, j) + max(_1, i) + min(i, j + 0)\n",
};

void check_round_trip(const Graph& graph) {
  const std::string text = print(graph);
  CAPTURE(text);
  Graph again;
  REQUIRE_NOTHROW(again = parse(text));
  CHECK(print(again) == text);
  CHECK(again == graph);
}

std::string printed(std::string_view text) { return print(parse(text)); }

}  // namespace

TEST_CASE("print and parse are inverses") {
  for (std::string_view program : kPrograms) {
    CAPTURE(program);
    check_round_trip(parse(program));
  }
}

TEST_CASE("a graph in the form of a text") {
  CHECK(printed(kCausal) == R"(axis b, h, g, i, j, d = 64, e = 64

q : f32[b, h, i, d]
k : f32[b, g, j, d]
v : f32[b, g, j, e]

_1 = h / 4
s = sum(d, q * k[g = _1]) * 0.125
_2 = where(j <= i, s, -inf)
_3 = max(j, _2)
_4 = exp(_2 - where(_3 == -inf, 0.0, _3))
_5 = sum(j, _4)
p = _4 / where(_5 == 0.0, 1.0, _5)
out o = sum(j, p * v[g = _1])
)");
}

TEST_CASE("expressions have the parentheses that they need and no others") {
  const auto same = [](std::string_view expression) {
    const std::string prefix =
        "axis i, j\n\nx : f32[i]\ny : f32[i]\nz : f32[i]\nt : bool[i]\n\nout o = ";
    const std::string use = "\nout used = pow(x, pow(y, pow(z, where(t, 1.0, 2.0))))\n";
    const std::string text = printed(fmt::format("{}{}{}", prefix, expression, use));
    CHECK(text.find(fmt::format("out o = {}\n", expression)) != std::string::npos);
    CAPTURE(text);
    check_round_trip(parse(text));
  };
  for (const std::string expression : {"x + y * z",
                                       "(x + y) * z",
                                       "x - y - z",
                                       "x - (y - z)",
                                       "x / (y * z)",
                                       "x * y / z",
                                       "x % (y % z)",
                                       "-x * y",
                                       "-(x * y)",
                                       "--x",
                                       "x - -y",
                                       "-(3)",
                                       "-3 + i",
                                       "i - -3",
                                       "x < y && y < z || t",
                                       "x < y && (y < z || t)",
                                       "!(x < y)",
                                       "!t == (x < y)",
                                       "x < y && (y < z) == t",
                                       "(x < y) == t",
                                       "(x + y)[i = j]",
                                       "(-x)[i = j]",
                                       "exp(x)[i = j]",
                                       "x[i = j else y + z]",
                                       "x[i = i + 1][i = i * 2]",
                                       "size(j) + sum(j, 1.0)",
                                       "max(x, y) + max(i, x)",
                                       "2.0",
                                       "any(i, t)",
                                       "all(i, t)",
                                       "sum(i, t)",
                                       "i + j",
                                       "f32(t) * x"}) {
    CAPTURE(expression);
    try {
      same(expression);
    } catch (const Error& error) {
      FAIL(error.what());
    }
  }
}

TEST_CASE("numbers read back exactly") {
  for (double value :
       {0.0, -0.0, 1.0, -1.0, 0.1, 1.0 / 3, 1e-5, 1e16, 1e17, 1e300, 5e-324, 123456789.125,
        static_cast<double>(0.1f), std::numeric_limits<double>::max(), HUGE_VAL, -HUGE_VAL,
        std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::quiet_NaN()}) {
    CAPTURE(value);
    Builder b;
    const NodeId x = b.input("x", Dtype::F32, {});
    check_round_trip(b.finish({{"o", b.map(Fn::Mul, {x, b.constant(value)}), {}}}));
  }
  for (double value : {0.0, 7.0, -7.0, 2147483647.0, -2147483648.0}) {
    CAPTURE(value);
    Builder b;
    const NodeId x = b.input("x", Dtype::I32, {});
    check_round_trip(b.finish({{"o", b.map(Fn::Mul, {x, b.constant(value, Dtype::I32)}), {}}}));
  }
}

TEST_CASE("a graph too deep or too wide for one expression") {
  Builder b;
  NodeId deep = b.input("x", Dtype::F32, {});
  for (int k = 0; k < 1000; ++k) deep = b.map(k % 3 == 0 ? Fn::Neg : Fn::Exp, {deep});
  NodeId shared = deep;
  for (int k = 0; k < 200; ++k) shared = b.map(Fn::Mul, {shared, shared});
  check_round_trip(b.finish({{"o", shared, {}}}));
}

TEST_CASE("one node as an expression over names") {
  const Graph graph = parse(
      "axis i, j\nx : f32[i, j]\ny : f32[j]\np = exp(x * y)\n"
      "out o = sum(j, p * (y + 1.0))\n");
  CHECK(print(graph, graph.outputs[0].node) == "sum(j, p * (y + 1.0))");
  const Graph wrong{graph.axes, {{Map{Fn::Add}, {5, 0}, {}, ""}}, {}, {}};
  CHECK(print(wrong, 0) == "?5 + ?0");
  CHECK(print(wrong, 7) == "?7");
}

TEST_CASE("many axes take several lines") {
  std::string text = "axis ";
  for (int k = 0; k < 60; ++k) text += fmt::format("{}axis{} = {}", k > 0 ? ", " : "", k, k);
  const Graph graph = parse(text + "\nout o = axis3\n");
  check_round_trip(graph);
  const std::string again = print(graph);
  for (std::size_t begin = 0, end = 0; (end = again.find('\n', begin)) != again.npos;
       begin = end + 1)
    CHECK(end - begin <= 100);
}
