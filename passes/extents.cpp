#include "passes/extents.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "ir/extent.h"

namespace fovea::passes {
namespace {

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

double points(const ir::Graph& graph, std::span<const ir::AxisId> axes, double usual) {
  double product = 1;
  for (const ir::AxisId axis : axes) {
    const std::optional<std::int64_t> fixed = fixed_extent(graph, axis);
    product *= fixed ? static_cast<double>(*fixed) : usual;
  }
  return product;
}

Count::Count(const ir::Graph& graph) {
  FixedExtents fixed(graph);
  for (ir::AxisId axis = 0; axis < static_cast<ir::AxisId>(graph.axes.size()); ++axis) {
    fixed_.push_back(fixed.of(axis));
    if (!fixed_.back()) open_.push_back(axis);
  }
}

void Count::add(std::span<const ir::AxisId> axes, double times) {
  Term term{times, {}};
  for (const ir::AxisId axis : axes) {
    if (const auto known = fixed_[static_cast<std::size_t>(axis)])
      term.fixed *= static_cast<double>(*known);
    else
      term.open.push_back(static_cast<int>(std::ranges::lower_bound(open_, axis) - open_.begin()));
  }
  std::ranges::sort(term.open);
  const auto same = std::ranges::find(terms_, term.open, &Term::open);
  if (same == terms_.end())
    terms_.push_back(std::move(term));
  else
    same->fixed += term.fixed;
}

template <class Extent>
double Count::sum(Extent extent) const {
  double all = 0;
  for (const Term& term : terms_) {
    double product = term.fixed;
    for (const int n : term.open) product *= extent(static_cast<std::size_t>(n));
    all += product;
  }
  return all;
}

double Count::at(std::span<const double> extents) const {
  return sum([&](std::size_t n) { return extents[n]; });
}

double Count::at_usual(double usual) const {
  return sum([&](std::size_t) { return usual; });
}

Count operations(const ir::Graph& graph) {
  Count count(graph);
  const auto fold = [&](ir::AxisId axis, const ir::Node& node) {
    const ir::Type& x = graph.node(node.inputs[0]).type;
    std::vector<ir::AxisId> axes = x.axes;
    if (!x.has(axis)) axes.push_back(axis);
    count.add(axes);
  };
  for (const ir::Node& node : graph.nodes) {
    ir::match(
        node.op, [](const ir::Input&) {}, [](const ir::Constant&) {}, [](const ir::Index&) {},
        [&](const ir::Map&) { count.add(node.type.axes); },
        [&](const ir::Reduce& op) { fold(op.axis, node); },
        [&](const ir::Scan& op) { fold(op.axis, node); },
        [](const ir::Read&) {},  // a view, or a load that its user pays
        [&](const ir::TopK& op) { fold(op.axis, node); });
  }
  return count;
}

Count stored_bytes(const ir::Graph& graph) {
  constexpr double kBytes = 4;  // of a number that was computed
  Count count(graph);
  for (const ir::Kernel& kernel : graph.kernels)
    for (const ir::NodeId id : kernel.results)
      if (std::ranges::find(graph.outputs, id, &ir::Output::node) == graph.outputs.end())
        count.add(graph.node(id).type.axes, kBytes);
  return count;
}

}  // namespace fovea::passes
