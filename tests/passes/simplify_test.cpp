#include "passes/simplify.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "ir/query.h"
#include "ir/text.h"
#include "tests/passes/same_meaning.h"

namespace fovea::passes {
namespace {

constexpr std::string_view kInputs = R"(
axis i, j, d = 3
x : f32[i]
y : f32[i]
z : f32[j]
m : f32[i, j]
w : bf16[i]
k : i32[i]
l : i32[i]
b : i8[i]
c : bool[i]
e : bool[i]
u : f32[j]
)";
constexpr std::string_view kRagged = "axis n < deg\ndeg : u8[j]\n";

std::vector<Rule> all_rules() {
  std::vector<Rule> all;
  for (const auto part : {arithmetic_rules(), logic_rules(), structure_rules()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

struct Case {
  std::string_view rule, expression;
};

// At least one for every rule, the odd ones among them.
constexpr Case kCases[] = {
    {"c + x -> x + c, also * min max && ||", "3.0 + x"},
    {"c + x -> x + c, also * min max && ||", "min(2.0, x)"},
    {"c + x -> x + c, also * min max && ||", "true && c"},
    {"x + 0 -> x, x - 0 -> x", "x + 0.0"},
    {"x + 0 -> x, x - 0 -> x", "k - 0"},
    {"x + 0 -> x, x - 0 -> x", "k + 0.0"},
    {"x + 0 -> x, x - 0 -> x", "c + 0"},
    {"x + 0 -> x, x - 0 -> x", "w - 0.0"},
    {"x * 1 -> x, x / 1 -> x", "x * 1.0"},
    {"x * 1 -> x, x / 1 -> x", "k / 1"},
    {"x * 1 -> x, x / 1 -> x", "k / 1.0"},
    {"x * -1 -> -x", "x * -1.0"},
    {"-(-x) -> x", "-(-x)"},
    {"x + -y -> x - y, x - -y -> x + y", "x + -y"},
    {"x + -y -> x - y, x - -y -> x + y", "k - -l"},
    {"-x * c -> x * -c", "-x * 3.0"},
    {"-x * c -> x * -c", "-k * 3"},
    {"x / 2^n -> x * 2^-n", "x / 8.0"},
    {"x / 2^n -> x * 2^-n", "k / -0.25"},
    {"x * c * d -> x * (c * d), also /", "x * 3.0 * 5.0"},
    {"x * c * d -> x * (c * d), also /", "x / 3.0 * 7.0"},
    {"x * c * d -> x * (c * d), also /", "k * 3.0 / 7.0"},
    {"i + c - d -> i + (c - d)", "k + 5 - 7"},
    {"i + c - d -> i + (c - d)", "k - 5 + 7"},
    {"i * 0, i - i, i % 1 -> 0", "l + k * 0"},
    {"i * 0, i - i, i % 1 -> 0", "l + (k - k)"},
    {"i * 0, i - i, i % 1 -> 0", "l - k % 1"},
    {"i * c * d -> i * (c * d)", "k * 3 * -5"},
    {"i * c / d -> i * (c / d) where d divides c", "b * 6 / 3"},
    {"i * c % d -> 0 where d divides c", "l + b * 6 % 3"},
    {"i / c / d -> i / (c * d)", "(k * 7) / 2 / 3"},
    {"min(min(x, c), d) -> min(x, min(c, d)), also max", "min(min(x, 2.0), 1.0)"},
    {"min(min(x, c), d) -> min(x, min(c, d)), also max", "max(max(x, 0.5), 1.0)"},
    {"min(x, x) -> x, also max", "min(x, x)"},
    {"min(x, x) -> x, also max", "max(b, b)"},
    {"pow(x, 0 or 1 or 2 or -1)", "y + pow(x, 0.0)"},
    {"pow(x, 0 or 1 or 2 or -1)", "pow(x, 1.0)"},
    {"pow(x, 0 or 1 or 2 or -1)", "pow(x, 2.0)"},
    {"pow(x, 0 or 1 or 2 or -1)", "pow(k, 2)"},
    {"pow(x, 0 or 1 or 2 or -1)", "pow(x, -1.0)"},
    {"abs(-x), abs(abs(x)) -> abs(x)", "abs(-x)"},
    {"abs(-x), abs(abs(x)) -> abs(x)", "abs(abs(x))"},
    {"exp(-log1p(x)) -> 1 / (1 + x) where x >= 0", "exp(-log1p(x * x))"},
    {"exp(-log1p(x)) -> 1 / (1 + x) where x >= 0",
     "exp(-log1p(abs(x) + sqrt(y) * sum(j, exp(z)) / max(x, 0.25)))"},
    {"exp(-acosh(z)) -> 1 / (z + sqrt(z - 1) * sqrt(z + 1))", "exp(-acosh(x))"},
    {"exp(-acosh(z)) -> 1 / (z + sqrt(z - 1) * sqrt(z + 1))", "exp(-acosh(k))"},
    {"exp(-acosh(z)) -> 1 / (z + sqrt(z - 1) * sqrt(z + 1))", "exp(-acosh(1.0 + x * x))"},
    {"floor(i), round(i) -> i", "floor(k)"},
    {"floor(i), round(i) -> i", "round(b)"},
    {"x && true -> x, x && false -> false, also ||", "c && true"},
    {"x && true -> x, x && false -> false, also ||", "e || (c && false)"},
    {"x && true -> x, x && false -> false, also ||", "e && (c || true)"},
    {"x && true -> x, x && false -> false, also ||", "c || false"},
    {"x && x, x && (x && y), also ||", "c && c"},
    {"x && x, x && (x && y), also ||", "c && (e && c)"},
    {"x && x, x && (x && y), also ||", "(c || e) || c"},
    {"!!x -> x", "!!c"},
    {"!(a < b) -> a >= b over integers, !(a == b) -> a != b", "!(k < l)"},
    {"!(a < b) -> a >= b over integers, !(a == b) -> a != b", "!(k >= l)"},
    {"!(a < b) -> a >= b over integers, !(a == b) -> a != b", "!(x == y)"},
    {"!(a < b) -> a >= b over integers, !(a == b) -> a != b", "!(x != y)"},
    {"where(true, a, b) -> a", "where(true, x, y)"},
    {"where(true, a, b) -> a", "where(false, x, k)"},
    {"where(c, a, a) -> a", "where(c, x, x)"},
    {"where(!c, a, b) -> where(c, b, a)", "where(!c, x, y)"},
    {"where(c, true, b) -> c || b", "where(c, true, e)"},
    {"where(c, true, b) -> c || b", "where(c, false, e)"},
    {"where(c, true, b) -> c || b", "where(c, e, true)"},
    {"where(c, true, b) -> c || b", "where(c, e, false)"},
    {"where(c, where(c, a, x), b) -> where(c, a, b)", "where(c, where(c, x, y), k)"},
    {"where(c, where(c, a, x), b) -> where(c, a, b)", "where(c, x, where(c, k, y))"},
    {"where(c, where(d, a, b), b) -> where(c && d, a, b)", "where(c, where(e, x, y), y)"},
    {"where(c, where(d, a, b), b) -> where(c && d, a, b)", "where(c, where(e, y, x), y)"},
    {"where(c, where(d, a, b), b) -> where(c && d, a, b)", "where(c, y, where(e, y, x))"},
    {"where(c, where(d, a, b), b) -> where(c && d, a, b)", "where(c, y, where(e, x, y))"},
    {"size(d) -> its extent where that is fixed", "size(d) + k"},
    {"sum(j, x) -> x * size(j) where x lacks j", "sum(j, x)"},
    {"sum(j, x) -> x * size(j) where x lacks j", "sum(d, x)"},
    {"sum(j, x) -> x * size(j) where x lacks j", "sum(j, c)"},
    {"sum(j, x) -> x * size(j) where x lacks j", "sum(j, 2.5)"},
    {"sum(j, x) -> x * size(j) where x lacks j", "sum(j, k * l)"},
    {"sum(j, x) -> x * size(j) where x lacks j", "sum(n, exp(x)) + u"},
    {"max(d, x) -> x where x lacks d, also min", "max(d, x)"},
    {"max(d, x) -> x where x lacks d, also min", "min(d, c)"},
    {"x[a = a] -> x", "x[i = i]"},
    {"x[a = a] -> x", "m[i = i, j = j + 1]"},
    {"x[a = f][b = g] -> x[a = f, b = g] where f lacks b", "m[i = 2 - i][j = j + 1]"},
    {"x[a = f][b = g] -> x[a = f, b = g] where f lacks b", "m[i = 2 - d][j = i]"},
    {"f32(i32(x)) -> f32(x) where i32 holds all x", "f32(i32(b))"},
    {"f32(i32(x)) -> f32(x) where i32 holds all x", "bf16(f32(w)) + 1.0"},
};

// What a careless rule would change: infinities, rounding, empty axes, outside.
constexpr std::string_view kLeft[] = {
    "x * 0.0",         "x - x",
    "x / 3.0",         "x / x",
    "(x + 1e8) - 1e8", "!(x < y)",
    "where(c, x, y)",  "where(c, where(e, x, y), x * y)",
    "max(j, x)",       "sum(j, x * y)",
    "size(j) + k",     "j <= i",
    "i >= 0",          "k / 2 * 2",
    "k * 3 / 2",       "k * 6 / 3",
    "k * 6 % 3",       "pow(x, 0.5)",
    "i32(f32(k))",     "f32(i32(x))",
    "i8(i32(k)) + 1",  "m[i = 2 - i][i = j]",
    "m[i = j][j = i]", "x[i = k else 0.0][i = 2 - i]",
    "x[i = i + 1]",    "min(max(x, 1.0), 2.0)",
    "x * 1e30 * 1e30", "log(-1.0) + x",
};

ir::Graph graph_of(std::string_view expression) {
  const bool ragged = expression.find("(n,") != std::string_view::npos;
  return ir::parse(fmt::format("{}{}out o = {}\n", kInputs, ragged ? kRagged : "", expression));
}

ir::Graph simplified(const ir::Graph& graph) { return simplify(graph, ir::targets()[0]); }

}  // namespace

TEST_CASE("simplify: every rule has a case") {
  for (const Rule& rule : all_rules()) {
    INFO(rule.name);
    CHECK(std::ranges::count(kCases, rule.name, &Case::rule) > 0);
  }
}

TEST_CASE("simplify: every rule fires alone and keeps the value, NaN and infinity included") {
  const std::vector<Rule> rules = all_rules();
  for (const Case& c : kCases) {
    INFO(c.rule);
    INFO(c.expression);
    const auto rule = std::ranges::find(rules, c.rule, &Rule::name);
    REQUIRE(rule != rules.end());
    const ir::Graph before = graph_of(c.expression);
    const ir::Graph after = simplify_with(before, *rule);
    CHECK(after != before);
    const auto differs = difference(before, after, Values::Special);
    CHECK_MESSAGE(!differs, differs.value_or(""));
    const ir::Graph all = simplified(before);
    const auto all_differs = difference(before, all, Values::Special);
    CHECK_MESSAGE(!all_differs, all_differs.value_or(""));
    CHECK(simplified(all) == all);
  }
}

TEST_CASE("simplify: leaves alone what only looks simple") {
  for (const std::string_view expression : kLeft) {
    INFO(expression);
    const ir::Graph before = graph_of(expression);
    CHECK(ir::print(simplified(before)) == ir::print(before));
  }
}

TEST_CASE("simplify: constants are what the interpreter says") {
  constexpr std::string_view kConstant[] = {"2 + 3 * 4",    "-7 / 2",
                                            "-7 % 3",       "exp(1.0)",
                                            "gelu(0.5)",    "where(1 < 2, 3.0, 4.0)",
                                            "f32(7) / 2.0", "min(1, -2)",
                                            "i32(2.7)",     "round(2.5)",
                                            "1.0 / 0.0",    "-1.0 * inf",
                                            "exp(-inf)",    "1 < 2 && 3 < 2",
                                            "i32(1e20)",    "sqrt(2.0) * rsqrt(2.0)"};
  for (const std::string_view expression : kConstant) {
    INFO(expression);
    const ir::Graph before = graph_of(expression);
    const ir::Graph after = simplified(before);
    CHECK(after.nodes.size() == 1);
    CHECK(ir::is_constant(after.nodes.at(0)));
    CHECK(ir::interpret(after, {}, small_sizes(after)) ==
          ir::interpret(before, {}, small_sizes(before)));
    CHECK(ir::parse(ir::print(after)) == after);
  }
}

TEST_CASE("simplify: NaN has no text and is not made a constant") {
  const ir::Graph after = simplified(graph_of("0.0 / 0.0"));
  CHECK(after.nodes.size() > 1);
}

TEST_CASE("simplify: what is stored keeps its axes") {
  const ir::Graph stored = graph_of("where(true, x, z)");
  CHECK(simplified(stored).outputs.at(0).layout == stored.outputs.at(0).layout);
  CHECK(!difference(stored, simplified(stored)));
  const ir::Graph summed = graph_of("sum(i, where(true, z, x)) + sum(i, x)");
  CHECK(!difference(summed, simplified(summed)));
  const ir::Graph inner = graph_of("1.0 * where(c, where(c, x, z), x)");
  CHECK(simplified(inner).outputs.at(0).layout == inner.outputs.at(0).layout);
}

TEST_CASE("simplify: equal nodes are shared and the unreachable is dropped") {
  const ir::Graph after =
      simplified(graph_of("(x * 2.0) * exp(y * 1.0) + (x + 0.0) * 2.0 * exp(y)"));
  CHECK(std::ranges::count_if(after.nodes, [](const ir::Node& node) {
          const auto* map = ir::map_of(node);
          return map != nullptr && map->fn == ir::Fn::Exp;
        }) == 1);
  // x, 2, x * 2, y, exp(y), their product, and that added to itself
  CHECK(after.nodes.size() == 7);
}

}  // namespace fovea::passes
