#include "frontend/variants.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "ir/extent.h"
#include "passes/defer_scaling.h"
#include "passes/fuse.h"
#include "passes/plan_buffers.h"

namespace fovea::frontend {
namespace {

// Inputs that the passes found needless are inputs still: callers bind them, and they may be all
// that tells an extent.
ir::Graph with_inputs_of(const ir::Graph& source, ir::Graph graph) {
  std::vector<ir::Node> lost;
  for (const ir::Node& node : source.nodes) {
    const auto* input = std::get_if<ir::Input>(&node.op);
    const auto is_same = [&](const ir::Node& other) {
      const auto* kept = std::get_if<ir::Input>(&other.op);
      return kept && kept->name == input->name;
    };
    if (input && std::ranges::none_of(graph.nodes, is_same)) lost.push_back(node);
  }
  graph.nodes.insert(graph.nodes.end(), lost.begin(), lost.end());
  return graph;
}

std::vector<ExtentSource> row_counts(const Graph& graph) {
  std::vector<ExtentSource> result;
  for (const ir::Kernel& kernel : graph.kernels)
    if (kernel.row != ir::kNone) result.emplace_back(graph, kernel.row);
  if (!std::ranges::all_of(result, &ExtentSource::is_fixed))
    std::erase_if(result, &ExtentSource::is_fixed);
  return result;
}

}  // namespace

ir::Graph lowerable(const ir::Graph& source, ir::Graph graph, const ir::Target& target) {
  if (graph.kernels.empty()) graph = passes::partition_unfused(graph, target);
  const auto is_untiled = [](const ir::Kernel& kernel) {
    return kernel.row != ir::kNone && kernel.row_tile == 0;
  };
  if (std::ranges::any_of(graph.kernels, is_untiled)) graph = passes::tile(graph, target);
  const auto is_unplanned = [](const ir::Kernel& kernel) {
    return kernel.slots.size() != kernel.results.size();
  };
  if (std::ranges::any_of(graph.kernels, is_unplanned)) graph = passes::plan_buffers(graph, target);
  return with_inputs_of(source, std::move(graph));
}

ExtentSource::ExtentSource(const Graph& graph, ir::AxisId axis) {
  const auto same_as = [&](ir::AxisId one) {  // the axis that a renamed copy stands for
    const ir::Extent& extent = graph.axis(one).extent;
    return extent.size() == 1 && extent[0].kind == ir::ExtentTerm::Kind::Axis ? extent[0].axis
                                                                              : one;
  };
  while (same_as(axis) != axis) axis = same_as(axis);
  name_ = graph.axis(axis).name;
  const ir::Extent& extent = graph.axis(axis).extent;
  if (extent.size() == 1 && extent[0].kind == ir::ExtentTerm::Kind::Number)
    fixed_ = extent[0].number;
  for (const ir::Node& node : graph.nodes) {
    const auto* input = std::get_if<ir::Input>(&node.op);
    if (!input || !node.type.has(axis)) continue;
    input_ = input->name;
    dimension_ = std::ranges::find(node.type.axes, axis) - node.type.axes.begin();
    break;
  }
}

std::optional<std::int64_t> ExtentSource::extent(const Given& given) const {
  if (fixed_ >= 0) return fixed_;
  for (const NamedView& each : given.inputs)
    if (each.name == input_ && dimension_ < each.view.shape.end() - each.view.shape.begin())
      return each.view.shape.begin()[dimension_];
  const auto size = given.sizes.find(name_);
  return size == given.sizes.end() ? std::nullopt : std::optional(size->second);
}

Variant::Variant(Graph tiled, const ir::Target& target, std::shared_ptr<runtime::ThreadPool> pool)
    : graph(std::move(tiled)),
      code(codegen::compile_program(graph, target)),
      executor(code->program(), std::move(pool)) {}

Variants::Variants(Graph graph, const ir::Target& target, std::shared_ptr<runtime::ThreadPool> pool,
                   bool has_tiles)
    : graph_(std::move(graph)),
      target_(target),
      pool_(std::move(pool)),
      operations_(passes::operations(graph_)),
      stored_(passes::stored_bytes(graph_)) {
  if (!has_tiles) rows_ = row_counts(graph_);
  for (const ir::AxisId axis : operations_.open()) open_.emplace_back(graph_, axis);
  const std::vector<ir::AxisId> batch = passes::batch_axes(graph_);
  for (const ir::AxisId axis : batch) batch_.push_back(graph_.axis(axis).name);
  for (ir::AxisId axis = 0; axis < static_cast<ir::AxisId>(graph_.axes.size()); ++axis) {
    sources_.emplace_back(graph_, axis);
    const bool is_told = graph_.axis(axis).extent.empty() && graph_.axis(axis).degree == ir::kNone;
    if (is_told && std::ranges::find(batch, axis) == batch.end())
      deciding_.push_back(sources_.back());
  }
}

bool Variants::fuses() const {
  return std::ranges::any_of(graph_.kernels, [](const ir::Kernel& kernel) {
    return kernel.row != ir::kNone || kernel.column != ir::kNone;
  });
}

std::vector<std::int64_t> Variants::extents(const Given& given) const {
  std::vector<std::int64_t> result;
  for (const ExtentSource& source : deciding_) result.push_back(source.extent(given).value_or(-1));
  return result;
}

bool Variants::has_extents(const Given& given, std::span<const std::int64_t> extents) const {
  for (std::size_t n = 0; n < deciding_.size(); ++n)
    if (deciding_[n].extent(given).value_or(-1) != extents[n]) return false;
  return true;
}

// What neither the text nor the run tells counts as usual: few neighbours, many of everything else.
std::vector<double> Variants::all_extents(const Given& given) const {
  constexpr double kUsualDegree = 8;
  std::vector<std::optional<double>> known(graph_.axes.size());
  const std::function<double(ir::AxisId)> extent = [&](ir::AxisId axis) {
    std::optional<double>& value = known[static_cast<std::size_t>(axis)];
    if (value) return *value;
    const ir::Axis& here = graph_.axis(axis);
    if (here.degree != ir::kNone) return *(value = kUsualDegree);
    if (const auto told = sources_[static_cast<std::size_t>(axis)].extent(given))
      return *(value = static_cast<double>(*told));
    value = passes::kUsualExtent;
    if (here.extent.empty()) return *value;
    const auto of = [&](ir::AxisId id) {
      return std::optional(static_cast<std::int64_t>(extent(id)));
    };
    if (const auto computed = ir::evaluate(here.extent, of, ir::combine))
      value = static_cast<double>(*computed);
    return *value;
  };
  std::vector<double> extents;
  for (ir::AxisId axis = 0; axis < static_cast<ir::AxisId>(known.size()); ++axis)
    extents.push_back(extent(axis));
  return extents;
}

double Variants::plane_bytes(const Given& given) const {
  constexpr double kBytes = 4;
  std::optional<double> least;
  const std::vector<double> extents = all_extents(given);
  for (const ir::Kernel& kernel : graph_.kernels) {
    if (kernel.row == ir::kNone) continue;
    const double bytes = kBytes * extents[static_cast<std::size_t>(kernel.row)] *
                         extents[static_cast<std::size_t>(kernel.column)];
    least = std::min(least.value_or(bytes), bytes);
  }
  return least.value_or(0);
}

Variants::Estimate Variants::estimate(const Given& given,
                                      const std::vector<std::string>& batch) const {
  const Fit fit = fit_of(given);
  std::call_once(cost_once_[fit], [&] {
    const Graph tiled = tiled_for(fit);
    std::vector<ir::AxisId> axes;
    for (const std::string& name : batch)
      if (const ir::AxisId axis = ir::find_axis(tiled, name); axis != ir::kNone)
        axes.push_back(axis);
    costs_[fit].emplace(tiled, target_, axes);
  });
  const std::vector<double> extents = all_extents(given);
  return {costs_[fit]->time(extents), costs_[fit]->stored(extents)};
}

Variants::Cost Variants::cost(const Given& given) const {
  std::vector<double> extents;
  for (const ExtentSource& source : open_) {
    const auto extent = source.extent(given);
    extents.push_back(extent ? static_cast<double>(*extent) : passes::kUsualExtent);
  }
  return {operations_.at(extents), stored_.at(extents)};
}

Variants::Fit Variants::fit_of(const Given& given) const {
  bool one = !rows_.empty(), few = one, half = one;
  for (const ExtentSource& source : rows_) {
    const auto rows = source.extent(given);
    one = one && rows && *rows <= 1;
    few = few && rows && *rows <= passes::kFewRows;
    half = half && rows && passes::prefers_half(*rows);
  }
  return one ? kOne : few ? kFew : half ? kHalf : kMany;
}

Graph Variants::tiled_for(Fit fit) const {
  if (fit == kHalf) return passes::tile_half(graph_, target_);
  if (fit != kFew && fit != kOne) return graph_;
  const Graph columns = passes::tile_columns(graph_, target_, fit == kOne);
  const Graph deferred = passes::defer_scaling(columns, target_);
  return deferred == columns ? columns : lowerable(graph_, deferred, target_);
}

}  // namespace fovea::frontend
