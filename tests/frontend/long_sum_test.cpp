// Sums, maxima and running sums over many rows, off every plane: products in chunks of terms, rows
// folded several at a time, tensors stored for the next kernel as it likes them.
#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "codegen/targets.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

void check_everywhere(const std::string& text, const std::string& axis,
                      std::initializer_list<std::int64_t> extents, Sizes sizes) {
  const Graph graph = parse(text);
  for (const ir::Target& target : codegen::runnable_targets()) {
    for (const std::int64_t extent : extents) {
      sizes[axis] = extent;
      const auto differs = compiled_differs(graph, random_inputs(graph, sizes, 1), sizes, 1e-5,
                                            {.target = std::string(target.name), .threads = 2});
      INFO(target.name << " " << axis << " = " << extent);
      CHECK_MESSAGE(!differs, differs.value_or(""));
    }
  }
}

}  // namespace

TEST_CASE("long sums: products of matrices, of any shape and with rows to compute") {
  check_everywhere(R"(
axis h, i, j, m = 198, d = 64, e = 48, f = 80
k : f32[h, j, d]
v : f32[h, j, e]
w : f32[i, j]
u : f32[j, f]
t : f32[m, j]
out a[h, d, e] = sum(j, exp(min(k, 0.5)) * v)
out b[h, i, e] = sum(j, w * v) * 0.5
out c[h, f, d] = sum(j, u * k)
out n[m, d] = sum(j, sqrt(abs(t)) * k[h = 1])
out g[i, f] = max(sum(j, exp(w) * u), 0.0)
)",
                   "j", {0, 1, 255, 256, 257, 900}, {{"h", 2}, {"i", 101}});
}

TEST_CASE("long sums: what follows a product is computed with it") {
  check_everywhere(R"(
axis h = 2, i, j, d = 20, e = 64, f = 48
w : f32[h, i, j]
v : f32[h, j, e]
q : f32[i, d]
k : f32[d, f]
bias : f32[e]
x : f32[i, f]
total = sum(j, abs(w))
out a = relu(sum(j, w * v) / where(total == 0.0, 1.0, total) + bias)
s = sum(d, q * k)
out b = where(s > 0.0, s, x * sum(d, q))
)",
                   "j", {0, 3, 600}, {{"i", 67}});
}

TEST_CASE("long sums: over two axes at once") {
  check_everywhere(R"(
axis t, j, i, c = 5, d = 32
x : f32[t, i, c, j]
y : f32[t, c, j, d]
out a[i, d] = sum(t, sum((c, j), x * y))
)",
                   "j", {1, 60, 600}, {{"t", 3}, {"i", 9}});
}

TEST_CASE("long sums: rows are folded together") {
  check_everywhere(R"(
axis h, j, d = 64, e = 112
k : f32[h, j, d]
v : f32[j, e]
w : f32[j]
out a = sum(j, where(k > 0.0, k + 1.0, exp(min(k, 0.0))))
out b = max(j, v * w)
out c = min(j, abs(v) + w)
out n = sum(j, k * w + f32(j))
)",
                   "j", {0, 1, 3, 4, 257, 2048}, {{"h", 1}});
}

TEST_CASE("long sums: running sums go from row to row") {
  check_everywhere(R"(
axis h, j, d = 64, e = 3
k : f32[h, j, d]
v : f32[j, e, d]
out a = cumsum(j, k * 0.25)
out b = cumsum(e, v)
out c = exp(cumsum(j, min(k, 0.0)) * 0.125) + 1.0
)",
                   "j", {1, 2, 33, 1100}, {{"h", 2}});
}

TEST_CASE("long sums: what a kernel stores lies as the sum that makes it wants") {
  check_everywhere(R"(
axis b, h, i, j, d = 32, e = 16, n = 20
q : f32[b, h, i, d]
p : f32[n, j]
k : f32[b, h, j, d]
v : f32[b, h, j, e]
keys = sum(j, p * k)
values = sum(j, p * v)
w = softmax(n, sum(d, q * keys) * 0.01)
out o = sum(n, w * values)
out r = keys
)",
                   "j", {1, 77, 530}, {{"b", 2}, {"h", 2}, {"i", 50}});
}

TEST_CASE("long sums: what a plane folds over its rows is copied, not computed again") {
  check_everywhere(R"(
axis h = 4, i, j, e = 64, r = i + 1, edge, n < degree
first : i32[r]
weight : f32[edge]
v : f32[h, i, e]
x : f32[h, i]
y : f32[h, j]
w = softmax(j, where(j != i, x + y, -inf))
degree = max(first[r = i + 1] - first[r = i], 0)
out a = sum(n, weight[edge = (first[r = i] + n) % size(edge)] * v)
out b = sum(i, w * v)
out c = sum(j, w)
)",
                   "j", {200}, {{"i", 48}, {"edge", 7}});
}

TEST_CASE("long sums: NaN and infinity show where they belong, and zeros annihilate them") {
  const Graph graph = parse(R"(
axis j, d = 32, e = 16
k : f32[j, d]
v : f32[j, e]
out a[d, e] = sum(j, k * v)
out b = sum(j, k)
out c = max(j, k)
out g = cumsum(j, k)
)");
  ir::Arrays inputs = random_inputs(graph, {{"j", 600}}, 2);
  inputs.at("k").data[300 * 32 + 10] = std::numeric_limits<double>::quiet_NaN();
  inputs.at("k").data[301 * 32 + 7] = std::numeric_limits<double>::infinity();
  inputs.at("v").data[599 * 16 + 3] = std::numeric_limits<double>::quiet_NaN();
  for (int d = 0; d < 32; d++) inputs.at("k").data[599 * 32 + static_cast<std::size_t>(d)] = 0;
  const auto differs = compiled_differs(graph, inputs);
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

}  // namespace fovea::test
