#include "frontend/variants.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "ir/extent.h"
#include "ir/query.h"

namespace fovea::frontend {
namespace {

std::vector<ExtentSource> row_counts(const Graph& graph) {
  std::vector<ExtentSource> result;
  for (const ir::Kernel& kernel : graph.kernels)
    if (kernel.row != ir::kNone) result.emplace_back(graph, kernel.row);
  if (!std::ranges::all_of(result, &ExtentSource::is_fixed))
    std::erase_if(result, &ExtentSource::is_fixed);
  return result;
}

}  // namespace

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
    const auto* input = ir::input_of(node);
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

Variants::Variants(Graph graph, const passes::Form& form, const ir::Target& target,
                   std::shared_ptr<runtime::ThreadPool> pool, bool has_tiles,
                   passes::RunOptions run)
    : graph_(std::move(graph)),
      form_(form),
      target_(target),
      pool_(std::move(pool)),
      run_(std::move(run)),
      operations_(passes::operations(graph_)),
      stored_(passes::stored_bytes(graph_)),
      fits_(passes::specializations().size() + 1) {
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
  const std::size_t fit = fit_of(given);
  const Graph& tiled = tiled_for(fit);
  Fitted& fitted = fits_[fit];
  std::call_once(fitted.weighed, [&] {
    std::vector<ir::AxisId> axes;
    for (const std::string& name : batch)
      if (const ir::AxisId axis = ir::find_axis(tiled, name); axis != ir::kNone)
        axes.push_back(axis);
    fitted.cost.emplace(tiled, target_, axes);
  });
  const std::vector<double> extents = all_extents(given);
  return {fitted.cost->time(extents), fitted.cost->stored(extents)};
}

Variants::Cost Variants::cost(const Given& given) const {
  std::vector<double> extents;
  for (const ExtentSource& source : open_) {
    const auto extent = source.extent(given);
    extents.push_back(extent ? static_cast<double>(*extent) : passes::kUsualExtent);
  }
  return {operations_.at(extents), stored_.at(extents)};
}

std::size_t Variants::fit_of(const Given& given) const {
  const std::span<const passes::Specialization> all = passes::specializations();
  const auto fits = [&](const passes::Specialization& each) {
    return each.choice == passes::Choice::rows &&
           std::ranges::all_of(rows_, [&](const ExtentSource& source) {
             const auto rows = source.extent(given);
             return rows && each.fits(*rows);
           });
  };
  const auto found = rows_.empty() ? all.end() : std::ranges::find_if(all, fits);
  return static_cast<std::size_t>(found - all.begin());
}

const Graph& Variants::tiled_for(std::size_t fit) const {
  const std::span<const passes::Specialization> all = passes::specializations();
  if (fit == all.size()) return graph_;
  Fitted& fitted = fits_[fit];
  std::call_once(fitted.tiled, [&] {
    passes::Form form = form_;
    form.rows = &all[fit];
    fitted.graph = passes::run_rows(form, graph_, target_, run_);
  });
  return fitted.graph;
}

std::string Variants::why_rows(const Given& given) const {
  const std::span<const passes::Specialization> all = passes::specializations();
  const std::size_t fit = fit_of(given);
  if (fit == all.size()) return {};
  std::set<std::string> rows;
  for (const ExtentSource& source : rows_)
    rows.insert(fmt::format("{} is {}", source.name(), *source.extent(given)));
  return fmt::format("{}, as {}: {}", all[fit].name, fmt::join(rows, ", "), all[fit].help);
}

}  // namespace fovea::frontend
