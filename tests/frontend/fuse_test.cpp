// One way through the compiler for everything on a pair plane: what fuses stores nothing there,
// what cannot is compiled all the same.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr std::string_view kHead = R"(
axis h = 3, i, j, d = 16, e = 24
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
)";

// Compiles the text with and without planes, compares both with what it means, and returns what the
// planes of the fused one store.
Planes check(std::string_view text, double tolerance = 1e-5) {
  const Graph graph = parse(text);
  INFO(text);
  const Kernel fused = compile(graph), unfused = compile(graph, {.fuse = false});
  for (const auto& [rows, columns] : {std::pair(97, 203), std::pair(1, 1), std::pair(130, 5)}) {
    Sizes sizes = all_sizes(graph, 2);
    sizes["i"] = rows;
    sizes["j"] = columns;
    INFO(describe(sizes));
    const ir::Arrays inputs = random_inputs(graph, sizes, 7, std::min(rows, columns));
    const ir::Arrays expected = ir::interpret(graph, inputs, sizes);
    auto differs = difference(run(fused, graph, inputs, sizes), expected, tolerance);
    CHECK_MESSAGE(!differs, differs.value_or(""));
    differs = difference(run(unfused, graph, inputs, sizes), expected, tolerance);
    CHECK_MESSAGE(!differs, "unfused: ", differs.value_or(""));
  }
  Sizes sizes = all_sizes(graph, 2);
  sizes["i"] = sizes["j"] = 1000;
  return planes_of(fused, sizes);
}

void check_fused(std::string_view body, int kernels, double tolerance = 1e-5) {
  const Planes planes = check(std::string(kHead) + std::string(body), tolerance);
  CHECK(planes.kernels == kernels);
  CHECK(planes.stored == 0);
}

std::string gradient(std::string_view score) {
  return std::string(kHead) + R"(
o : f32[h, i, e]
do : f32[h, i, e]
lse : f32[h, i]
s = )" + std::string(score) +
         R"(
p = exp(s - lse)
delta = sum(e, do * o)
ds = p * (sum(e, do * v) - delta)
out dv = sum(i, p * do)
out dq = sum(j, ds * k) * 0.25
out dk = sum(i, ds * q) * 0.25
)";
}

// A row that sees one key has dq = dk = 0: two equal sums cancel there, which f32 may add in any
// order. What is left must be small beside dv, which has the size of these sums.
void cancel(ir::Arrays& found, const ir::Arrays& expected) {
  double size = 0;
  for (const double x : expected.at("dv").data) size = std::max(size, std::abs(x));
  for (const char* name : {"dq", "dk"}) {
    const std::vector<double>& exact = expected.at(name).data;
    if (std::ranges::any_of(exact, [](double x) { return x != 0; })) continue;
    for (double& x : found.at(name).data) {
      CHECK(std::abs(x) <= 1e-6 * size);
      x = 0;
    }
  }
}

// The gradient for the outputs of the forward, as it is used.
void check_gradient(std::string_view score) {
  const Graph forward = parse(std::string(kHead) + "s = " + std::string(score) + R"(
out o = sum(j, softmax(j, s) * v)
out lse = logsumexp(j, s)
)");
  const Graph backward = parse(gradient(score));
  const Kernel kernel = compile(backward);
  for (const auto& [rows, columns] : {std::pair(97, 203), std::pair(50, 50), std::pair(1, 7)}) {
    const Sizes sizes = {{"i", rows}, {"j", columns}};
    INFO(describe(sizes));
    ir::Arrays inputs = random_inputs(forward, sizes, 3);
    const ir::Arrays results = ir::interpret(forward, inputs, sizes);
    inputs["o"] = results.at("o");
    inputs["lse"] = results.at("lse");
    inputs["do"] = random_inputs(backward, sizes, 5).at("do");
    for (const char* name : {"o", "lse"}) {
      for (double& x : inputs[name].data) x = static_cast<float>(x);
    }
    ir::Arrays found = run(kernel, backward, inputs, sizes);
    const ir::Arrays expected = ir::interpret(backward, inputs, sizes);
    cancel(found, expected);
    const auto differs = difference(found, expected, 1e-5);
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
  const Planes planes = planes_of(kernel, {{"i", 1000}, {"j", 1000}});
  CHECK(planes.kernels == 1);
  CHECK(planes.stored == 0);
}

}  // namespace

TEST_CASE("fuse: softmax attention is one kernel") {
  check_fused("out o = sum(j, softmax(j, sum(d, q * k) * 0.25) * v)", 1);
  check_fused(R"(
s = where(j <= i, sum(d, q * k) * 0.25, -inf)
out o = sum(j, softmax(j, s) * v)
out lse = logsumexp(j, s))",
              1);
}

TEST_CASE("fuse: softmax that the user spells out, with no guards, is the same kernel") {
  check_fused(R"(
s = sum(d, q * k) * 0.25
p = exp(s - max(j, s))
out o = sum(j, p * v) / sum(j, p))",
              1);
}

TEST_CASE("fuse: the gradient of softmax attention, written by hand") {
  check_gradient("sum(d, q * k) * 0.25");
  check_gradient("where(j <= i, sum(d, q * k) * 0.25, -inf)");
}

TEST_CASE("fuse: a difference of two softmaxes") {
  check_fused(R"(
q2 : f32[h, i, d]
k2 : f32[h, j, d]
lambda : f32[h]
p = softmax(j, sum(d, q * k) * 0.25) - lambda * softmax(j, sum(d, q2 * k2) * 0.25)
out o = sum(j, p * v))",
              2);  // each softmax in one walk of its own
}

TEST_CASE("fuse: content and position scores") {
  check_fused(R"(
axis f = 8
a : f32[h, i, f]
b : f32[h, j, f]
out o = sum(j, softmax(j, sum(d, q * k) * 0.25 + sum(f, a * b)) * v))",
              1);
}

TEST_CASE("fuse: sigmoid attention") {
  check_fused("out o = sum(j, sigmoid(sum(d, q * k) * 0.25 - log(f32(size(j)))) * v)", 1);
}

TEST_CASE("fuse: heads that talk") {
  const std::string text = R"(
axis h = 3, m = 3, n = 3, i, j, d = 16, e = 24
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[n, j, e]
a : f32[h, m]
b : f32[m, n]
s = sum(h, a * sum(d, q * k) * 0.25)
p = softmax(j, s)
out o = sum(j, sum(m, b * p) * v)
)";
  const Planes planes = check(text);
  CHECK(planes.kernels >= 1);
  CHECK(planes.stored == 0);
}

TEST_CASE("fuse: slopes over distance and a soft cap") {
  check_fused(R"(
s = tanh(sum(d, q * k) * 0.25 / 5.0) * 5.0 - exp2(f32(-1 - h)) * f32(abs(i - j))
out o = sum(j, softmax(j, where(j <= i, s, -inf)) * v))",
              1);
}

TEST_CASE("fuse: two different masks of one score") {
  check_fused(R"(
s = sum(d, q * k) * 0.25
out near = sum(j, softmax(j, where(abs(i - j) < 20, s, -inf)) * v)
out past = sum(j, softmax(j, where(j <= i, s, -inf)) * v))",
              1);
}

TEST_CASE("fuse: sums over rows and over columns at once") {
  check_fused(R"(
w : f32[h, i, e]
p = sigmoid(sum(d, q * k) * 0.25)
out over_columns = sum(j, p * v)
out over_rows = sum(i, p * w)
out count = sum(i, where(j <= i, p, 0.0)))",
              1);
}

TEST_CASE("fuse: the largest and the smallest score") {
  check_fused(R"(
s = sum(d, q * k) * 0.25
out high = max(j, s)
out low = min(j, s))",
              1);
}

TEST_CASE("fuse: softmaxes over rows and over columns of one plane") {
  const Planes planes = check(std::string(kHead) + R"(
s = sum(d, q * k) * 0.25
out o = sum(j, softmax(j, s) * v)
out p = sum(j, softmax(i, where(j <= i, s, -inf)) * v))");
  CHECK(planes.stored == 0);
}

TEST_CASE("fuse: two planes that need each other in turn") {
  const Planes planes = check(R"(
axis i, j, m, d = 16
q : f32[i, d]
k : f32[j, d]
a : f32[m, d]
w : f32[j, d]
u : f32[i, d]
p = sigmoid(sum(d, q * k))
t = tanh(sum(d, u * a))
s1 = sum(m, t * a)
r2 = sum(j, p * w)
out r1 = sum(j, p * k * sum(d, s1 * k))
out s2 = sum(m, t * a * sum(d, r2 * a)))");
  CHECK(planes.kernels == 4);
  CHECK(planes.stored == 0);
}

TEST_CASE("fuse: a contraction within a sum, with a factor of its own") {
  check(std::string(kHead) + R"(
w : f32[h, i, e]
t = sum(e, w * 0.5 * v)
out o = sum(j, (t - 1.0) * v))");
}

TEST_CASE("fuse: masked weights that are summed alone and within a product") {
  check(std::string(kHead) + R"(
p = where(j <= i, relu(sum(d, q * k) * 0.25), 0.0)
out o = sum(j, p * v)
out r = sum(j, p * sum(e, v * 0.5)))");
}

TEST_CASE("fuse: a sum over heads and their features, and what follows it, is one kernel") {
  const Planes planes = check(R"(
axis h = 3, i, j, e = 24, m = 80
a : f32[h, i, e]
l : f32[h, i]
w : f32[h, e, m]
bias : f32[m]
x : f32[j, m]
out o = gelu(sum((h, e), a / (1.0 + l * l) * w * 0.1) + bias)
out s = tanh(sum(m, x * bias) - 1.0) * 0.5 - sum(m, x * bias)
out t[m, j] = -(x + sum((h, e), w * bias)))");
  CHECK(planes.kernels == 0);
}

TEST_CASE("fuse: heads as wide as a set are features all the same") {
  const Planes planes = check(R"(
axis h = 2, i, j, d = 128, e = 128, m = 40
x : f32[i, m]
y : f32[j, m]
wq : f32[h, m, d]
wk : f32[h, m, d]
wv : f32[h, m, e]
wo : f32[h, e, m]
s = sum(d, sum(m, x * wq * 0.1) * sum(m, y * wk * 0.1))
out o = sum((h, e), sum(j, softmax(j, s) * sum(m, y * wv)) * wo * 0.1))");
  CHECK(planes.kernels == 1);
  CHECK(planes.stored == 0);
}

TEST_CASE("fuse: every second column, of few rows") {
  const Graph graph = parse(R"(
axis i, j
x : f32[i]
y : f32[j]
out o = sum(j, tanh(where(j % 2 == 0, x * y, 0.0) + x * y * y)))");
  const Kernel kernel = compile(graph);
  for (const int rows : {1, 5, 17, 96}) {
    const Sizes sizes = {{"i", rows}, {"j", 48}};
    INFO(describe(sizes));
    const ir::Arrays inputs = random_inputs(graph, sizes, 3);
    const auto differs =
        difference(run(kernel, graph, inputs, sizes), ir::interpret(graph, inputs, sizes));
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

TEST_CASE("fuse: what cannot be fused is right all the same") {
  check(std::string(kHead) + "out best = argmax(j, sum(d, q * k))");
  check(std::string(kHead) + R"(
s = sum(d, q * k) * 0.25
out o = sum(j, softmax(j, s + s[j = j - 1]) * v))");
  check(std::string(kHead) + R"(
s = sum(d, q * k) * 0.25
out o = sum(j, softmax(j, cumsum(j, s) * 0.1) * v))");
  check(std::string(kHead) + R"(
axis n = 4
s = sum(d, q * k)
at = topk(j, n, s)
p = softmax(n, s[j = at else -inf])
out o = sum(n, p * v[j = at]))");
}

TEST_CASE("fuse: weights as an output are stored, and the output of the same plane is right") {
  check(std::string(kHead) + R"(
out p = softmax(j, where(j <= i, sum(d, q * k) * 0.25, -inf))
out o = sum(j, p * v))");
}

}  // namespace fovea::test
