// What is walked, chunked or computed on the way must not show in results: against plain loops.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "ir/interpret.h"
#include "ir/interpret_plan.h"
#include "ir/query.h"
#include "ir/tensor.h"

using namespace fovea;

namespace {

ir::Array random(std::vector<std::int64_t> shape, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  ir::Array array{f32, std::move(shape), {}};
  for (std::int64_t n = 0; n < count; ++n) array.data.push_back(normal(engine));
  return array;
}

void close(const std::vector<double>& found, const std::vector<double>& expected) {
  REQUIRE(found.size() == expected.size());
  double worst = 0;
  for (std::size_t n = 0; n < found.size(); ++n) {
    worst = std::max(worst, std::fabs(found[n] - expected[n]));
  }
  CHECK(worst < 1e-10);
}

struct Size {
  std::int64_t b, i, j, d;
};

// The output and the log-sum-exp of causal attention of one batch element, and with `grad` dq, dk,
// dv.
struct Reference {
  std::vector<double> o, l, dq, dk, dv;

  Reference(const Size& s, const ir::Array& q, const ir::Array& k, const ir::Array& v,
            const ir::Array& go) {
    const auto at = [&](const ir::Array& x, std::int64_t b, std::int64_t r, std::int64_t c) {
      return x.data[static_cast<std::size_t>((b * x.shape[1] + r) * s.d + c)];
    };
    o.resize(q.data.size()), dq.resize(q.data.size());
    dk.resize(k.data.size()), dv.resize(k.data.size());
    for (std::int64_t b = 0; b < s.b; ++b) {
      for (std::int64_t i = 0; i < s.i; ++i) {
        std::vector<double> p;
        double sum = 0;
        for (std::int64_t j = 0; j < std::min(i + 1, s.j); ++j) {
          double dot = 0;
          for (std::int64_t d = 0; d < s.d; ++d) dot += at(q, b, i, d) * at(k, b, j, d);
          p.push_back(std::exp(dot));
          sum += p.back();
        }
        l.push_back(std::log(sum));
        double delta = 0;
        const auto row = static_cast<std::size_t>((b * s.i + i) * s.d);
        for (std::size_t j = 0; j < p.size(); ++j) {
          p[j] /= sum;
          for (std::int64_t d = 0; d < s.d; ++d) {
            const double add = p[j] * at(v, b, static_cast<std::int64_t>(j), d);
            o[row + static_cast<std::size_t>(d)] += add;
            delta += add * at(go, b, i, d);
          }
        }
        for (std::size_t j = 0; j < p.size(); ++j) {
          const auto key = static_cast<std::int64_t>(j);
          const auto column = static_cast<std::size_t>((b * s.j + key) * s.d);
          double dp = 0;
          for (std::int64_t d = 0; d < s.d; ++d) dp += at(go, b, i, d) * at(v, b, key, d);
          for (std::int64_t d = 0; d < s.d; ++d) {
            const auto n = static_cast<std::size_t>(d);
            dq[row + n] += p[j] * (dp - delta) * at(k, b, key, d);
            dk[column + n] += p[j] * (dp - delta) * at(q, b, i, d);
            dv[column + n] += p[j] * at(go, b, i, d);
          }
        }
      }
    }
  }
};

const fovea::Axis b{"b"}, i{"i"}, j{"j"}, d{"d"};
const Tensor q = input("q", f32, {b, i, d}), k = input("k", f32, {b, j, d}),
             v = input("v", f32, {b, j, d}), go = input("go", f32, {b, i, d});
const Tensor score = where(j <= i, sum(d, q* k), -infinity);

}  // namespace

TEST_CASE("attention over slices") {
  for (const Size& s : {Size{1, 5, 7, 3}, Size{3, 40, 40, 8}, Size{2, 701, 613, 16}}) {
    const ir::Arrays inputs{{"q", random({s.b, s.i, s.d}, 1)},
                            {"k", random({s.b, s.j, s.d}, 2)},
                            {"v", random({s.b, s.j, s.d}, 3)}};
    const ir::Arrays out = ir::interpret(
        ir::make_graph({{"o", sum(j, softmax(j, score) * v)}, {"l", logsumexp(j, score), {i, b}}},
                       {b, i, j, d}),
        inputs);
    const Reference expected(s, inputs.at("q"), inputs.at("k"), inputs.at("v"), inputs.at("q"));
    close(out.at("o").data, expected.o);
    std::vector<double> transposed(expected.l.size());
    for (std::int64_t n = 0; n < s.b * s.i; ++n) {
      transposed[static_cast<std::size_t>(n % s.i * s.b + n / s.i)] =
          expected.l[static_cast<std::size_t>(n)];
    }
    close(out.at("l").data, transposed);
  }
}

TEST_CASE("the gradient, which folds both axes of the plane") {
  const Size s{2, 301, 280, 16};
  const ir::Arrays inputs{{"q", random({s.b, s.i, s.d}, 1)},
                          {"k", random({s.b, s.j, s.d}, 2)},
                          {"v", random({s.b, s.j, s.d}, 3)},
                          {"go", random({s.b, s.i, s.d}, 4)}};
  const Tensor p = softmax(j, score);
  const Tensor dp = sum(d, go * v), delta = sum(d, go * sum(j, p * v));
  const Tensor ds = p * (dp - delta);
  const ir::Graph graph = ir::make_graph(
      {{"dq", sum(j, ds * k)}, {"dk", sum(i, ds * q)}, {"dv", sum(i, p * go)}}, {b, i, j, d});
  double last = 0;
  const ir::Arrays out = ir::interpret(graph, inputs, {}, [&](double share) {
    CHECK(share > last);
    last = share;
  });
  CHECK(last == 1);
  const Reference expected(s, inputs.at("q"), inputs.at("k"), inputs.at("v"), inputs.at("go"));
  close(out.at("dq").data, expected.dq);
  close(out.at("dk").data, expected.dk);
  close(out.at("dv").data, expected.dv);
}

TEST_CASE("memory is that of a few rows of the plane") {
  const auto largest = [](const ir::Graph& graph, const std::vector<std::int64_t>& extents) {
    const ir::Plan plan = ir::make_plan(graph, extents);
    double most = 0;
    for (const ir::Value& value : plan.values) {
      double size = value.stored ? 1 : 0;
      if (ir::is_input(graph.node(value.node))) size = 0;
      for (const ir::AxisId axis : value.axes) {
        size *= static_cast<double>(plan.chunks[static_cast<std::size_t>(axis)]);
      }
      most = std::max(most, size);
    }
    return most;
  };
  const ir::Graph forward = ir::make_graph({{"o", sum(j, softmax(j, score) * v)}}, {b, i, j, d});
  CHECK(largest(forward, {8, 100000, 100000, 64}) <= 200000);
  CHECK(largest(forward, {8, 1000, 1000, 64}) <= (1 << 17));
  const ir::Graph both = ir::make_graph(
      {{"o", sum(j, score * v)}, {"s", sum(i, abs(q - k) * abs(q - k))}}, {b, i, j, d});
  CHECK(largest(both, {8, 2000, 2000, 64}) <= 4000000);
}

TEST_CASE("axes of no extent") {
  const ir::Arrays inputs{
      {"q", random({2, 0, 4}, 1)}, {"k", random({2, 3, 4}, 2)}, {"v", random({2, 3, 4}, 3)}};
  const ir::Arrays out = ir::interpret(
      ir::make_graph({{"o", sum(j, softmax(j, score) * v)}, {"t", sum({j, d}, k * v)}},
                     {b, i, j, d}),
      inputs);
  CHECK(out.at("o").data.empty());
  CHECK(out.at("o").shape == std::vector<std::int64_t>{2, 0, 4});
  CHECK(out.at("t").data.size() == 2);
  CHECK(out.at("t").data[0] != 0);
}
