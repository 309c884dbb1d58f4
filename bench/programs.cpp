#include "bench/programs.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "ir/extent.h"
#include "ir/query.h"
#include "ir/require.h"
#include "tools/io/random.h"

namespace fovea::bench {
namespace {

constexpr std::int64_t kFeatures = 64, kOthers = 2;

Program program_at(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  const std::string folder = path.parent_path().filename(), stem = path.stem();
  return {folder + "/" + stem, parse(text.str())};
}

bool is_open(const ir::Axis& axis) { return axis.extent.empty() && axis.degree == ir::kNone; }

// The axis whose extent this one has.
ir::AxisId origin(const Graph& graph, ir::AxisId axis) {
  const ir::Extent& extent = graph.axis(axis).extent;
  const bool is_copy = extent.size() == 1 && extent[0].kind == ir::ExtentTerm::Kind::Axis;
  return is_copy ? origin(graph, extent[0].axis) : axis;
}

// Axes of a softmax, of a mask, of a plane: one that some value is compared, exponentiated or
// chosen along, or that an index is taken of. Features are only summed along.
std::set<ir::AxisId> long_axes(const Graph& graph) {
  std::set<ir::AxisId> found;
  for (const ir::Node& node : graph.nodes) {
    if (const auto* index = ir::index_of(node)) found.insert(origin(graph, index->axis));
    if (const auto* reduce = ir::reduce_of(node); reduce && reduce->fn != ir::ReduceFn::Sum)
      found.insert(origin(graph, reduce->axis));
    if (const auto* chosen = ir::topk_of(node)) found.insert(origin(graph, chosen->axis));
  }
  for (const std::string_view usual : {"i", "j"})
    if (const ir::AxisId axis = ir::find_axis(graph, usual); axis != ir::kNone)
      found.insert(origin(graph, axis));
  return found;
}

bool is_summed(const Graph& graph, ir::AxisId axis) {
  return std::ranges::any_of(graph.nodes, [&](const ir::Node& node) {
    const auto* reduce = ir::reduce_of(node);
    return reduce && origin(graph, reduce->axis) == axis;
  });
}

std::vector<std::int64_t> extents_for(const Graph& graph, const Sizes& sizes) {
  return ir::resolve_extents({graph.axes, {}, {}, {}}, {}, sizes);
}

}  // namespace

std::vector<Program> all_programs() {
  std::vector<Program> programs;
  for (const ops::Mechanism* mechanism : ops::all())
    programs.push_back({"@" + std::string(mechanism->name),
                        mechanism->build(ops::Problem(mechanism->options)), mechanism});
  std::vector<std::filesystem::path> paths;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(FOVEA_SOURCE_DIR "/tests/corpus"))
    if (entry.path().extension() == ".fov") paths.push_back(entry.path());
  std::ranges::sort(paths);
  for (const std::filesystem::path& path : paths) programs.push_back(program_at(path));
  return programs;
}

Sizes sizes_for(const Program& program, std::int64_t rows) {
  const Graph& graph = program.graph;
  Sizes sizes;
  if (program.mechanism != nullptr) {
    sizes = ops::example_sizes(graph, rows, rows);
    std::erase_if(sizes, [&](const auto& size) {
      return !is_open(graph.axis(ir::find_axis(graph, size.first)));
    });
    return sizes;
  }
  const std::set<ir::AxisId> along = long_axes(graph);
  for (ir::AxisId axis = 0; axis < static_cast<ir::AxisId>(graph.axes.size()); ++axis)
    if (is_open(graph.axis(axis)))
      sizes[graph.axis(axis).name] = along.contains(axis)     ? rows
                                     : is_summed(graph, axis) ? std::min(rows, kFeatures)
                                                              : kOthers;
  return sizes;
}

BoundProgram::BoundProgram(const Program& program, const Sizes& sizes, double most_bytes)
    : sizes_(sizes) {
  const Graph& graph = program.graph;
  const std::vector<std::int64_t> extents = extents_for(graph, sizes);
  const auto shape_of = [&](const std::vector<ir::AxisId>& axes) {
    std::vector<std::int64_t> shape;
    for (const ir::AxisId axis : axes) shape.push_back(extents[static_cast<std::size_t>(axis)]);
    return shape;
  };
  double bytes = 0;
  const auto count = [&](const std::vector<ir::AxisId>& axes) {
    double elements = 1;
    for (const std::int64_t extent : shape_of(axes)) elements *= static_cast<double>(extent);
    bytes += 4 * elements;
  };
  for (const ir::Node& node : graph.nodes)
    if (ir::is_input(node)) count(node.type.axes);
  for (const ir::Output& output : graph.outputs) count(output.layout);
  require(bytes <= most_bytes, Code::input_too_large, "tensors of {} bytes: expected at most {}",
          bytes, most_bytes);

  ir::Arrays examples;
  if (program.mechanism != nullptr) {
    Sizes all;
    for (std::size_t n = 0; n < extents.size(); ++n) all[graph.axes[n].name] = extents[n];
    examples = ops::example_inputs(*program.mechanism, ops::Problem(program.mechanism->options),
                                   graph, all, 1);
  }
  for (const ir::Node& node : graph.nodes) {
    const auto* input = ir::input_of(node);
    if (input == nullptr) continue;
    const auto found = examples.find(input->name);
    inputs_[input->name] = found != examples.end() ? tools::from_array(found->second)
                                                   : tools::random_input(graph, node, extents, 1);
  }
  for (const ir::Output& output : graph.outputs)
    outputs_[output.name] =
        tools::make_tensor(graph.node(output.node).type.dtype, shape_of(output.layout));
  for (const auto& [name, tensor] : inputs_) from_.push_back({name, view(tensor)});
  for (auto& [name, tensor] : outputs_) to_.push_back({name, view(tensor)});
}

}  // namespace fovea::bench
