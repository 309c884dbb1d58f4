// Attention over neighbours, ragged or gathered: one kernel walks them for each node, and stores
// nothing along them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codegen/targets.h"
#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr std::string_view kHead = R"(
axis i, j, e, r = i + 1, n < degree, h = 8, d = 16, f = 24, g = 6
start : i32[r]
neighbour : i32[e]
q : f32[i, h, d]
k : f32[j, h, d]
v : f32[j, h, f]
degree = start[r = i + 1] - start[r = i]
at = start[r = i] + n
nb = neighbour[e = at]
)";

const std::vector<std::int64_t> kDegrees{0, 1, 2, 7, 0, 100, 3, 5000, 4, 16, 64, 65, 256, 257, 300};

ir::Arrays neighbours(const Graph& graph, const std::vector<std::int64_t>& degrees,
                      std::int64_t nodes, Sizes& sizes) {
  sizes = all_sizes(graph, 2);
  sizes["i"] = static_cast<std::int64_t>(degrees.size());
  if (sizes.contains("j")) sizes["j"] = nodes;
  sizes["e"] = std::accumulate(degrees.begin(), degrees.end(), std::int64_t{0});
  ir::Arrays inputs = random_inputs(graph, sizes, 7, static_cast<int>(nodes));
  std::vector<double>& start = inputs.at("start").data;
  start[0] = 0;
  for (std::size_t n = 0; n < degrees.size(); n++)
    start[n + 1] = start[n] + static_cast<double>(degrees[n]);
  return inputs;
}

// Compiled = interpreted, and as many kernels walk neighbours as they should.
void check(std::string_view body, int walks = 1, double tolerance = 1e-5,
           std::string_view head = kHead) {
  const Graph graph = parse(std::string(head) + std::string(body));
  INFO(body);
  Sizes sizes;
  const ir::Arrays inputs = neighbours(graph, kDegrees, 40, sizes);
  const ir::Arrays expected = ir::interpret(graph, inputs, sizes);
  for (const ir::Target& target : codegen::runnable_targets()) {
    INFO(target.name);
    const Kernel kernel = compile(graph, {.target = std::string(target.name), .fuse = true});
    const auto differs = difference(run(kernel, graph, inputs, sizes), expected, tolerance);
    CHECK_MESSAGE(!differs, differs.value_or(""));
    int found = 0;
    for (const ir::Kernel& each : kernel.graph().kernels) {
      const ir::Type& type = kernel.graph().node(each.results[0]).type;
      found += each.column != ir::kNone && type.dtype == f32;
      CHECK_FALSE(type.has(ir::find_axis(kernel.graph(), "e")));
    }
    CHECK(found == walks);
  }
}

}  // namespace

TEST_CASE("walk: dot-product attention over neighbours") {
  check("out o[i, h, f] = sum(n, softmax(n, sum(d, q * k[j = nb]) * 0.25) * v[j = nb])");
}

TEST_CASE("walk: weights and values by hand, base two, the log-sum-exp beside it") {
  check(R"(
s = sum(d, q * k[j = nb]) * 0.25
p = exp2(s - max(n, s))
out o[i, h, f] = sum(n, p * v[j = nb]) / sum(n, p)
out lse = logsumexp(n, s))",
        2);
}

TEST_CASE("walk: additive scores with edge features") {
  check(R"(
ai : f32[i, h]
bj : f32[j, h]
we : f32[h, g]
x : f32[e, g]
s = leaky_relu(ai + bj[j = nb] + sum(g, we * x[e = at]), 0.2)
out o[i, h, f] = sum(n, softmax(n, s) * v[j = nb]))");
}

TEST_CASE("walk: scores of features that edges have their part in") {
  check(R"(
a : f32[h, d]
we : f32[h, d, g]
wt : f32[g, h, d]
x : f32[e, g]
s = sum(d, a * leaky_relu(q + k[j = nb] + sum(g, we * x[e = at]), 0.2))
t = sum(d, a * tanh(q + k[j = nb] + sum(g, wt * x[e = at])))
out o[i, h, f] = sum(n, softmax(n, s) * v[j = nb])
out u[i, h, f] = sum(n, softmax(n, t) * v[j = nb]))",
        2);
}

TEST_CASE("walk: sums, means, maxima and counts of neighbours") {
  check(R"(
axis c
x : f32[j, c]
w : f32[e]
flag : bool[j]
out total = sum(n, x[j = nb])
out weighted = sum(n, x[j = nb] * w[e = at])
out average = mean(n, relu(x[j = nb]))
out most = max(n, x[j = nb])
out least = min(n, x[j = nb] + w[e = at])
out some = any(n, flag[j = nb])
out every = all(n, flag[j = nb])
out ids = sum(n, nb * 2))",
        5);
}

TEST_CASE("walk: other weights than a softmax") {
  check("out o[i, h, f] = sum(n, sigmoid(sum(d, q * k[j = nb]) * 0.25) * v[j = nb])");
  check("out o = sum(n, relu(sum((d, h), q * k[j = nb])))");
  check("out o[i, h, f] = sum(n, softmax(n, v[j = nb]) * v[j = nb])");
}

TEST_CASE("walk: a node without neighbours keeps its features") {
  check(R"(
x : f32[i, h, f]
o = sum(n, softmax(n, sum(d, q * k[j = nb])) * v[j = nb])
out y[i, h, f] = where(degree > 0, o, x))");
}

TEST_CASE("walk: heads that lie apart, of any number, with their own layout") {
  check("out o = sum(n, softmax(n, sum(d, q * k[j = nb])) * v[j = nb])", 1, 1e-5, R"(
axis b, h, i, j, e, r = i + 1, n < degree, d = 20, f = 33
start : i32[r]
neighbour : i32[e]
q : f32[b, h, i, d]
k : f32[b, h, j, d]
v : f32[b, h, j, f]
degree = start[r = i + 1] - start[r = i]
nb = neighbour[e = start[r = i] + n]
)");
  check("out o[i, h, f] = sum(n, softmax(n, sum(d, q * k[j = nb])) * v[j = nb])", 1, 1e-5, R"(
axis i, h = 3, j, e, r = i + 1, n < degree, d, f
start : i32[r]
neighbour : i32[e]
q : f32[i, h, d]
k : f32[j, h, d]
v : f32[j, h, f]
degree = start[r = i + 1] - start[r = i]
nb = neighbour[e = start[r = i] + n]
)");
}

TEST_CASE("walk: a fold that needs another's result walks once more") {
  check(R"(
s = sum(d, q * k[j = nb]) * 0.25
m = mean(n, s)
spread = mean(n, (s - m) * (s - m))
out o[i, h, f] = sum(n, softmax(n, (s - m) / sqrt(spread + 1.0)) * v[j = nb]))");
}

TEST_CASE("walk: two layers, the first read at neighbours") {
  check(R"(
axis t = 6
x : f32[i, t]
w : f32[t, d]
y = tanh(sum(n, x[i = nb]) + x)
out z = y + mean(n, y[i = nb])
out m = sum(t, w * y))",
        2, 1e-5, R"(
axis i, e, r = i + 1, n < degree, d = 16
start : i32[r]
neighbour : i32[e]
degree = start[r = i + 1] - start[r = i]
nb = min(neighbour[e = start[r = i] + n], size(i) - 1)
)");
}

TEST_CASE("walk: gathered neighbours of one number, also a best few") {
  const std::string head = R"(
axis i, j, n, h = 4, d = 16
q : f32[i, h, d]
k : f32[j, h, d]
)";
  for (const std::string text :
       {"nb : i32[i, n]\nout o[i, h, d] = sum(n, softmax(n, sum(d, q * k[j = nb])) * k[j = nb])",
        "axis z\na : f32[i, z]\nb : f32[j, z]\nnb = topk(j, n, sum(z, a * b))\nout o[i, h, d] = "
        "sum(n, softmax(n, where(nb >= 0, sum(d, q * k[j = nb]), -inf)) * k[j = nb])"}) {
    INFO(text);
    const Graph graph = parse(head + text);
    const Kernel kernel = compile(graph);
    for (const auto& [rows, nodes, each] :
         {std::tuple(1, 9, 1), std::tuple(7, 5, 8), std::tuple(33, 300, 100)}) {
      Sizes sizes = all_sizes(graph, 5);
      sizes["i"] = rows, sizes["j"] = nodes, sizes["n"] = each;
      INFO(describe(sizes));
      const ir::Arrays inputs = random_inputs(graph, sizes, 3, nodes);
      const auto differs =
          difference(run(kernel, graph, inputs, sizes), ir::interpret(graph, inputs, sizes));
      CHECK_MESSAGE(!differs, differs.value_or(""));
    }
    int stored = 0;
    for (const ir::Kernel& each : kernel.graph().kernels) {
      const ir::Type& type = kernel.graph().node(each.results[0]).type;
      stored += type.dtype == f32 && type.has(ir::find_axis(kernel.graph(), "n"));
    }
    CHECK(stored == 0);
  }
}

TEST_CASE("walk: the same bits on any number of threads") {
  const Graph graph =
      parse(std::string(kHead) +
            "out o[i, h, f] = sum(n, softmax(n, sum(d, q * k[j = nb])) * v[j = nb])");
  std::vector<std::int64_t> degrees;
  for (int n = 0; n < 2000; n++) degrees.push_back(n % 97 == 5 ? 700 : n % 13);
  Sizes sizes;
  const ir::Arrays inputs = neighbours(graph, degrees, 500, sizes);
  const ir::Arrays one = run(compile(graph, {.threads = 1}), graph, inputs, sizes);
  for (const int threads : {2, 3, 5})
    CHECK(run(compile(graph, {.threads = threads}), graph, inputs, sizes).at("o").data ==
          one.at("o").data);
}

TEST_CASE("walk: infinity, NaN and scores that f32 cannot hold") {
  const Graph graph = parse(std::string(kHead) + R"(
bias : f32[e]
s = sum(d, q * k[j = nb]) + bias[e = at]
out o[i, h, f] = sum(n, softmax(n, where(bias[e = at] > 5.0, -inf, s)) * v[j = nb])
out m[i, h, f] = max(n, v[j = nb]))");
  const Kernel kernel = compile(graph);
  Sizes sizes;
  ir::Arrays inputs = neighbours(graph, {3, 2, 1, 0, 9, 20}, 30, sizes);
  std::vector<double>& bias = inputs.at("bias").data;
  bias[0] = bias[1] = 10;  // two of three are excluded
  bias[3] = bias[4] = 10;  // all are
  inputs.at("v").data[3] = std::nan("");
  inputs.at("v").data[500] = INFINITY;
  for (std::size_t n = 15; n < 20; n++) bias[n] = -3e38;
  inputs.at("q").data[5 * 128] = 3e38;
  const auto differs =
      difference(run(kernel, graph, inputs, sizes), ir::interpret(graph, inputs, sizes));
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

TEST_CASE("walk: a neighbour outside is an error, and nothing is written") {
  const Graph graph = parse(std::string(kHead) + "out o = sum(n, v[j = nb])");
  const Kernel kernel = compile(graph);
  Sizes sizes;
  ir::Arrays inputs = neighbours(graph, {2, 3}, 4, sizes);
  for (const double outside : {-1.0, 4.0, 2e9}) {
    inputs.at("neighbour").data[3] = outside;
    CHECK(error_of([&] { run(kernel, graph, inputs, sizes); }).starts_with("out_of_bounds"));
  }
}

TEST_CASE("walk: a list that begins or ends outside is an error") {
  const Graph graph = parse(std::string(kHead) + "out o = sum(n, v[j = nb])");
  const Kernel kernel = compile(graph);
  for (const auto& [row, offset] :
       {std::pair(0, -1.0), std::pair(0, -100000.0), std::pair(2, 6.0), std::pair(2, 100000.0)}) {
    Sizes sizes;
    ir::Arrays inputs = neighbours(graph, {2, 3}, 4, sizes);
    inputs.at("start").data[static_cast<std::size_t>(row)] = offset;
    CHECK(error_of([&] { run(kernel, graph, inputs, sizes); }).starts_with("out_of_bounds"));
  }
}

TEST_CASE("walk: the least and the largest of integers, below 0 and above") {
  check("out least = min(n, at - 40)\nout most = max(n, at - 40)\nout shifted = max(n, 7 - at)",
        0);  // of kernels that walk, those of floats are counted
}

}  // namespace fovea::test
