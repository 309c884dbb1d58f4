#include "passes/extents.h"

#include <vector>

#include "ir/extent.h"

namespace fovea::passes {
namespace {

constexpr std::int64_t kUsualExtent = 4096;

// Each axis once, however many extents mention it.
class FixedExtents {
 public:
  explicit FixedExtents(const ir::Graph& graph) : graph_(graph), known_(graph.axes.size()) {}

  std::optional<std::int64_t> of(ir::AxisId axis) {
    std::optional<Result>& known = known_[static_cast<std::size_t>(axis)];
    if (!known) known = evaluate(graph_.axis(axis));
    return *known;
  }

 private:
  using Result = std::optional<std::int64_t>;

  Result evaluate(const ir::Axis& axis) {
    if (axis.degree != ir::kNone || axis.extent.empty()) return std::nullopt;
    const Result value = ir::evaluate(
        axis.extent, [&](ir::AxisId id) { return of(id); }, ir::combine);
    return value && *value < 0 ? std::nullopt : value;
  }

  const ir::Graph& graph_;
  std::vector<std::optional<Result>> known_;
};

}  // namespace

std::optional<std::int64_t> fixed_extent(const ir::Graph& graph, ir::AxisId axis) {
  return FixedExtents(graph).of(axis);
}

double points(const ir::Graph& graph, std::span<const ir::AxisId> axes) {
  double product = 1;
  for (const ir::AxisId axis : axes) {
    product *= static_cast<double>(fixed_extent(graph, axis).value_or(kUsualExtent));
  }
  return product;
}

double operations(const ir::Graph& graph) {
  double all = 0;
  const auto fold = [&](ir::AxisId axis, const ir::Node& node) {
    const ir::Type& x = graph.node(node.inputs[0]).type;
    const ir::AxisId folded[] = {axis};
    return points(graph, x.axes) * (x.has(axis) ? 1 : points(graph, folded));
  };
  for (const ir::Node& node : graph.nodes) {
    all += ir::match(
        node.op, [](const ir::Input&) { return 0.0; }, [](const ir::Constant&) { return 0.0; },
        [](const ir::Index&) { return 0.0; },
        [&](const ir::Map&) { return points(graph, node.type.axes); },
        [&](const ir::Reduce& op) { return fold(op.axis, node); },
        [&](const ir::Scan& op) { return fold(op.axis, node); },
        [](const ir::Read&) { return 0.0; },  // a view, or a load that its user pays
        [&](const ir::TopK& op) { return fold(op.axis, node); });
  }
  return all;
}

}  // namespace fovea::passes
