// What all mechanisms over graphs have in common.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>

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

// Weights [.., c, d].
void take_first_feature(ir::Array& w) {
  const auto features = static_cast<std::size_t>(w.shape.end()[-2]);
  const auto width = static_cast<std::size_t>(w.shape.back());
  for (std::size_t n = 0; n < w.data.size(); ++n) w.data[n] = n / width % features == 0 ? 1 : 0;
}

}  // namespace

TEST_CASE("graphs: there are ten mechanisms") {
  CHECK(std::ranges::count(all(), "graphs", &Mechanism::family) == 10);
}

TEST_CASE("graphs: relabelled nodes have relabelled results") {
  for_each_graph_mechanism([](const std::string& name, const Options& options) {
    const bool held = rc::check(name, [&] {
      const Lists lists = any_lists();
      const std::vector<int> order = shuffled(static_cast<int>(lists.size()));
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
  for_each_graph_mechanism([](const std::string& name, const Options& options) {
    CHECK(find(name).properties.permutable);
    const bool held = rc::check(name, [&] {
      const Lists lists = any_lists();
      std::vector<int> order;
      for (const std::vector<int>& row : lists) {
        const auto first = static_cast<int>(order.size());
        for (const int n : shuffled(static_cast<int>(row.size()))) order.push_back(first + n);
      }
      const ir::Arrays inputs = graph_inputs(name, options, lists);
      const ir::Array o = evaluate(name, options, inputs).at("o");
      const ir::Arrays other = with_edges(name, options, inputs, order);
      RC_ASSERT(distance(evaluate(name, options, other).at("o"), o) < 1e-9);
    });
    CHECK(held);
  });
}

// With projections that leave the first feature as it is, in every channel.
TEST_CASE("graphs: results lie within the range of the neighbours, and a lone node keeps its own") {
  for_each_graph_mechanism([](const std::string& name, const Options& options) {
    const bool sums = name == "gin" || name == "sage";
    CHECK(find(name).properties.convex != sums);
    if (sums) return;
    const bool held = rc::check(name, [&] {
      const Lists lists = any_lists();
      ir::Arrays inputs = graph_inputs(name, options, lists);
      for (const char* weight : {"w", "w_neighbour", "w_value", "w_own"})
        if (inputs.contains(weight)) take_first_feature(inputs.at(weight));
      const auto first = [&](int node) -> double& {
        return inputs.at("x").data[static_cast<std::size_t>(node) * 3];
      };
      // Often all equal: weights that do not sum to 1 show.
      const int most = *rc::gen::inRange(0, 4);
      for (int node = 0; node < static_cast<int>(lists.size()); ++node)
        first(node) = 1 + *rc::gen::inRange(0, most + 1);
      const std::vector<double> o = evaluate(name, options, inputs).at("o").data;
      const std::size_t width = o.size() / lists.size();
      for (std::size_t n = 0; n < o.size(); ++n) {
        const auto node = static_cast<int>(n / width);
        std::vector<double> near;
        for (const int j : lists[n / width]) near.push_back(first(j));
        if (near.empty()) near.push_back(first(node));
        const auto [low, high] = std::ranges::minmax(near);
        RC_ASSERT(o[n] >= low - 1e-9 && o[n] <= high + 1e-9);
      }
    });
    CHECK(held);
  });
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
    CHECK(with("row_start", {0, 3, 2, 7, 8, 10}) == "invalid_input");
    CHECK(with("row_start", {0, -3, 3, 7, 8, 10}) == "invalid_input");
    CHECK(with("row_start", {0, 30, 30, 7, 8, 10}) != "ok");
    CHECK(with("neighbour", {1, 2, 2, 0, 4, 3, 1, 3, 0, 5}) == "out_of_bounds");
    CHECK(with("neighbour", {1, 2, -2, 0, 4, 3, 1, 3, 0, 2}) == "out_of_bounds");
    CHECK(with("neighbour", {1, 2, 2, 0, 4, 3, 1, 3, 0}) != "ok");
  });
}

TEST_CASE("graphs: options below 1 are errors") {
  for_each_graph_mechanism([](const std::string& name, const Options& options) {
    for (const auto& [option, value] : options) {
      if (option == "edges") continue;  // 0: none
      for (const double wrong : {0.0, -1.0, 1.5}) {
        Options changed = options;
        changed[option] = wrong;
        CHECK(error_of(name, changed).starts_with("invalid_config: option " + option + " is "));
      }
    }
  });
}

}  // namespace fovea::ops::test
