#include "ir/interpret.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "ir/error.h"
#include "ir/query.h"
#include "ir/tensor.h"
#include "ir/text.h"

using namespace fovea;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

void same(const std::vector<double>& found, const std::vector<double>& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t n = 0; n < found.size(); ++n) {
    CAPTURE(n);
    if (std::isnan(expected[n])) {
      CHECK(std::isnan(found[n]));
    } else if (std::isinf(expected[n])) {
      CHECK(found[n] == expected[n]);
    } else {
      CHECK(found[n] == doctest::Approx(expected[n]).epsilon(1e-6));
    }
  }
}

ir::Array array(Dtype dtype, std::vector<std::int64_t> shape, std::vector<double> data) {
  return {dtype, std::move(shape), std::move(data)};
}

// Given more inputs than it has, the graph gets its own.
std::vector<double> value(const Tensor& x, const ir::Arrays& inputs, const ir::Sizes& sizes = {}) {
  const ir::Graph graph = ir::make_graph({{"o", x}});
  ir::Arrays own;
  for (const ir::Node& node : graph.nodes) {
    const auto* input = ir::input_of(node);
    if (input != nullptr && inputs.contains(input->name)) own[input->name] = inputs.at(input->name);
  }
  return ir::interpret(graph, own, sizes).at("o").data;
}

std::pair<Code, std::string> error_of(const Tensor& x, const ir::Arrays& inputs,
                                      const ir::Sizes& sizes = {}) {
  try {
    (void)value(x, inputs, sizes);
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {Code::internal, "no error"};
}

const fovea::Axis i{"i"}, j{"j"}, d{"d"}, n{"n"}, r{"r"};
const Tensor q = input("q", f32, {i, d}), k = input("k", f32, {j, d}), v = input("v", f32, {j, d}),
             x = input("x", f32, {j});

ir::Array one(std::vector<double> data) {
  const auto size = static_cast<std::int64_t>(data.size());
  return array(f32, {size}, std::move(data));
}

ir::Array ints(std::vector<double> data) {
  const auto size = static_cast<std::int64_t>(data.size());
  return array(i32, {size}, std::move(data));
}

}  // namespace

TEST_CASE("attention by hand") {
  const ir::Array eye = array(f32, {3, 4}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0});
  const Tensor p = softmax(j, sum(d, q * k) / sqrt(cast(f32, size(d))));
  const ir::Arrays inputs{{"q", array(f32, {1, 4}, {1, 0, 0, 0})}, {"k", eye}, {"v", eye}};
  same(value(sum(j, p * v), inputs), {.451863, .274069, .274069, 0});
}

TEST_CASE("softmax and logsumexp of what is excluded or huge") {
  const auto soft = [](std::vector<double> s) { return value(softmax(j, x), {{"x", one(s)}}); };
  const auto lse = [](std::vector<double> s) { return value(logsumexp(j, x), {{"x", one(s)}}); };
  same(soft({-kInf, -kInf}), {0, 0});
  same(lse({-kInf, -kInf}), {-kInf});
  same(lse({}), {-kInf});
  same(soft({}), {});
  same(soft({1e38, 1e38, -1e38}), {.5, .5, 0});
  same(soft({-1e38, -kInf}), {1, 0});
  same(lse({1e38, -1e38}), {1e38});
  same(soft({0, -kInf, 0}), {.5, 0, .5});
  same(lse({0, -kInf, 0}), {std::log(2)});
  same(soft({0, kNan}), {kNan, kNan});
}

TEST_CASE("softmax over two axes and over a ragged pair") {
  const Tensor y = input("y", f32, {i, j});
  same(value(softmax({i, j}, y), {{"y", array(f32, {2, 2}, {0, 0, -kInf, 0})}}),
       {1. / 3, 1. / 3, 0, 1. / 3});
  same(value(mean({i, j}, y), {{"y", array(f32, {2, 2}, {1, 2, 3, 6})}}), {3});
  // degrees 1, 3: the mean of 0 and 0, 1, 2
  const fovea::Axis m = fovea::Axis::ragged("m", input("degree", i32, {r}));
  same(value(mean({m, r}, Tensor(m)), {{"degree", ints({1, 3})}}), {.75});
}

TEST_CASE("a factor of exactly 0 annihilates in sums and nowhere else") {
  const Tensor a = input("a", f32, {j}), b = input("b", f32, {j});
  const ir::Arrays inputs{{"a", one({0, 2, 0})}, {"b", one({kNan, 3, kInf})}};
  same(value(a * b, inputs), {kNan, 6, kNan});
  same(value(sum(j, a * b), inputs), {6});
  same(value(sum(j, b * a), inputs), {6});
  same(value(sum(j, -(a * b)), inputs), {-6});
  same(value(sum(j, a * b + a), inputs), {8});
  same(value(sum(j, 1.0 - a * b), inputs), {-3});
  same(value(sum(j, where(a < 5, a * b, 1.0)), inputs), {6});
  same(value(sum(j, (a * b) / 2.0), inputs), {3});
  same(value(sum(j, a / b), inputs), {2. / 3});
  same(value(sum(j, (a * b).named("t") * b * 2.0), inputs), {36});
  same(value(cumsum(j, a * b), inputs), {0, 6, 6});
  same(value(sum(j, exp(a * b)), inputs), {kNan});
  same(value(sum(j, b), inputs), {kNan});
  same(value(max(j, a * b), inputs), {kNan});
  // a term by one user and not by another
  const ir::Arrays both = ir::interpret(
      ir::make_graph({{"s", sum(j, a * b)}, {"t", a * b}, {"m", max(j, a * b)}}), inputs);
  same(both.at("s").data, {6});
  same(both.at("t").data, {kNan, 6, kNan});
  same(both.at("m").data, {kNan});
}

TEST_CASE("what is behind a mask stays there") {
  const double low = kNan;
  const ir::Arrays inputs{{"q", array(f32, {2, 1}, {1, 1})},
                          {"k", array(f32, {3, 1}, {1, low, kInf})},
                          {"v", array(f32, {3, 1}, {5, kInf, kNan})}};
  const Tensor s = where(j < i, sum(d, q * k), -infinity);
  same(value(sum(j, softmax(j, s) * v), inputs),
       {0, 5});  // row 0 sees nothing, row 1 the first key
  const Tensor open = where(j <= i, sum(d, q * k), -infinity);
  same(value(sum(j, softmax(j, open) * v), inputs), {5, kNan});
}

TEST_CASE("reductions, also of nothing") {
  const auto of = [](const Tensor& f, std::vector<double> s) { return value(f, {{"x", one(s)}}); };
  same(of(sum(j, x), {1, 2, 3.5}), {6.5});
  same(of(max(j, x), {1, 3, 2}), {3});
  same(of(min(j, x), {1, -3, 2}), {-3});
  same(of(max(j, x), {1, kNan, 2}), {kNan});
  same(of(min(j, x), {kNan, 1}), {kNan});
  same(of(mean(j, x), {1, 2, 6}), {3});
  same(of(any(j, x > 2), {1, 3}), {1});
  same(of(all(j, x > 2), {1, 3}), {0});
  same(of(sum(j, x > 0), {1, 3, -1}), {2});
  same(of(cumsum(j, x), {1, 2, 3}), {1, 3, 6});
  same(of(size(j) * 1.0 + sum(j, x * 0.0), {4, 4}), {2});
  same(of(sum(j, x), {}), {0});
  same(of(max(j, x), {}), {-kInf});
  same(of(min(j, x), {}), {kInf});
  same(of(mean(j, x), {}), {kNan});
  same(of(any(j, x), {}), {0});
  same(of(all(j, x), {}), {1});
  same(of(argmax(j, x), {}), {-1});
  const fovea::Axis none{"none", 0};
  same(value(max(none, none + 0), {}), {-2147483648.0});
  same(value(cumsum(fovea::Axis{"c", 3}, 2), {}), {2, 4, 6});
}

TEST_CASE("argmax and topk") {
  const auto best = [](std::vector<double> s) { return value(argmax(j, x), {{"x", one(s)}}); };
  same(best({1, 5, 5, 2}), {1});
  same(best({kNan, 1, 0}), {1});
  same(best({-kInf, -kInf}), {-1});
  same(best({-kInf, kInf, kInf}), {1});
  const auto top = [](std::int64_t count, std::vector<double> s) {
    return value(topk(j, n, x), {{"x", one(s)}}, {{"n", count}});
  };
  same(top(3, {1, 7, 5, 7}), {1, 3, 2});
  same(top(3, {-kInf, 7, kNan}), {1, -1, -1});
  same(top(0, {1}), {});
  // -1 reads 0, without an error
  same(value(x.at(j, topk(j, n, x)), {{"x", one({-kInf, 7, 9})}}, {{"n", 3}}), {9, 7, 0});
  const Tensor y = input("y", f32, {i, j});
  same(value(topk(j, n, y), {{"y", array(f32, {2, 3}, {1, 2, 3, 6, 5, 4})}}, {{"n", 2}}),
       {2, 1, 0, 1});
  same(value(argmax(i, y), {{"y", array(f32, {2, 3}, {1, 2, 3, 6, 1, 4})}}), {1, 0, 1});
}

TEST_CASE("reads elsewhere") {
  const ir::Arrays inputs{{"x", one({10, 20, 30})}, {"at", ints({2, 0, -1})}};
  const Tensor at = input("at", i32, {i});
  same(value(x.at(j, j - 1), inputs), {0, 10, 20});
  same(value(x.at(j, 2 - j), inputs), {30, 20, 10});
  same(value(x.at(j, at, 7.0), inputs), {30, 10, 7});
  const auto [code, message] = error_of(x.at(j, at), inputs);
  CHECK(code == Code::out_of_bounds);
  CHECK(message ==
        "a read of x is at -1 along axis j (from input 'at'); expected 0 to 2, or a value for "
        "outside with 'else'");
  same(value(x.at(j, argmax(j, x)), inputs), {30});

  // outside of an axis without elements, also where the result has none itself
  const ir::Arrays nothing{{"y", array(f32, {0, 0}, {})}, {"row", ints({0, 0})}};
  const Tensor of_nothing = input("y", f32, {i, j}).at(i, input("row", i32, {r}));
  CHECK(error_of(of_nothing, nothing).first == Code::out_of_bounds);
  CHECK(error_of(of_nothing, {{"y", array(f32, {2, 0}, {})}, {"row", ints({0, 2})}}).first ==
        Code::out_of_bounds);
  same(value(of_nothing, {{"y", array(f32, {2, 0}, {})}, {"row", ints({0, 1})}}), {});

  // both at once: transposition of a square
  const Tensor y = input("y", f32, {i, j});
  const ir::Arrays square{{"y", array(f32, {2, 2}, {1, 2, 3, 4})}};
  same(value(y.at({{i, j}, {j, i}}), square), {1, 3, 2, 4});
  // an axis split in two
  const fovea::Axis c{"c"}, h{"h", 2}, e{"e", 3};
  const Tensor flat = input("flat", f32, {c});
  same(value(sum(e, flat.at(c, h * 3 + e)), {{"flat", one({1, 2, 3, 4, 5, 6})}}), {6, 15});
  // values outside of two coordinates
  same(value(y.at({{i, i + 1, 8.0}, {j, j + 1, 9.0}}), square), {4, 9, 8, 8});
}

TEST_CASE("a ragged axis: rows of a CSR matrix") {
  const fovea::Axis s{"s"}, edge{"edge"}, row{"row"};
  const Tensor start = input("start", i32, {s}), column = input("column", i32, {edge});
  const fovea::Axis rows{"rows", Extent(s) - 1};
  const Tensor first = start.at(s, rows);
  const fovea::Axis nb = fovea::Axis::ragged("nb", start.at(s, rows + 1) - first);
  const Tensor of = column.at(edge, first + nb);
  const ir::Arrays inputs{
      {"start", ints({0, 2, 2, 5})}, {"column", ints({1, 2, 0, 1, 2})}, {"x", one({10, 20, 30})}};
  same(value(sum(nb, x.at(j, of)), inputs), {50, 0, 60});
  same(value(max(nb, x.at(j, of)), inputs), {30, -kInf, 30});
  same(value(size(nb), inputs), {2, 0, 3});
  same(value(argmax(nb, x.at(j, of)), inputs), {1, -1, 2});
  same(value(sum(nb, softmax(nb, x.at(j, of) * 0.0) * x.at(j, of)), inputs), {25, 0, 20});
  same(value(sum(nb, cumsum(nb, x.at(j, of))), inputs), {20 + 50, 0, 10 + 30 + 60});
  same(value(x.at(j, of).at(nb, 2), inputs), {0, 0, 30});
  same(value(topk(nb, n, x.at(j, of)), inputs, {{"n", 2}}), {1, 0, -1, -1, 2, 1});

  // a dead point reads wherever it likes, a live one does not
  ir::Arrays wrong = inputs;
  wrong["start"] = ints({0, 2, 2, 6});
  CHECK(
      error_of(sum(nb, x.at(j, of)), wrong).second ==
      "a read of column is at 5 along axis edge (from input 'start'); expected 0 to 4, or a value "
      "for outside with 'else'");
  wrong["start"] = ints({0, 2, 1, 5});
  CHECK(error_of(sum(nb, x.at(j, of)), wrong).second.find("(from input 'start') holds -1; ") !=
        std::string::npos);
}

TEST_CASE("a ragged axis has no negative degree") {
  const fovea::Axis a = fovea::Axis::ragged("a", input("degree", i32, {r}));
  CHECK(error_of(sum(a, 1.0), {{"degree", ints({0, -3, 1})}}) ==
        std::pair(Code::invalid_input,
                  std::string("tensor 'degree' holds -3; expected extents of axis 'a', which are "
                              "not negative")));
}

TEST_CASE("ragged in ragged") {
  const fovea::Axis a = fovea::Axis::ragged("a", input("degree", i32, {r}));
  const fovea::Axis b = fovea::Axis::ragged("b", a + 1);
  // row of degree 3: 1 + 2 + 3 points, b summing to 0 + 1 + 3
  same(value(sum(a, sum(b, 1)), {{"degree", ints({0, 3, 1})}}), {0, 6, 1});
  same(value(sum(a, sum(b, Tensor(b))), {{"degree", ints({0, 3, 1})}}), {0, 4, 0});
}

TEST_CASE("wrong arrays are refused") {
  CHECK(error_of(x, {{"x", ints({1})}}) ==
        std::pair<Code, std::string>{Code::invalid_input, "input x is i32; expected f32"});
  CHECK(error_of(x, {{"x", array(f32, {3}, {1})}}).second ==
        "input x has 1 elements; expected 3 as its shape says");
  CHECK(error_of(input("y", u8, {j}), {{"y", array(u8, {2}, {1, 300})}}).second ==
        "input y holds 300 at element 1, which u8 does not hold");
}

TEST_CASE("outputs are stored as they say") {
  const fovea::Axis a{"a", 2}, b{"b", 3};
  const ir::Arrays out =
      ir::interpret(ir::make_graph({{"o", a * 10 + b, {b, a}}, {"p", cast(i8, a * 100)}}), {});
  CHECK(out.at("o").shape == std::vector<std::int64_t>{3, 2});
  CHECK(out.at("o").data == std::vector<double>{0, 10, 1, 11, 2, 12});
  CHECK(out.at("o").dtype == i32);
  CHECK(out.at("p").dtype == i8);
  CHECK(out.at("p").data == std::vector<double>{0, 100});
}

TEST_CASE("an input without elements may be walked along its other axes") {
  const ir::Graph graph = ir::parse(
      "axis i, j, e\np : f32[i, j]\nv : f32[j, e]\nout o = sum(j, p * v)\nout s = sum(i, p)\n");
  const ir::Arrays found =
      ir::interpret(graph, {{"p", array(f32, {5000, 0}, {})}, {"v", array(f32, {0, 64}, {})}});
  CHECK(found.at("o").data == std::vector<double>(5000 * 64, 0));
  CHECK(found.at("s").data.empty());
}

TEST_CASE("an axis without elements beside long ones is not walked") {
  const ir::Graph graph = ir::parse("axis n, i, j\nx : f32[n, i, j]\nout o = x + 1\n");
  CHECK(ir::interpret(graph, {{"x", array(f32, {0, 1024, 1024}, {})}}).at("o").data.empty());
}
