// What holds of mechanisms for all inputs, tried on random ones.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <vector>

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

template <class Property>
void for_each(bool Properties::*which, Property property) {
  for (const Mechanism* mechanism : all()) {
    if (!(mechanism->properties.*which)) continue;
    CHECK(rc::check(std::string(mechanism->name), [&] { property(any_sample(*mechanism)); }));
  }
}

template <class Change>
void change_values(Sample& sample, Change change) {
  for (auto& [name, array] : sample.inputs) {
    if (name.starts_with("v")) change(array);
  }
}

// The least and greatest value of each channel [b, g, e] over all sets of values [b, g, n, e].
struct Range {
  double low = HUGE_VAL, high = -HUGE_VAL;
};
std::vector<Range> ranges_of(Sample& sample) {
  std::vector<Range> ranges;
  change_values(sample, [&](const ir::Array& v) {
    const std::int64_t keys = v.shape[2], width = v.shape[3];
    ranges.resize(static_cast<std::size_t>(v.shape[0] * v.shape[1] * width));
    for (std::int64_t n = 0; n < static_cast<std::int64_t>(v.data.size()); ++n) {
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
    const auto* input = std::get_if<ir::Input>(&node.op);
    if (input == nullptr) continue;
    for (std::size_t n = 0; n < node.type.axes.size(); ++n) {
      ir::Array& array = sample.inputs.at(input->name);
      if (sample.graph.axis(node.type.axes[n]).name == "j") array = permuted(array, n, to);
    }
  }
}

}  // namespace

TEST_CASE("properties: weights are at least 0") {
  for_each(&Properties::convex, [](Sample sample) {
    // The values are those of one key, so that its weight is what comes out.
    change_values(sample, [](ir::Array& v) {
      const auto chosen = *rc::gen::inRange<std::int64_t>(0, v.shape[2]);
      for (std::size_t n = 0; n < v.data.size(); ++n) {
        const std::int64_t key = static_cast<std::int64_t>(n) / v.shape[3] % v.shape[2];
        v.data[n] = key == chosen ? 1 : 0;
      }
    });
    for (const double weight : sample.o().data) RC_ASSERT(weight >= 0 && weight <= 1 + kClose);
  });
}

TEST_CASE("properties: weights sum to 1, or nothing is seen") {
  for_each(&Properties::convex, [](Sample sample) {
    change_values(sample, [](ir::Array& v) { std::ranges::fill(v.data, 1); });
    for (const double total : sample.o().data) {
      RC_ASSERT(total == 0 || std::abs(total - 1) < kClose);
    }
  });
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
  for_each(&Properties::permutable, [](Sample sample) {
    std::vector<std::size_t> to(static_cast<std::size_t>(sample.sizes.at("j")));
    std::iota(to.begin(), to.end(), std::size_t{0});
    std::ranges::shuffle(to, std::mt19937(*rc::gen::arbitrary<unsigned>()));
    const ir::Array before = sample.o();
    permute_keys(sample, to);
    RC_ASSERT(distance(before, sample.o()) < kClose);
  });
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

TEST_CASE("properties: top-k sees what a sort puts first, ties by the earlier key") {
  CHECK(rc::check("top_k", [] {
    const auto columns = *rc::gen::inRange(1, 30), count = *rc::gen::inRange(1, 35);
    std::vector<double> keys;
    for (int j = 0; j < columns; ++j) keys.push_back(*rc::gen::inRange(-4, 5));  // often equal
    std::vector<int> order(keys.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::greater<>(),
                             [&](int j) { return keys[static_cast<std::size_t>(j)]; });
    order.resize(std::min<std::size_t>(order.size(), static_cast<std::size_t>(count)));
    std::ranges::sort(order);
    const Options options{{"d", 1}, {"k", static_cast<double>(count)}};
    const ir::Arrays given{{"q", array({1, 1, 1, 1}, {1})}, {"k", array({1, 1, columns, 1}, keys)}};
    RC_ASSERT(seen("top_k", options, 1, columns, given).front() == order);
  }));
}

}  // namespace fovea::ops::test
