#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>
#include <numeric>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {
namespace {

const Lists kFive{{1, 2}, {0}, {}, {2, 2, 4}, {3, 0}};  // 8 edges

Options layer(double features, double heads) {
  return {{"features", features}, {"heads", heads}, {"d", 4}};
}

// The layer by matrices of all nodes: how often each is a neighbour times exp(score), row by row.
ir::Array dense(const Lists& lists, const ir::Arrays& inputs, std::size_t heads) {
  const std::vector<double>&x = inputs.at("x").data, &w = inputs.at("w").data;
  const std::size_t nodes = lists.size(), features = x.size() / nodes, width = 4;
  ir::Array o =
      filled({static_cast<std::int64_t>(nodes), static_cast<std::int64_t>(heads * width)}, 0);
  for (std::size_t h = 0; h < heads; ++h) {
    std::vector<double> z(nodes * width), own(nodes), other(nodes);
    for (std::size_t i = 0; i < nodes; ++i) {
      for (std::size_t d = 0; d < width; ++d) {
        for (std::size_t c = 0; c < features; ++c)
          z[i * width + d] += x[i * features + c] * w[(h * features + c) * width + d];
        own[i] += z[i * width + d] * inputs.at("a_own").data[h * width + d];
        other[i] += z[i * width + d] * inputs.at("a_neighbour").data[h * width + d];
      }
    }
    for (std::size_t i = 0; i < nodes; ++i) {
      std::vector<double> weight(nodes);
      for (const int j : lists[i]) {
        const double s = own[i] + other[static_cast<std::size_t>(j)];
        weight[static_cast<std::size_t>(j)] += std::exp(s > 0 ? s : 0.2 * s);
      }
      if (lists[i].empty()) weight[i] = 1;
      const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
      for (std::size_t d = 0; d < width; ++d) {
        double sum = inputs.at("b").data[h * width + d];
        for (std::size_t j = 0; j < nodes; ++j) sum += weight[j] / total * z[j * width + d];
        o.data[(i * heads + h) * width + d] = sum > 0 ? sum : std::exp(sum) - 1;
      }
    }
  }
  return o;
}

}  // namespace

TEST_CASE("graph attention layer: 5 nodes of 4 features and 8 edges give 5 x 8") {
  const ir::Arrays inputs = graph_inputs("graph_attention", layer(4, 2), kFive);
  const ir::Array o = evaluate("graph_attention", layer(4, 2), inputs).at("o");
  CHECK(o.shape == std::vector<std::int64_t>{5, 8});
  CHECK(distance(o, dense(kFive, inputs, 2)) < 1e-12);
}

TEST_CASE("graph attention layer: layers stack, 4 features to 8 to 16 on 10 nodes") {
  Lists lists(10);
  for (int i = 0; i < 10; ++i)
    for (int step = 1; step <= i % 4; ++step)
      lists[static_cast<std::size_t>(i)].push_back((i + 3 * step) % 10);
  const ir::Arrays first = graph_inputs("graph_attention", layer(4, 2), lists, 1);
  ir::Arrays second = graph_inputs("graph_attention", layer(8, 4), lists, 2);
  second.at("x") = evaluate("graph_attention", layer(4, 2), first).at("o");
  const ir::Array o = evaluate("graph_attention", layer(8, 4), second).at("o");
  CHECK(o.shape == std::vector<std::int64_t>{10, 16});
  second.at("x") = dense(lists, first, 2);
  CHECK(distance(o, dense(lists, second, 4)) < 1e-12);
}

TEST_CASE("graph attention layer: relabelled nodes have relabelled results") {
  const Options options{{"features", 3}, {"heads", 2}, {"d", 2}, {"edges", 2}, {"residual", 1}};
  CHECK(rc::check("graph_attention", [&] {
    const Lists lists = any_lists();
    const std::vector<int> order = shuffled(static_cast<int>(lists.size()));
    const ir::Arrays inputs = graph_inputs("graph_attention", options, lists);
    const ir::Arrays moved = relabelled("graph_attention", options, inputs, order);
    RC_ASSERT(distance(evaluate("graph_attention", options, moved).at("o"),
                       reordered(evaluate("graph_attention", options, inputs).at("o"), order)) <
              1e-9);
  }));
}

TEST_CASE("graph attention layer: the residual alone is a projection of a node's own features") {
  const Options options{{"features", 4}, {"heads", 2}, {"d", 4}, {"residual", 1}};
  ir::Arrays inputs = graph_inputs("graph_attention", options, kFive);
  inputs.at("w") = filled({2, 4, 4}, 0);
  inputs.at("b") = filled({8}, 0);
  inputs.at("w_own") = filled({4, 8}, 0);
  for (std::size_t c = 0; c < 4; ++c) inputs.at("w_own").data[c * 8 + 2 * c] = 1;
  const ir::Array o = evaluate("graph_attention", options, inputs).at("o");
  for (std::size_t n = 0; n < o.data.size(); ++n) {
    const double x = n % 2 == 0 ? inputs.at("x").data[n / 2] : 0;
    CHECK(o.data[n] == doctest::Approx(x > 0 ? x : std::exp(x) - 1));
  }
}

}  // namespace fovea::ops::test
