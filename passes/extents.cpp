#include "passes/extents.h"

#include <vector>

namespace fovea::passes {
namespace {

constexpr std::int64_t kUsualExtent = 4096;

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  return a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0);
}

}  // namespace

std::optional<std::int64_t> fixed_extent(const ir::Graph& graph, ir::AxisId axis) {
  const ir::Axis& info = graph.axis(axis);
  if (info.degree != ir::kNone || info.extent.empty()) return std::nullopt;
  std::vector<std::int64_t> stack;
  for (const ir::ExtentTerm& term : info.extent) {
    using Kind = ir::ExtentTerm::Kind;
    if (term.kind == Kind::Number) {
      stack.push_back(term.number);
      continue;
    }
    if (term.kind == Kind::Axis) {
      const auto value = fixed_extent(graph, term.axis);
      if (!value) return std::nullopt;
      stack.push_back(*value);
      continue;
    }
    const std::int64_t right = stack.back();
    stack.pop_back();
    std::int64_t& left = stack.back();
    if (term.kind == Kind::Div && right == 0) return std::nullopt;  // an error when it runs
    left = term.kind == Kind::Add   ? left + right
           : term.kind == Kind::Sub ? left - right
           : term.kind == Kind::Mul ? left * right
                                    : floor_divide(left, right);
  }
  if (stack.back() < 0) return std::nullopt;  // likewise
  return stack.back();
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
