#include "tools/fovea/shapes.h"

#include <fmt/format.h>

#include "ir/extent.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea::tools {
namespace {

using Extents = std::vector<std::optional<std::int64_t>>;

// What the given inputs, the sizes and the axes' own extents tell.
Extents known_extents(const Graph& graph, const Tensors& given, const Sizes& sizes) {
  Extents known(graph.axes.size());
  for (const ir::Node& node : graph.nodes) {
    const auto* input = ir::input_of(node);
    if (input == nullptr || !given.contains(input->name)) continue;
    const auto& shape = given.find(input->name)->second.shape;
    for (std::size_t n = 0; n < shape.size(); ++n)
      known[static_cast<std::size_t>(node.type.axes[n])] = shape[n];
  }
  for (std::size_t axis = 0; axis < known.size(); ++axis)
    if (const auto size = sizes.find(graph.axes[axis].name); size != sizes.end())
      known[axis] = size->second;
  for (std::size_t round = 0; round < known.size(); ++round)
    for (std::size_t axis = 0; axis < known.size(); ++axis)
      if (!known[axis] && !graph.axes[axis].extent.empty())
        known[axis] = ir::evaluate(  // resolve_extents says what is wrong with it
            graph.axes[axis].extent,
            [&](ir::AxisId id) { return known[static_cast<std::size_t>(id)]; }, ir::combine);
  return known;
}

// An axis whose extent only the caller can tell.
bool is_open(const ir::Axis& axis) { return axis.extent.empty() && axis.degree == ir::kNone; }

// What the mechanism's examples would have, with the rows and columns that are known.
void add_examples(const Loaded& loaded, const Extents& known, Sizes& sizes) {
  if (loaded.mechanism == nullptr) return;
  const auto extent = [&](std::string_view name) {
    const ir::AxisId axis = ir::find_axis(loaded.graph, name);
    return axis == ir::kNone ? 1 : known[static_cast<std::size_t>(axis)].value_or(1);
  };
  const Sizes examples = ops::example_sizes(loaded.graph, extent("i"), extent("j"), 1);
  for (std::size_t axis = 0; axis < known.size(); ++axis) {
    const std::string& name = loaded.graph.axes[axis].name;
    if (!known[axis] && is_open(loaded.graph.axes[axis]) && name != "i" && name != "j")
      sizes[name] = examples.at(name);
  }
}

void require_known(const Graph& graph, const Extents& known) {
  std::string axes, options;
  for (std::size_t axis = 0; axis < known.size(); ++axis) {
    if (known[axis] || !is_open(graph.axes[axis])) continue;
    axes += fmt::format("{}{}", axes.empty() ? "" : ", ", graph.axes[axis].name);
    options += fmt::format(" --size {}=EXTENT", graph.axes[axis].name);
  }
  require(axes.empty(), Code::dimension_mismatch,
          "nothing tells the extent of {}; expected{}, or inputs that have them", axes, options);
}

}  // namespace

Shapes complete_shapes(const Loaded& loaded, const Tensors& given, Sizes& sizes) {
  const Graph& graph = loaded.graph;
  add_examples(loaded, known_extents(graph, given, sizes), sizes);
  const Extents known = known_extents(graph, given, sizes);
  require_known(graph, known);
  Shapes shapes;
  for (const ir::Node& node : graph.nodes) {
    const auto* input = ir::input_of(node);
    if (input == nullptr) continue;
    const auto tensor = given.find(input->name);
    if (tensor != given.end()) {
      shapes[input->name] = tensor->second.shape;
      continue;
    }
    for (ir::AxisId axis : node.type.axes)
      shapes[input->name].push_back(known[static_cast<std::size_t>(axis)].value_or(0));
    shapes.try_emplace(input->name);
  }
  return shapes;
}

}  // namespace fovea::tools
