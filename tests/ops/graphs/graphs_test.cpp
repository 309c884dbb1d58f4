// What all mechanisms over graphs have in common.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/ops/graphs/graph.h"

namespace fovea::ops::test {
namespace {

Options small(const Mechanism& mechanism) {
  const Options wanted{{"features", 3}, {"heads", 2}, {"d", 4}, {"edges", 2}, {"hidden", 5}};
  Options options;
  for (const Option& option : mechanism.options) {
    const auto found = wanted.find(std::string(option.name));
    if (found != wanted.end()) options.insert(*found);
  }
  return options;
}

template <class Check>
void for_each_graph_mechanism(const Check& check) {
  for (const Mechanism* mechanism : all()) {
    if (mechanism->family != "graphs") continue;
    CAPTURE(mechanism->name);
    check(std::string(mechanism->name), small(*mechanism));
  }
}

const Lists kLists{{1, 2, 2}, {}, {0, 4, 3, 1}, {3}, {0, 2}};

}  // namespace

TEST_CASE("graphs: there are ten mechanisms") {
  CHECK(std::ranges::count(all(), "graphs", &Mechanism::family) == 10);
}

TEST_CASE("graphs: relabelled nodes have relabelled results") {
  for_each_graph_mechanism([](const std::string& name, const Options& options) {
    const bool held = rc::check(name, [&] {
      const int nodes = *rc::gen::inRange(1, 7);
      const auto lists = *rc::gen::container<Lists>(
          static_cast<std::size_t>(nodes),
          rc::gen::container<std::vector<int>>(rc::gen::inRange(0, nodes)));
      std::vector<int> order(static_cast<std::size_t>(nodes));
      std::iota(order.begin(), order.end(), 0);
      std::mt19937 random(*rc::gen::arbitrary<unsigned>());
      std::ranges::shuffle(order, random);
      const ir::Arrays inputs = graph_inputs(name, options, lists);
      const ir::Array o = evaluate(name, options, inputs).at("o");
      const ir::Array moved =
          evaluate(name, options, relabelled(name, options, inputs, order)).at("o");
      RC_ASSERT(distance(moved, reordered(o, order)) < 1e-9);
    });
    CHECK(held);
  });
}

TEST_CASE("graphs: the order of a node's neighbours does not matter") {
  Lists turned = kLists;
  for (std::vector<int>& row : turned) std::ranges::reverse(row);
  for (const std::string name :
       {"graph_transformer", "gin", "sage", "structural", "layer_encoding"}) {
    CAPTURE(name);
    const Options options = name == "graph_transformer" ? Options{{"bias", 0}} : Options{};
    CHECK(distance(evaluate(name, options, graph_inputs(name, options, kLists)).at("o"),
                   evaluate(name, options, graph_inputs(name, options, turned)).at("o")) < 1e-9);
  }
}

TEST_CASE("graphs: lists that do not fit are errors") {
  for_each_graph_mechanism([](const std::string& name, const Options& options) {
    const ir::Arrays inputs = graph_inputs(name, options, kLists);
    const auto with = [&](const char* input, std::vector<double> data) {
      ir::Arrays changed = inputs;
      changed.at(input) = integers(std::move(data));
      return failure_of(name, options, changed);
    };
    CHECK(with("row_start", {0, 3, 3, 7, 8, 10}) == "ok");
    CHECK(with("row_start", {0, 3, 3, 7, 10}) == "dimension_mismatch");
    CHECK(with("row_start", {0, 3, 3, 7, 8, 9}) == "out_of_bounds");
    CHECK(with("row_start", {0, 3, 3, 7, 8, 11}) == "out_of_bounds");
    CHECK(with("row_start", {1, 3, 3, 7, 8, 10}) == "out_of_bounds");
    CHECK(with("row_start", {-1, 3, 3, 7, 8, 10}) == "out_of_bounds");
    CHECK(with("neighbour", {1, 2, 2, 0, 4, 3, 1, 3, 0, 5}) == "out_of_bounds");
    CHECK(with("neighbour", {1, 2, -2, 0, 4, 3, 1, 3, 0, 2}) == "out_of_bounds");
  });
}

}  // namespace fovea::ops::test
