#include "frontend/far_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "ir/extent.h"
#include "ir/query.h"
#include "ir/require.h"
#include "passes/extents.h"

namespace fovea::frontend {
namespace {

constexpr std::int64_t kNear = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMost = std::int64_t{1} << 48;  // more than any machine has room for

// More than can be said are very many.
std::int64_t product(const auto& extents) {
  std::int64_t result = 1;
  for (const std::int64_t extent : extents)
    result = ir::combine(ir::ExtentTerm::Kind::Mul, result, extent)
                 .value_or(std::numeric_limits<std::int64_t>::max());
  return result;
}

// Calls visit(name, axes) for inputs and outputs, until it returns true.
template <class Visit>
bool any_bound(const ir::Graph& graph, const Visit& visit) {
  for (const ir::Node& node : graph.nodes)
    if (const auto* input = ir::input_of(node))
      if (visit(input->name, node.type.axes)) return true;
  return std::ranges::any_of(graph.outputs, [&](const ir::Output& output) {
    return visit(output.name, graph.node(output.node).type.axes);
  });
}

}  // namespace

bool is_far(const Shape& shape) { return product(shape) > kNear; }

bool is_far_by_text(const ir::Graph& graph) {
  bool is_far = false;
  any_bound(graph, [&](const std::string& name, const std::vector<ir::AxisId>& axes) {
    std::vector<std::int64_t> fixed;
    for (const ir::AxisId axis : axes)
      fixed.push_back(passes::fixed_extent(graph, axis).value_or(1));
    const std::int64_t least = product(fixed);
    require(least <= kMost, Code::input_too_large,
            "the axes of '{}' whose extents the text fixes make {} elements or more: expected a "
            "tensor that memory holds",
            name, least);
    is_far = is_far || least > kNear;
    return false;  // all are looked at
  });
  return is_far;
}

std::string name_far(const ir::Graph& graph, std::span<const std::int64_t> extents) {
  std::string found;
  const auto visit = [&](const std::string& name, const std::vector<ir::AxisId>& axes) {
    std::vector<std::int64_t> shape;
    for (const ir::AxisId axis : axes) shape.push_back(extents[static_cast<std::size_t>(axis)]);
    const std::int64_t elements = product(shape);
    if (elements > kNear)
      found = fmt::format("indices of 64 bits: '{}' has {} elements", name, elements);
    return !found.empty();
  };
  if (any_bound(graph, visit)) return found;
  for (const ir::Kernel& kernel : graph.kernels)
    for (const ir::NodeId id : kernel.results)
      if (visit(graph.node(id).name, graph.node(id).type.axes)) return found;
  return found;
}

}  // namespace fovea::frontend
