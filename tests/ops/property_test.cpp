// What holds of mechanisms for all inputs, tried on random ones.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ir/query.h"
#include "tests/ops/support.h"

namespace fovea::ops::test {
namespace {

constexpr double kClose = 1e-9;

// A mechanism with inputs of some size.
struct Sample {
  Problem problem;
  ir::Graph graph;
  ir::Sizes sizes;
  ir::Arrays inputs;

  ir::Array o() const { return ir::interpret(graph, inputs).at("o"); }
};

Sample sample_of(const Mechanism& mechanism, std::int64_t rows, std::int64_t columns,
                 unsigned seed) {
  const Problem problem(mechanism.options, declared(mechanism, small_options()));
  ir::Graph graph = mechanism.build(problem);
  ir::Sizes sizes = example_sizes(graph, rows, columns);
  ir::Arrays inputs = example_inputs(mechanism, problem, graph, sizes, seed);
  return {problem, std::move(graph), std::move(sizes), std::move(inputs)};
}

// Of random rows, columns and numbers.
Sample any_sample(const Mechanism& mechanism) {
  return sample_of(mechanism, *rc::gen::inRange<std::int64_t>(1, 9),
                   *rc::gen::inRange<std::int64_t>(1, 20), *rc::gen::inRange<unsigned>(0, 1000000));
}

// Those over graphs are tried in tests/ops/graphs.
template <class Property>
void for_each(bool Properties::*which, Property property) {
  for (const Mechanism* mechanism : all()) {
    if (!(mechanism->properties.*which) || mechanism->family == "graphs") continue;
    CHECK(rc::check(std::string(mechanism->name), [&] { property(any_sample(*mechanism)); }));
  }
}

template <class Change>
void change_values(Sample& sample, Change change) {
  for (auto& [name, array] : sample.inputs) {
    if (name.starts_with("v")) change(array);
  }
}

// Of values [b, h, n, e], or without heads.
std::int64_t keys_of(const ir::Array& v) { return v.shape.end()[-2]; }
std::int64_t width_of(const ir::Array& v) { return v.shape.back(); }

// Where the values are 1 for one key and 0 for all others, its weights come out.
void choose_key(ir::Array& v, std::int64_t key) {
  for (std::size_t n = 0; n < v.data.size(); ++n)
    v.data[n] = static_cast<std::int64_t>(n) / width_of(v) % keys_of(v) == key ? 1 : 0;
}

// What the weights of each key add up to, or nothing if one is negative.
std::vector<double> total_weights(Sample sample) {
  std::vector<double> totals;
  change_values(sample, [](ir::Array& v) { std::ranges::fill(v.data, 0); });
  bool negative = false;
  const auto add_weights = [&](ir::Array& v) {
    for (std::int64_t key = 0; key < keys_of(v); ++key) {
      choose_key(v, key);
      const std::vector<double> weights = sample.o().data;
      totals.resize(weights.size());
      for (std::size_t n = 0; n < weights.size(); ++n) {
        totals[n] += weights[n];
        negative = negative || weights[n] < 0;
      }
    }
    std::ranges::fill(v.data, 0);
  };
  change_values(sample, add_weights);
  return negative ? std::vector<double>() : totals;
}

bool weights_are_shares(const Sample& sample) {
  const std::vector<double> totals = total_weights(sample);
  return !totals.empty() && std::ranges::all_of(totals, [](double total) {
    return total == 0 || std::abs(total - 1) < kClose;
  });
}

bool has_keys(const Sample& sample) {
  return std::ranges::any_of(sample.graph.nodes, [&](const ir::Node& node) {
    return ir::is_input(node) && std::ranges::any_of(node.type.axes, [&](ir::AxisId axis) {
             return sample.graph.axis(axis).name == "j";
           });
  });
}

// The least and greatest value of each channel over all sets of values.
struct Range {
  double low = HUGE_VAL, high = -HUGE_VAL;
};
std::vector<Range> ranges_of(Sample& sample) {
  std::vector<Range> ranges;
  change_values(sample, [&](const ir::Array& v) {
    const std::int64_t keys = keys_of(v), width = width_of(v);
    const auto count = static_cast<std::int64_t>(v.data.size());
    ranges.resize(static_cast<std::size_t>(count / keys));
    for (std::int64_t n = 0; n < count; ++n) {
      Range& range = ranges[static_cast<std::size_t>(n / (keys * width) * width + n % width)];
      range.low = std::min(range.low, v.data[static_cast<std::size_t>(n)]);
      range.high = std::max(range.high, v.data[static_cast<std::size_t>(n)]);
    }
  });
  return ranges;
}

// The same elements in another order along one dimension.
ir::Array permuted(const ir::Array& x, std::size_t dimension, const std::vector<std::size_t>& to) {
  ir::Array y = x;
  std::size_t inner = 1;
  for (std::size_t n = dimension + 1; n < x.shape.size(); ++n) {
    inner *= static_cast<std::size_t>(x.shape[n]);
  }
  for (std::size_t n = 0; n < x.data.size(); ++n) {
    const std::size_t at = n / inner % to.size();
    y.data[n + (to[at] - at) * inner] = x.data[n];
  }
  return y;
}

void permute_keys(Sample& sample, const std::vector<std::size_t>& to) {
  for (const ir::Node& node : sample.graph.nodes) {
    const auto* input = ir::input_of(node);
    if (input == nullptr) continue;
    for (std::size_t n = 0; n < node.type.axes.size(); ++n) {
      ir::Array& array = sample.inputs.at(input->name);
      if (sample.graph.axis(node.type.axes[n]).name == "j") array = permuted(array, n, to);
    }
  }
}

ir::Array with_shuffled_keys(Sample sample, unsigned seed) {
  std::vector<std::size_t> to(static_cast<std::size_t>(sample.sizes.at("j")));
  std::iota(to.begin(), to.end(), std::size_t{0});
  std::ranges::shuffle(to, std::mt19937(seed));
  permute_keys(sample, to);
  return sample.o();
}

}  // namespace

TEST_CASE("properties: weights are at least 0 and sum to 1, or nothing is seen") {
  for_each(&Properties::convex,
           [](const Sample& sample) { RC_ASSERT(weights_are_shares(sample)); });
}

TEST_CASE("properties: each channel of the output lies within the range of its values") {
  for_each(&Properties::convex, [](Sample sample) {
    const std::vector<Range> ranges = ranges_of(sample);
    const ir::Array o = sample.o();
    const std::int64_t of_head = o.shape[2] * o.shape[3];
    const std::int64_t group =
        o.shape[0] * o.shape[1] * o.shape[3] / static_cast<std::int64_t>(ranges.size());
    for (std::int64_t n = 0; n < static_cast<std::int64_t>(o.data.size()); ++n) {
      const std::int64_t channel = n / of_head / group * o.shape[3] + n % o.shape[3];
      const Range& range = ranges[static_cast<std::size_t>(channel)];
      const double x = o.data[static_cast<std::size_t>(n)];
      RC_ASSERT(x == 0 || (x >= range.low - kClose && x <= range.high + kClose));
    }
  });
}

TEST_CASE("properties: the order of the keys does not matter") {
  for_each(&Properties::permutable, [](const Sample& sample) {
    const auto seed = *rc::gen::arbitrary<unsigned>();
    RC_ASSERT(distance(sample.o(), with_shuffled_keys(sample, seed)) < kClose);
  });
}

// So that no mechanism is left out of the tests above.
TEST_CASE("properties: what mechanisms do not claim does not hold of them") {
  for (const Mechanism* mechanism : all()) {
    if (mechanism->family == "graphs") continue;
    CAPTURE(mechanism->name);
    bool convex = true, permutable = true;
    for (const std::int64_t columns : {3, 20}) {
      const Sample sample = sample_of(*mechanism, 7, columns, 1);
      convex = convex && weights_are_shares(sample);
      permutable = permutable && has_keys(sample) &&
                   distance(sample.o(), with_shuffled_keys(sample, 1)) < kClose;
    }
    CHECK(convex == mechanism->properties.convex);
    CHECK(permutable == mechanism->properties.permutable);
  }
}

TEST_CASE("properties: rotary scores depend on differences of positions only") {
  CHECK(rc::check("rope", [] {
    Sample sample = any_sample(find("rope"));
    const ir::Array before = sample.o();
    const auto shift = *rc::gen::inRange(-1000, 1000);
    for (const char* name : {"position_q", "position_k"}) {
      for (double& position : sample.inputs.at(name).data) position += shift;
    }
    RC_ASSERT(distance(before, sample.o()) < kClose);
  }));
}

TEST_CASE("properties: attention in linear time to ones is one") {
  for (const char* name : {"linear", "performer"}) {
    CHECK(rc::check(name, [&] {
      Sample sample = any_sample(find(name));
      for (const char* input : {"q", "k", "v"}) std::ranges::fill(sample.inputs.at(input).data, 1);
      for (const double one : sample.o().data) RC_ASSERT(std::abs(one - 1) < kClose);
    }));
  }
}

TEST_CASE("properties: gates of routers are probabilities, the greatest first") {
  CHECK(rc::check("mixture_of_experts", [] {
    const auto experts = *rc::gen::inRange(1, 9), chosen = *rc::gen::inRange(1, experts + 1);
    const Mechanism& mechanism = find("mixture_of_experts");
    Options options = declared(mechanism, small_options());
    options["experts"] = experts;
    options["k"] = chosen;
    const ir::Arrays inputs = one_head("mixture_of_experts", options, 5, 4);
    const ir::Arrays found = evaluate("mixture_of_experts", options, inputs);
    const std::vector<double>&gate = found.at("gate").data, &expert = found.at("chosen").data;
    for (auto row = gate.begin(); row != gate.end(); row += chosen) {
      RC_ASSERT(std::abs(std::accumulate(row, row + chosen, -1.0)) < kClose);
      RC_ASSERT(std::is_sorted(row, row + chosen, std::greater<>()));
      const auto first = expert.begin() + (row - gate.begin());
      std::vector<double> each(first, first + chosen);
      std::ranges::sort(each);
      RC_ASSERT(std::ranges::adjacent_find(each) == each.end());
      RC_ASSERT(each.front() >= 0 && each.back() < experts);
    }
  }));
}

TEST_CASE("properties: shares of mechanisms that rows are sent to sum to 1, of few at most") {
  CHECK(rc::check("mixture_of_mechanisms", [] {
    const auto experts = *rc::gen::inRange(1, 5), chosen = *rc::gen::inRange(1, experts + 1);
    const Mechanism& mechanism = find("mixture_of_mechanisms");
    Options options = declared(mechanism, small_options());
    options["experts"] = experts;
    options["k"] = chosen;
    const ir::Arrays inputs = one_head("mixture_of_mechanisms", options, 5, 4);
    const std::vector<double> share =
        evaluate("mixture_of_mechanisms", options, inputs).at("share").data;
    for (auto row = share.begin(); row != share.end(); row += experts) {
      RC_ASSERT(std::abs(std::accumulate(row, row + experts, -1.0)) < kClose);
      RC_ASSERT(std::count(row, row + experts, 0.0) >= experts - chosen);
      RC_ASSERT(std::all_of(row, row + experts, [](double x) { return x >= 0; }));
    }
  }));
}

TEST_CASE("properties: top-k sees what a sort puts first, ties by the earlier key") {
  CHECK(rc::check("top_k", [] {
    const auto columns = *rc::gen::inRange(1, 30), count = *rc::gen::inRange(1, 35);
    std::vector<double> keys;
    for (int j = 0; j < columns; ++j) keys.push_back(*rc::gen::inRange(-4, 5));  // often equal
    std::vector<int> order(keys.size());
    std::iota(order.begin(), order.end(), 0);
    const auto rank = [&](int j) { return std::pair(-keys[static_cast<std::size_t>(j)], j); };
    std::ranges::sort(order, {}, rank);
    order.resize(std::min<std::size_t>(order.size(), static_cast<std::size_t>(count)));
    std::ranges::sort(order);
    const Options options{{"d", 1}, {"k", static_cast<double>(count)}};
    const ir::Arrays given{{"q", array({1, 1, 1, 1}, {1})}, {"k", array({1, 1, columns, 1}, keys)}};
    RC_ASSERT(seen("top_k", options, 1, columns, given).front() == order);
  }));
}

}  // namespace fovea::ops::test
