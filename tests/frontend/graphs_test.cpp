// Mechanisms over graphs, compiled: lists that do not fit are refused before anything is read, and
// nodes may have any number of neighbours.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codegen/targets.h"
#include "ops/mechanism.h"
#include "tests/frontend/support.h"
#include "tests/frontend/trial.h"

namespace fovea::test {
namespace {

const std::map<std::string_view, double> kSmall{
    {"features", 5}, {"heads", 2}, {"d", 6}, {"edges", 3}, {"hidden", 7}};

struct Subject {
  ops::Problem problem;
  Graph graph;
};

Subject subject_of(const ops::Mechanism& mechanism) {
  std::map<std::string, double> given;
  for (const ops::Option& option : mechanism.options) {
    const auto found = kSmall.find(option.name);
    if (found != kSmall.end()) given.emplace(option.name, found->second);
  }
  const ops::Problem problem(mechanism.options, given);
  return {problem, mechanism.build(problem)};
}

// Inputs for nodes of these degrees; neighbours are in no order, and many of them twice.
ir::Arrays inputs_of(const ops::Mechanism& mechanism, const Subject& subject,
                     const std::vector<std::int64_t>& degrees) {
  std::vector<double> start{0};
  for (const std::int64_t degree : degrees)
    start.push_back(start.back() + static_cast<double>(degree));
  const auto nodes = static_cast<std::int64_t>(degrees.size());
  Sizes sizes = ops::example_sizes(subject.graph, nodes, nodes);
  sizes["edge"] = static_cast<std::int64_t>(start.back());
  ir::Arrays inputs = ops::example_inputs(mechanism, subject.problem, subject.graph, sizes, 1);
  inputs.at("row_start").data = start;
  std::mt19937 random(1);
  for (double& neighbour : inputs.at("neighbour").data)
    neighbour = static_cast<double>(random() % static_cast<unsigned>(nodes));
  return inputs;
}

template <class Check>
void for_each_over_graphs(const Check& check) {
  for (const ops::Mechanism* mechanism : ops::all()) {
    if (std::ranges::count(mechanism->options, "features", &ops::Option::name) == 0) continue;
    INFO(std::string(mechanism->name));
    check(*mechanism, subject_of(*mechanism));
  }
}

// The error, or "ok"; whatever it is, nothing but the output is written.
std::string outcome_of(const Kernel& kernel, const Graph& graph, const ir::Arrays& inputs,
                       std::int64_t nodes) {
  std::map<std::string, Guarded> memory;
  std::vector<NamedView> from, to;
  for (const auto& [name, array] : inputs)
    from.push_back({name, memory.try_emplace(name, array).first->second.view()});
  const Sizes sizes = ops::example_sizes(graph, nodes, nodes);
  std::vector<std::int64_t> shape;
  for (const ir::AxisId axis : graph.node(graph.outputs[0].node).type.axes)
    shape.push_back(sizes.at(graph.axis(axis).name));
  Guarded o(f32, shape);
  to.push_back({"o", o.view()});
  const std::string error = error_of([&] { kernel.run(from, to); });
  CHECK(o.surroundings_intact());
  for (const auto& [name, guarded] : memory) CHECK_MESSAGE(guarded.untouched(), name);
  return error.empty() ? "ok" : error;
}

}  // namespace

TEST_CASE("graphs: lists that do not fit are refused, compiled as interpreted") {
  for_each_over_graphs([](const ops::Mechanism& mechanism, const Subject& subject) {
    const ir::Arrays right = inputs_of(mechanism, subject, {3, 0, 4, 1, 2});
    const Kernel kernel = compile(subject.graph);
    const auto with = [&](const char* input, std::vector<double> data) {
      ir::Arrays inputs = right;
      inputs.at(input).shape = {static_cast<std::int64_t>(data.size())};
      inputs.at(input).data = std::move(data);
      const std::string outcome = outcome_of(kernel, subject.graph, inputs, 5);
      if (outcome != "ok") CHECK_MESSAGE(outcome.find(input) != outcome.npos, outcome);
      return outcome.substr(0, outcome.find(':'));
    };
    CHECK(with("row_start", {0, 3, 3, 7, 8, 10}) == "ok");
    CHECK(with("row_start", {0, 0, 0, 0, 0, 10}) == "ok");
    CHECK(with("row_start", {0, 3, 3, 7, 10}) == "dimension_mismatch");
    CHECK(with("row_start", {0, 3, 2, 7, 8, 10}) == "invalid_input");
    CHECK(with("row_start", {0, -3, 3, 7, 8, 10}) == "invalid_input");
    CHECK(with("row_start", {0, 2000000000, 3, 7, 8, 10}) == "invalid_input");
    CHECK(with("row_start", {-1, 3, 3, 7, 8, 10}) == "out_of_bounds");
    CHECK(with("row_start", {1, 3, 3, 7, 8, 10}) == "out_of_bounds");
    CHECK(with("row_start", {0, 3, 3, 7, 8, 9}) == "out_of_bounds");
    CHECK(with("row_start", {0, 3, 3, 7, 8, 11}) == "out_of_bounds");
    CHECK(with("row_start", {0, 3, 3, 7, 8, 2147483647}) == "out_of_bounds");
    // Whoever read these would not come back.
    for (const double wrong : {-1.0, 5.0, 2147483647.0, -2147483648.0})
      CHECK(with("neighbour", {1, 2, 2, 0, 4, 3, 1, wrong, 0, 2}) == "out_of_bounds");
  });
}

TEST_CASE("graphs: what is wrong with a list is said of the list") {
  const ops::Mechanism& mechanism = ops::find("gat");
  const Subject subject = subject_of(mechanism);
  const ir::Arrays right = inputs_of(mechanism, subject, {3, 0, 4, 1, 2});
  const Kernel kernel = compile(subject.graph);
  const auto with = [&](const char* input, std::vector<double> data) {
    ir::Arrays inputs = right;
    inputs.at(input).data = std::move(data);
    const std::string error = error_of([&] { ir::interpret(subject.graph, inputs); });
    CHECK_MESSAGE(error.find(std::string("(from input '") + input + "')") != error.npos, error);
    return outcome_of(kernel, subject.graph, inputs, 5);
  };
  CHECK(with("neighbour", {1, 2, 2, 0, 4, 3, 1, 5, 0, 2}) ==
        "out_of_bounds: i coordinate along 'i' (from input 'neighbour') is 5, expected one from 0 "
        "to below 5");
  CHECK(with("row_start", {2, 3, 3, 7, 8, 10}) ==
        "out_of_bounds: edges_before_the_first_row (from input 'row_start') is 2, expected 0");
  CHECK(with("row_start", {0, 3, 3, 7, 8, 9}) ==
        "out_of_bounds: edges_after_the_last_row (from input 'row_start') is 1, expected 0");
  CHECK(with("row_start", {0, 3, 2, 7, 8, 10}) ==
        "invalid_input: tensor 'degree' (from input 'row_start') holds -1, expected extents of "
        "axis 'n', which are not negative");
}

TEST_CASE("graphs: nodes of 0 and of 100 000 neighbours, in no order and often the same") {
  for_each_over_graphs([](const ops::Mechanism& mechanism, const Subject& subject) {
    const Kernel kernel = compile(subject.graph);
    const ir::Arrays inputs = inputs_of(mechanism, subject, {0, 100000, 1, 0, 17, 1000, 0});
    const auto differs = difference(run(kernel, subject.graph, inputs),
                                    ir::interpret(subject.graph, inputs), mechanism.tolerance);
    CHECK_MESSAGE(!differs, differs.value_or(""));
  });
}

TEST_CASE("graphs: weighed features that fill a vector but for one, or one more") {
  for (const ir::Target& target : codegen::runnable_targets())
    for (const int features : {target.lanes - 1, target.lanes + 1, 2 * target.lanes + 1}) {
      Trial trial{fmt::format("axis i, j, e = {}, k0 = 6, n < degree\n"
                              "degree : i32[j]\nneighbour : i32[j, k0]\n"
                              "q : f32[j, e]\nk : f32[i, e]\nv : f32[i, e]\n"
                              "s = sum(e, q * k[i = neighbour[k0 = n]])\nm = max(n, s)\n"
                              "w = exp(s - where(m == -inf, 0.0, m))\n"
                              "out o = sum(n, w * v[i = neighbour[k0 = n]])\n",
                              features),
                  {{"degree", parse_rule("below 7")}, {"neighbour", parse_rule("below i")}},
                  {{{"i", 20}, {"j", 30}}},
                  {},
                  Layout::Dense,
                  1};
      trial.options.fuse = true;
      trial.options.target = std::string(target.name);
      const std::string what = verdict(trial);
      CHECK_MESSAGE(what.empty(), trial.text, what);
    }
}

TEST_CASE("graphs: no nodes, and no edges") {
  for_each_over_graphs([](const ops::Mechanism& mechanism, const Subject& subject) {
    const Kernel kernel = compile(subject.graph);
    for (const std::vector<std::int64_t>& degrees : {std::vector<std::int64_t>{}, {0}, {0, 0, 0}}) {
      const ir::Arrays inputs = inputs_of(mechanism, subject, degrees);
      const auto differs = difference(run(kernel, subject.graph, inputs),
                                      ir::interpret(subject.graph, inputs), mechanism.tolerance);
      CHECK_MESSAGE(!differs, differs.value_or(""));
    }
  });
}

}  // namespace fovea::test
