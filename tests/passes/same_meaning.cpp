#include "tests/passes/same_meaning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "ir/error.h"
#include "ir/interpret_kernels.h"
#include "ir/query.h"
#include "ir/text.h"
#include "tests/passes/stages.h"

namespace fovea::passes {
namespace {

constexpr int kSeeds = 4;

std::uint32_t number_from(const char* variable, std::uint32_t otherwise) {
  const char* value = std::getenv(variable);
  return value == nullptr ? otherwise : static_cast<std::uint32_t>(std::atoi(value));
}

double random_value(ir::Dtype dtype, Values values, std::mt19937& random) {
  if (dtype == ir::Dtype::Bool) return static_cast<double>(random() % 2);
  const bool special = values == Values::Special;
  if (ir::is_integer(dtype)) {
    if (!special) return static_cast<double>(random() % 3);
    const double lowest = dtype == ir::Dtype::U8 ? 0 : -4;
    return lowest + static_cast<double>(random() % 9);
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kSpecial[] = {0, -0.0, kInfinity, -kInfinity,
                                 std::numeric_limits<double>::quiet_NaN()};
  if (special && random() % 2 == 0) return kSpecial[random() % std::size(kSpecial)];
  return ir::round_to(dtype, std::uniform_real_distribution<double>(-2, 2)(random));
}

bool agree(double a, double b, double tolerance) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::abs(a - b) <= tolerance * std::max({1.0, std::abs(a), std::abs(b)});
}

ir::Arrays only_needed(const ir::Graph& graph, const ir::Arrays& inputs) {
  ir::Arrays needed;
  for (const ir::Node& node : graph.nodes) {
    if (const auto* input = ir::input_of(node)) {
      needed.emplace(input->name, inputs.at(input->name));
    }
  }
  return needed;
}

// What a run gives, or its error.
struct Outcome {
  ir::Arrays arrays;
  std::optional<Error> error;
};

template <class Run>
Outcome outcome_of(Run run) {
  try {
    return {run(), {}};
  } catch (const Error& error) {
    return {{}, error};
  }
}

std::vector<Outcome> meanings(const ir::Graph& graph, std::span<const Example> examples) {
  std::vector<Outcome> outcomes;
  for (const Example& each : examples) {
    const ir::Arrays inputs = only_needed(graph, each.inputs);
    outcomes.push_back(outcome_of([&] { return ir::interpret(graph, inputs, each.sizes); }));
  }
  return outcomes;
}

std::vector<Outcome> meanings_of_kernels(const ir::Graph& graph,
                                         std::span<const Example> examples) {
  const ir::KernelProgram program(graph);
  std::vector<Outcome> outcomes;
  for (const Example& each : examples) {
    const ir::Arrays inputs = only_needed(graph, each.inputs);
    outcomes.push_back(outcome_of([&] { return program.run(inputs, each.sizes); }));
  }
  return outcomes;
}

std::optional<std::string> difference(const ir::Arrays& expected, const ir::Arrays& found,
                                      double tolerance) {
  for (const auto& [name, array] : expected) {
    const ir::Array& other = found.at(name);
    if (other.shape != array.shape || other.dtype != array.dtype) {
      return fmt::format("{} has another shape or dtype", name);
    }
    for (std::size_t n = 0; n < array.data.size(); ++n) {
      if (agree(array.data[n], other.data[n], tolerance)) continue;
      return fmt::format("{}[{}] was {} and became {}", name, n, array.data[n], other.data[n]);
    }
  }
  return {};
}

std::optional<std::string> difference(const Outcome& expected, const Outcome& found,
                                      double tolerance) {
  if (!expected.error && !found.error) return difference(expected.arrays, found.arrays, tolerance);
  if (expected.error && found.error && expected.error->code() == found.error->code()) return {};
  return fmt::format("was {} and became {}",
                     expected.error ? expected.error->what() : "without an error",
                     found.error ? found.error->what() : "without an error");
}

// Whether a graph gives what is expected, by its kernels if it has some.
std::optional<std::string> difference(const std::vector<Outcome>& expected, const ir::Graph& graph,
                                      std::span<const Example> examples, double tolerance) try {
  const std::vector<Outcome> found =
      graph.kernels.empty() ? meanings(graph, examples) : meanings_of_kernels(graph, examples);
  for (std::size_t n = 0; n < examples.size(); ++n)
    if (const auto what = difference(expected[n], found[n], tolerance))
      return fmt::format("example {}: {}", n, *what);
  return {};
} catch (const Error& error) {  // of the kernels themselves
  return error.what();
}

}  // namespace

Seeds seeds(std::uint32_t first, std::uint32_t count) {
  return {number_from("FOVEA_FUZZ_SEED", first), number_from("FOVEA_FUZZ_PROGRAMS", count)};
}

ir::Sizes small_sizes(const ir::Graph& graph) {
  ir::Sizes sizes;
  std::int64_t next = 0;
  for (const ir::Axis& axis : graph.axes) {
    if (axis.extent.empty() && axis.degree == ir::kNone) sizes[axis.name] = 3 + next++ % 3;
  }
  return sizes;
}

ir::Arrays random_inputs(const ir::Graph& graph, Values values, std::uint32_t seed) {
  std::mt19937 random(seed);
  const ir::Graph axes{graph.axes, {}, {}, {}};  // without inputs that would have to have shapes
  const auto extents = ir::resolve_extents(axes, {}, small_sizes(graph));
  ir::Arrays inputs;
  for (const ir::Node& node : graph.nodes) {
    const auto* input = ir::input_of(node);
    if (input == nullptr) continue;
    ir::Array array{node.type.dtype, {}, {}};
    std::int64_t size = 1;
    for (const ir::AxisId axis : node.type.axes) {
      array.shape.push_back(extents[static_cast<std::size_t>(axis)]);
      size *= array.shape.back();
    }
    for (std::int64_t n = 0; n < size; ++n) {
      array.data.push_back(random_value(node.type.dtype, values, random));
    }
    inputs.emplace(input->name, std::move(array));
  }
  return inputs;
}

std::optional<std::string> difference(const ir::Graph& before, const ir::Graph& after,
                                      std::span<const Example> examples, double tolerance) {
  const std::vector<Outcome> expected = meanings(before, examples);
  if (!before.kernels.empty())
    if (auto what = difference(expected, before, examples, tolerance)) return "before: " + *what;
  return difference(expected, after, examples, tolerance);
}

std::vector<Example> random_examples(const ir::Graph& graph, Values values) {
  std::vector<Example> examples;
  for (std::uint32_t seed = 0; seed < kSeeds; ++seed)
    examples.push_back({small_sizes(graph), random_inputs(graph, values, seed)});
  return examples;
}

std::optional<std::string> difference(const ir::Graph& before, const ir::Graph& after,
                                      Values values) {
  return difference(before, after, random_examples(before, values));
}

std::optional<std::string> differing_stage(const ir::Graph& graph,
                                           std::span<const Example> examples, double tolerance) {
  const std::vector<Outcome> expected = meanings(graph, examples);
  for (const Stage& stage : stages(graph))
    if (const auto what = difference(expected, stage.graph, examples, tolerance))
      return fmt::format("after {}: {}\n{}", stage.name, *what, ir::print(stage.graph));
  return {};
}

}  // namespace fovea::passes
