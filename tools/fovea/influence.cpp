#include "tools/fovea/influence.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "ir/interpret.h"
#include "ir/query.h"

namespace fovea::tools {
namespace {

// Options under which a small picture shows what a mechanism is about.
constexpr std::pair<std::string_view, double> kSmall[] = {
    {"d", 8},      {"e", 8}, {"window", 6}, {"block", 4}, {"random", 1},
    {"global", 2}, {"k", 6}, {"stride", 6}, {"prefix", 8}};

ops::Problem small_problem(const ops::Mechanism& mechanism) {
  std::map<std::string, double> given;
  for (const ops::Option& option : mechanism.options)
    for (const auto& [name, value] : kSmall)
      if (option.name == name) given[std::string(name)] = std::min(value, option.value);
  return ops::Problem(mechanism.options, given);
}

// Calls `visit` with the numbers of all elements that have coordinate `at` along one dimension.
template <class Visit>
void for_each_at(const std::vector<std::int64_t>& shape, std::size_t dimension, std::int64_t at,
                 Visit visit) {
  std::int64_t inner = 1, outer = 1;
  for (std::size_t n = 0; n < shape.size(); ++n) {
    if (n < dimension) outer *= shape[n];
    if (n > dimension) inner *= shape[n];
  }
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t i = 0; i < inner; ++i)
      visit(static_cast<std::size_t>((o * shape[dimension] + at) * inner + i));
}

std::optional<std::size_t> dimension_of(const ir::Graph& graph, const std::vector<ir::AxisId>& axes,
                                        std::string_view name) {
  for (std::size_t n = 0; n < axes.size(); ++n)
    if (graph.axis(axes[n]).name == name) return n;
  return std::nullopt;
}

// An input and the dimension of its columns: the values, or else the features of the nodes.
struct Values {
  std::string input, axis;
  std::size_t dimension = 0;
};

std::optional<Values> values_of(const ir::Graph& graph) {
  for (const std::string_view wanted : {"v", "h", "x"})
    for (const ir::Node& node : graph.nodes) {
      const auto* input = ir::input_of(node);
      if (input == nullptr || input->name != wanted || !ir::is_float(node.type.dtype)) continue;
      for (const std::string_view axis : {"j", "i"})
        if (const auto at = dimension_of(graph, node.type.axes, axis))
          return Values{input->name, std::string(axis), *at};
    }
  return std::nullopt;
}

}  // namespace

std::optional<Influence> influence(const ops::Mechanism& mechanism, std::int64_t extent) {
  constexpr double kStep = 1e-4;
  const ops::Problem problem = small_problem(mechanism);
  const ir::Graph graph = mechanism.build(problem);
  const auto values = values_of(graph);
  const ir::Output& output = graph.outputs.front();
  const auto rows = dimension_of(graph, output.layout, "i");
  if (!values || !rows) return std::nullopt;
  ir::Sizes sizes = ops::example_sizes(graph, extent, extent, 1);
  ir::Arrays inputs = ops::example_inputs(mechanism, problem, graph, sizes, 7);
  for (const ir::Axis& axis : graph.axes)
    if (axis.degree != ir::kNone) sizes.erase(axis.name);  // its degrees tell
  const auto result_with = [&](std::int64_t column, double step) {
    ir::Array& array = inputs.at(values->input);
    const std::vector<double> before = array.data;
    for_each_at(array.shape, values->dimension, column,
                [&](std::size_t n) { array.data[n] += step; });
    ir::Array result = ir::interpret(graph, inputs, sizes).at(output.name);
    array.data = before;
    return result;
  };
  const std::int64_t columns = inputs.at(values->input).shape[values->dimension];
  Influence found{"i", values->axis, static_cast<std::size_t>(columns), {}};
  for (std::int64_t column = 0; column < columns; ++column) {
    const ir::Array more = result_with(column, kStep), less = result_with(column, -kStep);
    const std::int64_t count = more.shape[*rows];
    found.weights.resize(static_cast<std::size_t>(count * columns));
    for (std::int64_t row = 0; row < count; ++row)
      for_each_at(more.shape, *rows, row, [&](std::size_t n) {
        const double change = std::abs(more.data[n] - less.data[n]);
        if (std::isfinite(change))
          found.weights[static_cast<std::size_t>(row * columns + column)] += change;
      });
  }
  const double largest = found.weights.empty() ? 0 : std::ranges::max(found.weights);
  for (double& weight : found.weights) weight = largest > 0 ? weight / largest : 0;
  return found;
}

}  // namespace fovea::tools
