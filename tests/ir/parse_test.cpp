#include <doctest/doctest.h>

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "ir/build.h"
#include "ir/error.h"
#include "ir/query.h"
#include "ir/text.h"

using namespace fovea;
using namespace fovea::ir;

namespace {

std::string error_of(std::string_view text) {
  try {
    (void)parse(text);
  } catch (const Error& error) {
    return fmt::format("{} {}", name(error.code()), error.what());
  }
  return "no error";
}

// The graph of one expression over scalars a, b, c and vectors x, y over i.
Graph expression(std::string_view text) {
  return parse(
      fmt::format("axis i, j\na : f32[]\nb : f32[]\nc : f32[]\nx : f32[i]\ny : f32[i]\nn : i32[i]\n"
                  "t : bool[i]\nu : bool[i]\nout o = {}\n",
                  text));
}

void check_same(std::string_view left, std::string_view right) {
  CAPTURE(left);
  CAPTURE(right);
  CHECK(expression(left) == expression(right));
}

void check_different(std::string_view left, std::string_view right) {
  CAPTURE(left);
  CAPTURE(right);
  CHECK(expression(left) != expression(right));
}

}  // namespace

TEST_CASE("a text is the graph that the builder makes") {
  const Graph parsed = parse(
      "axis b, h, g, i, j, d = 64\n"
      "q : f32[b, h, i, d]   # queries\n"
      "k : bf16[b, g, j, d]\n"
      "s = sum(d, q * k[g = h / 4]) * 0.125\n"
      "out o[i, b, h] = max(j, where(j <= i, s, -inf))\n");
  Builder b;
  const AxisId batch = b.axis("b"), h = b.axis("h"), g = b.axis("g"), i = b.axis("i"),
               j = b.axis("j"), d = b.axis("d", {{ExtentTerm::Kind::Number, 64, kNone}});
  const NodeId q = b.input("q", Dtype::F32, {batch, h, i, d});
  const NodeId k = b.input("k", Dtype::BF16, {batch, g, j, d});
  const NodeId group = b.map(Fn::Div, {b.index(h), b.constant(4, Dtype::I32)});
  const NodeId product = b.map(Fn::Mul, {q, b.read(k, {{g, group}})});
  const NodeId s = b.map(Fn::Mul, {b.reduce(ReduceFn::Sum, d, product), b.constant(0.125)});
  b.set_name(s, "s");
  const NodeId causal = b.map(Fn::Le, {b.index(j), b.index(i)});
  const NodeId masked = b.map(Fn::Where, {causal, s, b.constant(-INFINITY)});
  CHECK(parsed == b.finish({{"o", b.reduce(ReduceFn::Max, j, masked), {i, batch, h}}}));
}

TEST_CASE("operators bind as they do in mathematics and associate to the left") {
  check_same("a + b * c", "a + (b * c)");
  check_different("a + b * c", "(a + b) * c");
  check_same("a - b - c", "(a - b) - c");
  check_different("a - b - c", "a - (b - c)");
  check_same("a / b * c", "(a / b) * c");
  check_same("a * b / c % a", "((a * b) / c) % a");
  check_same("a + b < c", "(a + b) < c");
  check_same("a < b && b < c || a == c", "((a < b) && (b < c)) || (a == c)");
  check_same("t || u && t", "t || (u && t)");
  check_different("t || u && t", "(t || u) && t");
  check_same("a < b == u", "(a < b) == u");
  check_same("a <= b != (a > c) ", "(a <= b) != (a > c)");
  check_same("-a * b", "(-a) * b");
  check_same("-x[i = 2]", "-(x[i = 2])");
  check_same("!t && u", "(!t) && u");
  check_same("!t == u", "(!t) == u");
  check_same("a - -b", "a - (-b)");
  check_same("- - a", "-(-a)");
  check_same("x[i = i + 1][i = i * 2]", "(x[i = i + 1])[i = i * 2]");
  check_same("x[i = n + 1 % 2 else t || u == t]", "x[i = (n + (1 % 2)) else (t || (u == t))]");
}

TEST_CASE("numbers say their dtype") {
  const auto constant = [](std::string_view text) {
    const Graph graph = expression(text);
    REQUIRE(graph.nodes.size() == 1);
    const Node& node = graph.nodes[0];
    return std::pair{std::get<Constant>(node.op).value, node.type.dtype};
  };
  CHECK(constant("3") == std::pair{3.0, Dtype::I32});
  CHECK(constant("-3") == std::pair{-3.0, Dtype::I32});
  CHECK(constant("2147483647") == std::pair{2147483647.0, Dtype::I32});
  CHECK(constant("-2147483648") == std::pair{-2147483648.0, Dtype::I32});
  CHECK(constant("3.") == std::pair{3.0, Dtype::F32});
  CHECK(constant(".5") == std::pair{0.5, Dtype::F32});
  CHECK(constant("-2.5e-3") == std::pair{-2.5e-3, Dtype::F32});
  CHECK(constant("1e5") == std::pair{1e5, Dtype::F32});
  CHECK(constant("1E+5") == std::pair{1e5, Dtype::F32});
  CHECK(constant("inf") == std::pair{HUGE_VAL, Dtype::F32});
  CHECK(constant("-inf") == std::pair{-HUGE_VAL, Dtype::F32});
  CHECK(constant("true") == std::pair{1.0, Dtype::Bool});
  CHECK(constant("false") == std::pair{0.0, Dtype::Bool});
  CHECK(std::isnan(constant("nan").first));
  CHECK(std::signbit(constant("-nan").first));
  CHECK(std::signbit(constant("-0.0").first));
  check_different("-(3)", "-3");  // a negation, and a number
}

TEST_CASE("the order of a list of axes means nothing") {
  for (const std::string call : {"sum", "max", "min", "mean", "softmax", "logsumexp"}) {
    CAPTURE(call);
    const auto graph = [&](const std::string& list) {
      const bool keeps = call == "softmax";
      return parse("axis i, m < count, n < degree\ncount : i32[i]\nbase : i32[i]\nx : f32[i]\n" +
                   std::string("degree = base + m\nout o = ") + (keeps ? "sum((i, m, n), " : "(") +
                   call + "((" + list + "), x * m * n))\n");
    };
    const Graph first = graph("n, m, i");
    for (const std::string list : {"i, m, n", "i, n, m", "m, i, n", "m, n, i", "n, i, m"})
      CHECK(graph(list) == first);
  }
  const std::string start = "axis i, n < d\nd : i32[i]\nx : bool[i]\nout o = ";
  CHECK(parse(start + "any((i, n), x && n > 1)") == parse(start + "any((n, i), x && n > 1)"));
  CHECK(parse(start + "all((i, n), x && n > 1)") == parse(start + "all((n, i), x && n > 1)"));
}

TEST_CASE("max and min reduce when an axis comes first") {
  check_same("max(i, x)", "max((i), x)");
  check_different("max(i, x)", "max(i + 0, x)");
  CHECK(is_reduce(expression("min(i, x)").nodes.back()));
  CHECK(is_map(expression("min(i + 0, x)").nodes.back()));
  CHECK(is_map(expression("max(a, b)").nodes.back()));
  CHECK(is_map(expression("max(x, i)").nodes.back()));
}

TEST_CASE("functions of several axes fold all of them") {
  check_same("sum((i, j), x * j)", "sum(j, sum(i, x * j))");
  check_same("max((i, j), x * j)", "max(j, max(i, x * j))");
  check_same("any((i, j), t)", "any(j, any(i, t))");
  check_same("size(j)", "sum(j, 1)");
  for (const char* function : {"softmax", "mean", "logsumexp"}) {
    CAPTURE(function);
    const Graph graph = expression(fmt::format("{}((i, j), x * j)", function));
    CHECK(graph.nodes.back().type.axes.size() == (function[0] == 's' ? 2 : 0));
  }
}

TEST_CASE("every element function and every dtype can be called") {
  for (int k = static_cast<int>(Fn::Abs); k < static_cast<int>(Fn::Cast); ++k) {
    const Fn fn = static_cast<Fn>(k);
    const Graph graph = expression(fmt::format("{}(x)", name(fn)));
    CHECK(std::get<Map>(graph.nodes.back().op).fn == fn);
  }
  CHECK(std::get<Map>(expression("pow(x, y)").nodes.back().op).fn == Fn::Pow);
  CHECK(std::get<Map>(expression("leaky_relu(x, 0.2)").nodes.back().op).fn == Fn::LeakyRelu);
  for (Dtype dtype :
       {Dtype::BF16, Dtype::F16, Dtype::I32, Dtype::U8, Dtype::I8, Dtype::I4, Dtype::Bool}) {
    const Graph graph = expression(fmt::format("{}(x)", name(dtype)));
    CHECK(std::get<Map>(graph.nodes.back().op).fn == Fn::Cast);
    CHECK(graph.nodes.back().type.dtype == dtype);
  }
}

TEST_CASE("brackets continue lines, comments and blank lines do not matter, nor do line ends") {
  const std::string plain = "axis i, j\nx : f32[i, j]\nout o = sum(j, x * 2.0)\n";
  CHECK(
      parse("\xef\xbb\xbf# α comment\n\naxis i,\tj # axes\n\n\nx : f32[i,\n  j]\nout o = sum(j, # "
            "over keys\n\n  x\n * 2.0\n)") == parse(plain));
  std::string windows;
  for (char c : plain) windows += c == '\n' ? "\r\n" : std::string(1, c);
  CHECK(parse(windows) == parse(plain));
}

TEST_CASE("axes have extents") {
  const Graph graph = parse(
      "axis past, new, j = past + new, i = new, d = (past - 2) * 4 / (new - 1 - 1)\n"
      "out o = sum(j, 1) + sum(d, i)");
  using K = ExtentTerm::Kind;
  const ExtentTerm past{K::Axis, 0, 0}, fresh{K::Axis, 0, 1};
  const auto number = [](std::int64_t n) { return ExtentTerm{K::Number, n, kNone}; };
  const auto op = [](K kind) { return ExtentTerm{kind, 0, kNone}; };
  CHECK(graph.axes[0].extent.empty());
  CHECK(graph.axes[2].extent == Extent{past, fresh, op(K::Add)});
  CHECK(graph.axes[3].extent == Extent{fresh});
  CHECK(graph.axes[4].extent == Extent{past, number(2), op(K::Sub), number(4), op(K::Mul), fresh,
                                       number(1), op(K::Sub), number(1), op(K::Sub), op(K::Div)});
}

TEST_CASE("a degree may be defined below the axis and below what uses the axis") {
  const std::string_view below =
      "axis r, i, n < degree, e\n"
      "x : f32[e]\n"
      "start : i32[r]\n"
      "out o = sum(n, x[e = start[r = i] + n])\n"
      "last = start[r = i + 1]\n"
      "degree = last - start[r = i]\n";
  const std::string_view above =
      "axis r, i, n < degree, e\n"
      "start : i32[r]\n"
      "last = start[r = i + 1]\n"
      "degree = last - start[r = i]\n"
      "x : f32[e]\n"
      "out o = sum(n, x[e = start[r = i] + n])\n";
  CHECK(parse(below) == parse(above));
  CHECK(parse(below).axes[2].degree != kNone);
  // An axis as a degree is its index: a triangle.
  const Graph triangle = parse("axis i, n < i\nout o = sum(n, n)");
  CHECK(is_index(triangle.node(triangle.axes[1].degree)));
}

TEST_CASE("outputs can be used below, and be stored under the name of a value") {
  const Graph graph = parse("axis i\nx : f32[i]\nout a = exp(x)\nout b = a * a\nout c = b");
  CHECK(graph.outputs.size() == 3);
  CHECK(graph.outputs[1].node == graph.outputs[2].node);
  CHECK(parse("axis i\nx : f32[i]\np = exp(x)\nout p = p").outputs[0].name == "p");
}

TEST_CASE("words of the language are names where nothing else makes sense") {
  const Graph graph = parse("axis i\nsum : f32[i]\nkernel = sum * 2.0\nout max = kernel + sum\n");
  CHECK(graph.outputs[0].name == "max");
}

TEST_CASE("kernels") {
  const Graph graph = parse(
      "axis i, j\nq : f32[i]\nk : f32[j]\n"
      "m = j <= i\n"
      "out o = sum(j, where(m, q * k, 0.0))\n"
      "out c = sum(i, k * q)\n"
      "kernel main(o, c) over i, j visible=m solid=m carry=solid rows=48 columns=96 chunk=10 "
      "lanes=columns share=i members=4 slots=_,3 because \"said \\\"so\\\"\"\n"
      "kernel \"the rest\"(c)\n");
  REQUIRE(graph.kernels.size() == 2);
  const Kernel& main = graph.kernels[0];
  CHECK(main.name == "main");
  CHECK(main.results == std::vector{graph.outputs[0].node, graph.outputs[1].node});
  CHECK(main.row == 0);
  CHECK(main.column == 1);
  CHECK(graph.node(main.visible).name == "m");
  CHECK(main.solid == main.visible);
  CHECK(main.carries);
  CHECK(main.row_tile == 48);
  CHECK(main.column_block == 96);
  CHECK(main.chunk == 10);
  CHECK(main.lanes == Lanes::Columns);
  CHECK(main.shared == 0);
  CHECK(main.members == 4);
  CHECK(main.slots == std::vector{kNone, 3});
  CHECK(main.reason == "said \"so\"");
  CHECK(graph.kernels[1].name == "the rest");
  CHECK(graph.kernels[1].row == kNone);
  CHECK(!graph.kernels[1].carries);
}

TEST_CASE("nesting is limited, chains are not") {
  const auto nested = [](int depth) {
    return fmt::format("axis i\nx : f32[i]\nout o = {}x{}", std::string(depth, '('),
                       std::string(depth, ')'));
  };
  CHECK_NOTHROW(parse(nested(150)));
  const std::string expected =
      "found an expression nested too deeply, expected at most 200 levels; give parts of it names";
  CHECK(error_of(nested(100000)).starts_with("syntax_error 3:209: " + expected));
  const std::string negations = "out o = " + std::string(100000, '-') + "1";
  CHECK(error_of(negations).find(expected) != std::string::npos);
  const std::string extents = "axis i = " + std::string(100000, '(') + "1";
  CHECK(error_of(extents).find(expected) != std::string::npos);
  std::string chain = "axis i\nx : f32[i]\nout o = x";
  for (int k = 0; k < 20000; ++k) chain += " + x";
  CHECK(parse(chain).nodes.size() == 20001);
  std::string statements = "axis i\na0 : f32[i]\n";
  for (int k = 0; k < 5000; ++k) statements += fmt::format("a{} = exp(a{})\n", k + 1, k);
  CHECK(parse(statements + "out o = a5000").nodes.size() == 5001);
}

TEST_CASE("errors of the text") {
  struct Case {
    std::string text, error;
  };
  const Case cases[] = {
      {"axis i\nx : f32[i]\nout o = sum(i, x *)\n",
       "syntax_error 3:19: found ')', expected an expression\n"
       "out o = sum(i, x *)\n"
       "                  ^"},
      {"s = 1 +\nout o = s",
       "syntax_error 1:8: found the end of the line, expected an expression\n"
       "s = 1 +\n"
       "       ^"},
      {"out o = (1 + 2",
       "syntax_error 1:15: found the end of the line, expected an operator or ')' "
       "to close the bracket at 1:9\nout o = (1 + 2\n              ^"},
      {"out o = exp(1.0\nout p = 2\n",
       "syntax_error 2:1: found 'out', expected ',' or ')' to close the bracket at 1:12\n"
       "out p = 2\n^"},
      {"out o = 1 2",
       "syntax_error 1:11: found '2', expected an operator or the end of the "
       "line\nout o = 1 2\n          ^"},
      {"axis i j", "syntax_error 1:8: found 'j', expected the end of the line\naxis i j\n       ^"},
      {"axis",
       "syntax_error 1:5: found the end of the line, expected the name of an axis\n"
       "axis\n    ^"},
      {"axis i = ",
       "syntax_error 1:10: found the end of the line, expected an integer, an axis or "
       "'('\naxis i = \n         ^"},
      {"axis i = 2.5",
       "syntax_error 1:10: found '2.5', expected an integer, an axis or '('\n"
       "axis i = 2.5\n         ^"},
      {"axis i = (2",
       "syntax_error 1:12: found the end of the line, expected ')'\naxis i = (2\n"
       "           ^"},
      {"+ 1", "syntax_error 1:1: found '+', expected a statement\n+ 1\n^"},
      {"x 1", "syntax_error 1:3: found '1', expected '=', ':' or '['\nx 1\n  ^"},
      {"out 1", "syntax_error 1:5: found '1', expected the name of a value\nout 1\n    ^"},
      {"out o 1", "syntax_error 1:7: found '1', expected '=' or '['\nout o 1\n      ^"},
      {"inf = 1",
       "syntax_error 1:1: found the constant 'inf', expected the name of a value\n"
       "inf = 1\n^"},
      {"x : float[i]",
       "syntax_error 1:5: found 'float', expected a dtype: f32 bf16 f16 i32 u8 i8 "
       "i4 bool\nx : float[i]\n    ^"},
      {"x : f32", "syntax_error 1:8: found the end of the line, expected '['\nx : f32\n       ^"},
      {"axis i\nx : f32[i; j]",
       "syntax_error 2:10: found ';' (U+003B), expected a name, a number, an operator or a "
       "bracket\nx : f32[i; j]\n         ^"},
      {"\tout é = 1",
       "syntax_error 1:6: found 'é' (U+00E9), expected a name, a number, an operator "
       "or a bracket\n\tout é = 1\n\t    ^"},
      {"# é\nout o = \xff",
       "syntax_error 2:9: found the byte 0xff, expected text in UTF-8\n"
       "out o = \xff\n        ^"},
      {"# \xc0\xaf",
       "syntax_error 1:3: found the byte 0xc0, expected text in UTF-8\n# \xc0\xaf\n"
       "  ^"},
      {"out o = 0.5f",
       "syntax_error 1:9: found '0.5f', expected a number or a name\n"
       "out o = 0.5f\n        ^"},
      {"out o = 2147483648",
       "syntax_error 1:9: found '2147483648', expected an integer that i32 can hold, at most "
       "2147483647\nout o = 2147483648\n        ^"},
      {"axis d = 99999999999999999999",
       "syntax_error 1:10: found '99999999999999999999', expected an integer that i32 can hold, at "
       "most 2147483647\naxis d = 99999999999999999999\n         ^"},
      {"out o = 1e999",
       "syntax_error 1:9: found '1e999', expected a number that a double can "
       "hold\nout o = 1e999\n        ^"},
      {"axis i\nscore = i\nout o = scor + 1",
       "syntax_error 3:9: found the undefined name 'scor', expected a value or an axis; did you "
       "mean 'score'?\nout o = scor + 1\n        ^"},
      {"out o = x",
       "syntax_error 1:9: found the undefined name 'x', expected a value or an axis\n"
       "out o = x\n        ^"},
      {"out o = p\np = 1",
       "syntax_error 1:9: found 'p' before its definition on line 2, expected "
       "a value or an axis\nout o = p\n        ^"},
      {"p = p + 1\nout o = p",
       "syntax_error 1:5: found 'p' before its definition on line 1, "
       "expected a value or an axis\np = p + 1\n    ^"},
      {"p = 1\np = 2\nout o = p",
       "syntax_error 2:1: found 'p', which is defined on line 1, expected a new name\np = 2\n^"},
      {"axis i\nx : f32[k]\nout o = x",
       "syntax_error 2:9: found the undefined name 'k', expected an axis\nx : f32[k]\n        ^"},
      {"axis i\nx : f32[i]\nout o = sofmax(i, x)",
       "syntax_error 3:9: found the unknown function 'sofmax', expected a function; did you mean "
       "'softmax'?\nout o = sofmax(i, x)\n        ^"},
      {"out o = exp(1.0, 2.0)",
       "syntax_error 1:9: found 2 arguments of 'exp', expected 1\n"
       "out o = exp(1.0, 2.0)\n        ^"},
      {"axis i\nout o = sum(i)",
       "syntax_error 2:9: found 1 argument of 'sum', expected 2\nout o = sum(i)\n        ^"},
      {"out o = max(1)",
       "syntax_error 1:9: found 1 argument of 'max', expected 2\n"
       "out o = max(1)\n        ^"},
      {"x : f32[]\nout o = sum(x, x)",
       "syntax_error 2:13: found the value 'x', expected an axis\nout o = sum(x, x)\n"
       "            ^"},
      {"axis i\nout o = sum(i + 1, 2)",
       "syntax_error 2:15: found an expression, expected an axis, or several as in (i, j)\n"
       "out o = sum(i + 1, 2)\n              ^"},
      {"axis i, j\nout o = argmax((i, j), i * j)",
       "syntax_error 2:16: found a list of axes, expected one axis\n"
       "out o = argmax((i, j), i * j)\n               ^"},
      {"axis i, j\nout o = (i, j) + 1",
       "syntax_error 2:9: found a list of axes, expected a value; lists are first arguments of "
       "functions of axes\nout o = (i, j) + 1\n        ^"},
      {"axis i\nout o = sum((i, i), i)",
       "syntax_error 2:17: found axis 'i' a second time, expected each axis once\n"
       "out o = sum((i, i), i)\n                ^"},
      {"axis i\nout o = any(i, i + 1)",
       "syntax_error 2:18: found i32, expected bool in 'any', such as a comparison\n"
       "out o = any(i, i + 1)\n                 ^"},
      {"axis n < degree\nout o = sum(n, 1)",
       "syntax_error 1:10: found the undefined name 'degree', expected the degree of a ragged "
       "axis\naxis n < degree\n         ^"},
      {"axis i, n < degree\ndegree = sum(n, i)\nout o = sum(n, 1)",
       "syntax_error 2:14: found axis 'n' in what its own degree is made of, expected a degree "
       "that "
       "does not depend on its axis\ndegree = sum(n, i)\n             ^"},
      {"axis i\nx : f32[i]",
       "syntax_error 2:11: found the end of the text, expected an output, such as 'out o = ...'\n"
       "x : f32[i]\n          ^"},
      {"",
       "syntax_error 1:1: found the end of the text, expected an output, such as 'out o = "
       "...'\n\n^"},
      {"axis i\nout o = 1\nkernel k(o) over i, i fast=3",
       "syntax_error 3:23: found 'fast', expected visible=, solid=, carry=, rows=, columns=, "
       "chunk=, lanes=, share=, members=, slots= or because\n"
       "kernel k(o) over i, i fast=3\n                      ^"},
      {"out o = 1\nkernel k(o) lanes=diagonal",
       "syntax_error 2:19: found 'diagonal', expected rows or columns\n"
       "kernel k(o) lanes=diagonal\n                  ^"},
      {"out o = 1\nkernel k(o) slots=0,_ rows=8",
       "syntax_error 2:13: found 2 slots, expected one to a result, 1\n"
       "kernel k(o) slots=0,_ rows=8\n            ^"},
      {"out o = 1\nkernel k(o) slots=-1",
       "syntax_error 2:19: found '-', expected an integer\n"
       "kernel k(o) slots=-1\n                  ^"},
      {"out o = 1\nkernel k(o) rows=8 chunk=2 rows=8",
       "syntax_error 2:28: found 'rows' a second time, expected each setting once\n"
       "kernel k(o) rows=8 chunk=2 rows=8\n                           ^"},
      {"out o = 1\nkernel k(o) because \"so\" because \"thus\"",
       "syntax_error 2:26: found 'because' a second time, expected each setting once\n"
       "kernel k(o) because \"so\" because \"thus\"\n                         ^"},
      {"out o = 1\nkernel k(o) because \"so",
       "syntax_error 2:21: found a string without an end, expected '\"' on the same line\n"
       "kernel k(o) because \"so\n                    ^"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.text);
    CHECK(error_of(one.text) == one.error);
  }
}

TEST_CASE("errors of meaning keep their code and say where") {
  struct Case {
    std::string text, start, end;
  };
  const Case cases[] = {
      {"axis i, j\nx : f32[i]\nout o[j] = x",
       "dimension_mismatch 3:5: found axes [j] of 'o', expected each axis of its value once, [i]",
       "\nout o[j] = x\n    ^"},
      {"axis i\nx : f32[i]\nout o[] = x",
       "dimension_mismatch 3:5: found axes [] of 'o', expected each axis of its value once, [i]",
       "\nout o[] = x\n    ^"},
      {"axis i\nx : f32[i, i]\nout o = x", "syntax_error 2:12: found axis 'i' a second time",
       "\nx : f32[i, i]\n           ^"},
      {"axis i\nx : f32[i]\ny : f32[i]\nout o = 1.0 + x[i = y]",
       "invalid_config 4:16: ", "\nout o = 1.0 + x[i = y]\n               ^"},
      {"axis i, n < d\nd : i32[i]\nx : f32[n]\nout o = x",
       "unsupported 3:1: input x varies along the ragged axis n", "\nx : f32[n]\n^"},
      {"axis i, n < d\nd : i32[i]\nout a = d\nout o = n * 2",
       "unsupported 4:5: output o varies along the ragged axis n", "\nout o = n * 2\n    ^"},
      {"axis i, n < d\nd : f32[i]\nout o = sum(n, 1)", "invalid_config 1:13: the degree of axis n",
       "\naxis i, n < d\n            ^"},
      {"axis i, n < n\nout o = sum(n, 1)", "syntax_error 1:13: found 'n' before its definition",
       "\naxis i, n < n\n            ^"},
      {"axis i\nx : f32[i]\nout x = exp(x)", "syntax_error 3:5: found 'x', which is defined on",
       "\nout x = exp(x)\n    ^"},
      {"axis i, j\nout o = topk(i, i, j)", "invalid_config 2:9: topk along i",
       "\nout o = topk(i, i, j)\n        ^"},
      {"axis i, i\nout o = i", "invalid_config 1:9: axis i is declared twice",
       "\naxis i, i\n        ^"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.text);
    const std::string error = error_of(one.text);
    CAPTURE(error);
    CHECK(error.starts_with(one.start));
    CHECK(error.ends_with(one.end));
  }
}
