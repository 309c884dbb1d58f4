#include "ops/mechanism.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "ir/error.h"
#include "tests/ops/support.h"

namespace fovea::ops::test {
namespace {

constexpr Option kOptions[] = {{"window", 4, "keys"}, {"causal", 1, "flag"}};

std::string message(auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == Code::invalid_config);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a problem has its defaults, and what is given instead") {
  const Problem defaults(kOptions);
  CHECK(defaults["window"] == 4);
  CHECK(defaults.flag("causal"));
  const Problem given(kOptions, {{"window", 7}, {"causal", 0}});
  CHECK(given.integer("window") == 7);
  CHECK_FALSE(given.flag("causal"));
}

TEST_CASE("a problem says which options there are, and what was expected of one") {
  CHECK(message([] {
          Problem(kOptions, {{"widow", 1}});
        }) == "there is no option 'widow'; expected one of: window, causal");
  CHECK(message([] {
          Problem(kOptions, {{"window", 0}}).integer("window");
        }) == "option window is 0; expected an integer from 1 to 999999999");
  CHECK(message([] {
          Problem(kOptions, {{"window", 2147483647}}).integer("window");
        }) == "option window is 2147483647; expected an integer from 1 to 999999999");
  CHECK(message([] {
          Problem(kOptions, {{"window", 1e30}}).integer("window");
        }) == "option window is 1e+30; expected an integer from 1 to 999999999");
  CHECK(message([] {
          Problem(kOptions, {{"window", 2.5}}).integer("window");
        }) == "option window is 2.5; expected an integer from 1 to 999999999");
  CHECK(message([] {
          Problem(kOptions, {{"window", NAN}}).integer("window");
        }) == "option window is nan; expected an integer from 1 to 999999999");
  CHECK(message([] {
          Problem(kOptions, {{"window", -1}}).positive("window");
        }) == "option window is -1; expected a number above 0");
  CHECK(message([] {
          Problem(kOptions, {{"window", INFINITY}}).positive("window");
        }) == "option window is inf; expected a number above 0");
}

TEST_CASE("mechanisms are found by name, and close names are suggested") {
  CHECK(find("causal").name == "causal");
  CHECK(message([] { find("casual"); }) == "there is no mechanism 'casual'; close to it: causal");
  CHECK(message([] { find("window"); }) ==
        "there is no mechanism 'window'; close to it: sliding_window");
  CHECK(message([] { find("quite_another"); }) ==
        "there is no mechanism 'quite_another'; `fovea list` shows those there are");
}

TEST_CASE("every mechanism says what it is, once") {
  std::set<std::string_view> names;
  for (const Mechanism* mechanism : all()) {
    CAPTURE(mechanism->name);
    CHECK(names.insert(mechanism->name).second);
    CHECK_FALSE(mechanism->family.empty());
    CHECK_FALSE(mechanism->doc.empty());
    CHECK_FALSE(mechanism->formula.empty());
    CHECK_FALSE(mechanism->paper.empty());
    std::set<std::string_view> options;
    for (const Option& option : mechanism->options) {
      CHECK(options.insert(option.name).second);
      CHECK_FALSE(option.doc.empty());
    }
  }
  CHECK(names.size() >= 30);
}

TEST_CASE("example sizes give every axis its extent") {
  const Mechanism& mechanism = find("block_sparse");
  const ir::Graph graph = mechanism.build(Problem(mechanism.options, {{"block", 4}}));
  const ir::Sizes sizes = example_sizes(graph, 9, 5, 3);
  CHECK(
      sizes ==
      ir::Sizes{{"b", 3}, {"h", 3}, {"i", 9}, {"j", 5}, {"d", 64}, {"e", 64}, {"x", 3}, {"y", 2}});
}

TEST_CASE("example inputs are the same for the same seed, and numbers that f32 holds") {
  const Mechanism& mechanism = find("document");
  const Problem problem(mechanism.options);
  const ir::Graph graph = mechanism.build(problem);
  const ir::Sizes sizes = example_sizes(graph, 8, 9);
  const ir::Arrays inputs = example_inputs(mechanism, problem, graph, sizes, 3);
  CHECK(inputs == example_inputs(mechanism, problem, graph, sizes, 3));
  CHECK(inputs.at("q") != example_inputs(mechanism, problem, graph, sizes, 4).at("q"));
  CHECK(inputs.at("document_k").data == std::vector<double>{0, 0, 0, 1, 1, 1, 2, 2, 2});
  CHECK(inputs.at("q").shape == std::vector<std::int64_t>{2, 2, 8, 64});
  for (const double value : inputs.at("q").data) CHECK(value == static_cast<float>(value));
}

}  // namespace fovea::ops::test
