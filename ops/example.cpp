// The sizes and inputs to try mechanisms on.
#include <algorithm>
#include <random>

#include "ir/extent.h"
#include "ir/query.h"
#include "ir/require.h"
#include "ops/mechanism.h"

namespace fovea::ops {
namespace {

// The default of every axis that takes its extent when run.
std::int64_t example_extent(std::string_view axis, std::int64_t rows, std::int64_t columns,
                            std::int64_t others) {
  if (axis == "i") return rows;
  if (axis == "j") return columns;
  if (axis == "edge" || axis.ends_with("pair")) return std::min(4 * rows, rows * columns);
  return others;
}

double example_number(ir::Dtype dtype, std::mt19937& random) {
  if (ir::is_float(dtype)) {
    return ir::round_to(dtype, static_cast<float>(std::normal_distribution<double>()(random)));
  }
  if (dtype == ir::Dtype::Bool) return std::bernoulli_distribution(0.75)(random) ? 1 : 0;
  return std::uniform_int_distribution<int>(0, 3)(random);
}

}  // namespace

ir::Sizes example_sizes(const ir::Graph& graph, std::int64_t rows, std::int64_t columns,
                        std::int64_t others) {
  ir::Sizes given;
  for (const ir::Axis& axis : graph.axes) {
    if (!axis.extent.empty() || axis.degree != ir::kNone) continue;
    given[axis.name] = example_extent(axis.name, rows, columns, others);
  }
  // The axes alone, because no input has a shape yet.
  const ir::Graph axes{.axes = graph.axes, .nodes = {}, .outputs = {}, .kernels = {}};
  const auto extents = ir::resolve_extents(axes, {}, given);
  ir::Sizes sizes;
  for (std::size_t n = 0; n < extents.size(); ++n) sizes[graph.axes[n].name] = extents[n];
  return sizes;
}

ir::Arrays example_inputs(const Mechanism& mechanism, const Problem& problem,
                          const ir::Graph& graph, const ir::Sizes& sizes, unsigned seed) {
  std::mt19937 random(seed);
  ir::Arrays inputs;
  for (const ir::Node& node : graph.nodes) {
    const auto* input = ir::input_of(node);
    if (input == nullptr) continue;
    ir::Array array{.dtype = node.type.dtype, .shape = {}, .data = {}};
    for (const ir::AxisId axis : node.type.axes) {
      const auto size = sizes.find(graph.axis(axis).name);
      require(size != sizes.end(), Code::dimension_mismatch,
              "no size is given for axis {} of input {}", graph.axis(axis).name, input->name);
      array.shape.push_back(size->second);
    }
    ir::check_elements(input->name, array.shape);
    const std::int64_t count = ir::element_count(array.shape);
    for (std::int64_t n = 0; n < count; ++n) {
      array.data.push_back(example_number(array.dtype, random));
    }
    inputs.emplace(input->name, std::move(array));
  }
  if (mechanism.special_inputs != nullptr) {
    mechanism.special_inputs(problem, sizes, seed, inputs);
  }
  return inputs;
}

}  // namespace fovea::ops
