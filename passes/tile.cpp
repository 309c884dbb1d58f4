#include "passes/tile.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <string>

#include "ir/deciding.h"
#include "ir/query.h"
#include "ir/region.h"

namespace fovea::passes {
namespace {

using namespace ir;

constexpr int kRowTile = 96;      // a multiple of every register tile's rows: 6, 8, 16, 48
constexpr int kColumnBlock = 96;  // likewise of its columns: 6, 8
constexpr int kCarryTile = 48;    // little lies on the diagonal, and the rest costs the same
constexpr double kWideFeature = 96;
constexpr double kPanelBytes = 400
                               << 10;  // of a chunk: with its operands, half of a level-two cache
constexpr int kLargestChunk = 10;
constexpr double kHalfTileCost = 1.06;  // of a row in tiles of half the rows

double fixed_or(const Graph& graph, AxisId axis, double otherwise) {
  const Extent& extent = graph.axis(axis).extent;
  return extent.size() == 1 && extent[0].kind == ExtentTerm::Kind::Number
             ? static_cast<double>(extent[0].number)
             : otherwise;
}

// Plane values that are likely to be kept for a step, counted with the axes within the tile.
double plane_values(const Graph& graph, const Region& region) {
  std::set<NodeId> factors;
  double values = 0;
  for (const PlaneReduction& reduction : region.reductions)
    for (const Factor& factor :
         product_of(graph, graph.node(reduction.node).inputs[0], region.leaves).factors) {
      const Type& type = graph.node(factor.node).type;
      if (!type.has(region.row) || !type.has(region.column) || !factors.insert(factor.node).second)
        continue;
      double copies = 1;
      for (const AxisId axis : type.axes)
        if (axis != region.row && axis != region.column &&
            std::ranges::find(region.batch, axis) == region.batch.end())
          copies *= fixed_or(graph, axis, 8);
      values += copies;
    }
  return std::max(values, 1.0);
}

// A block's slab of a column operand stays in the first-level cache while all rows of the tile
// pass.
int block_for(const Graph& graph, const Region& region) {
  double widest = 0;
  for (const PlaneReduction& reduction : region.reductions)
    for (const AxisId axis : graph.node(reduction.node).type.axes)
      if (axis != region.row && axis != region.column &&
          std::ranges::find(region.batch, axis) == region.batch.end())
        widest = std::max(widest, fixed_or(graph, axis, 64));
  return widest > kWideFeature ? kColumnBlock / 2 : kColumnBlock;
}

int chunk_for(const Graph& graph, const Region& region, int block) {
  const double panels = plane_values(graph, region) * kRowTile * block * sizeof(float);
  return std::clamp(static_cast<int>(kPanelBytes / panels), 1, kLargestChunk);
}

constexpr int kFewRowTile = 4;
constexpr int kFewColumns = 1024;    // of a chunk of few rows, at most
constexpr int kFewColumnBlock = 64;  // where blocks may be skipped
constexpr int kMostMembers = 8;      // of a shared axis: each costs a panel

int few_columns(const Graph& graph, const Region& region, int rows) {
  const double values = plane_values(graph, region) * rows * sizeof(float);
  int columns = kFewColumns;
  while (columns > kFewColumnBlock && values * columns > kPanelBytes) columns /= 2;
  return columns;
}

// Rows whose number is fixed do not become fewer: features beside the few rows of other kernels.
bool has_fixed_rows(const Graph& graph, const Kernel& kernel) {
  return fixed_or(graph, kernel.row, 0) > kFewRows;
}

bool folds_rows(const Region& region) {
  return std::ranges::any_of(region.reductions,
                             [](const PlaneReduction& each) { return !each.over_columns; });
}

// How many consecutive coordinates of an axis, from a multiple of that number on, read the same
// elements of a value: 0 for any number.
std::int64_t sharing(const Graph& graph, NodeId id, AxisId axis, const Leaves& leaves);

// The axis that a read substitutes is at e / group.
std::int64_t group_of(const Graph& graph, NodeId coordinate, AxisId axis) {
  const Node& node = graph.node(coordinate);
  if (!node.type.has(axis)) return 0;
  if (!is_map(node, Fn::Div)) return 1;
  const auto* index = index_of(graph.node(node.inputs[0]));
  const auto group = number_of(graph.node(node.inputs[1]));
  const bool divides = index && index->axis == axis && group && *group >= 1;
  return divides ? static_cast<std::int64_t>(*group) : 1;
}

std::int64_t sharing(const Graph& graph, NodeId id, AxisId axis, const Leaves& leaves) {
  const Node& node = graph.node(id);
  if (!node.type.has(axis)) return 0;
  const auto* read = read_of(node);
  if (leaves[id] || !(read || is_map(node))) return 1;
  std::int64_t all = 0;
  for (std::size_t n = 0; n < node.inputs.size(); n++)
    all = std::gcd(all, read && n > 0 ? group_of(graph, node.inputs[n], axis)
                                      : sharing(graph, node.inputs[n], axis, leaves));
  return all;
}

// Column operands with features: what a step reads most of.
std::vector<NodeId> wide_operands(const Graph& graph, const Region& region) {
  std::vector<NodeId> found, stack;
  for (const PlaneReduction& each : region.reductions) stack.push_back(each.node);
  std::set<NodeId> seen;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    const Type& type = graph.node(id).type;
    if (!seen.insert(id).second) continue;
    if (type.has(region.column) && !type.has(region.row)) {
      const bool wide = std::ranges::any_of(type.axes, [&](AxisId axis) {
        return axis != region.column && std::ranges::find(region.batch, axis) == region.batch.end();
      });
      if (wide) found.push_back(id);
      continue;
    }
    if (region.leaves[id]) continue;
    for (const NodeId input : graph.node(id).inputs) stack.push_back(input);
  }
  return found;
}

// Heads that read the same keys and values become members of one walk over them, where all that it
// leaves is of rows.
void share(const Graph& graph, const Region& region, Kernel& kernel) {
  const auto masked = [&](NodeId mask, AxisId axis) {
    return mask != kNone && graph.node(mask).type.has(axis);
  };
  const bool stores = std::ranges::any_of(
      kernel.results, [&](NodeId id) { return is_on_plane(graph, kernel, id); });
  const std::vector<NodeId> operands = wide_operands(graph, region);
  if (stores || operands.empty()) return;
  for (auto axis = region.batch.rbegin(); axis != region.batch.rend(); ++axis) {
    if (masked(kernel.visible, *axis) || masked(kernel.solid, *axis)) continue;
    std::int64_t group = 0;
    for (const NodeId id : operands)
      group = std::gcd(group, sharing(graph, id, *axis, region.leaves));
    const double most = std::min<double>(kMostMembers, fixed_or(graph, *axis, kMostMembers));
    std::int64_t members = static_cast<std::int64_t>(most);
    while (members > 1 && group % members != 0) members--;
    if (members <= 1) continue;
    kernel.shared = *axis;
    kernel.members = static_cast<int>(members);
    return;
  }
}

// Values of both kernels' planes that decide in one of them. Each orientation adds up contractions
// in an order of its own.
bool decide_alike(const Graph& graph, const Kernel& a, const Kernel& b) {
  const std::vector<bool> of_a = computed_by(graph, a), of_b = computed_by(graph, b);
  const std::vector<bool> decides = deciding(graph);
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id) {
    const auto n = static_cast<std::size_t>(id);
    if (decides[n] && of_a[n] && of_b[n] && is_on_plane(graph, a, id)) return true;
  }
  return false;
}

// By kernel, why it has rows across the lanes however few they are; empty where it need not.
std::vector<std::string> rows_across(const Graph& graph) {
  std::vector<std::string> why(graph.kernels.size());
  for (std::size_t n = 0; n < why.size(); ++n) {
    const Kernel& kernel = graph.kernels[n];
    if (kernel.row == kNone) continue;
    if (has_fixed_rows(graph, kernel)) why[n] = "they are many";
    if (folds_rows(region_of(graph, kernel))) why[n] = "it folds over rows too";
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t n = 0; n < why.size(); ++n) {
      if (graph.kernels[n].row == kNone || !why[n].empty()) continue;
      for (std::size_t m = 0; m < why.size() && why[n].empty(); ++m)
        if (!why[m].empty() && decide_alike(graph, graph.kernels[n], graph.kernels[m]))
          why[n] = "its scores are to be those of " + graph.kernels[m].name;
      changed = changed || !why[n].empty();
    }
  }
  return why;
}

}  // namespace

Graph tile(const Graph& graph, const Target&) {
  Graph result = graph;
  for (Kernel& kernel : result.kernels) {
    if (kernel.row == kNone || kernel.row_tile != 0) continue;
    const Region region = region_of(graph, kernel);
    if (kernel.carries) {
      kernel.row_tile = kernel.column_block = kCarryTile;
      kernel.chunk = 2;
      continue;
    }
    kernel.row_tile = kRowTile;
    kernel.column_block = block_for(graph, region);
    kernel.chunk = chunk_for(graph, region, kernel.column_block);
  }
  return result;
}

Graph tile_half(const Graph& graph, const Target&) {
  Graph result = graph;
  for (Kernel& kernel : result.kernels) {
    if (kernel.row == kNone) continue;
    const auto rows = static_cast<std::int64_t>(fixed_or(graph, kernel.row, 0));
    if (has_fixed_rows(graph, kernel) && !prefers_half(rows)) continue;
    kernel.row_tile = kRowTile / 2;
    kernel.chunk = std::min(2 * kernel.chunk, kLargestChunk);
  }
  return result;
}

bool prefers_half(std::int64_t rows) {
  const auto walked = [&](std::int64_t tile) { return (rows + tile - 1) / tile * tile; };
  return static_cast<double>(walked(kRowTile / 2)) * kHalfTileCost <
         static_cast<double>(walked(kRowTile));
}

namespace {

Graph tile_columns(const Graph& graph, const Target& target, bool single_row) {
  Graph result = tile_half(graph, target);
  const std::vector<std::string> why_rows = rows_across(graph);
  for (std::size_t n = 0; n < result.kernels.size(); ++n) {
    Kernel& kernel = result.kernels[n];
    if (kernel.row == kNone || has_fixed_rows(graph, kernel)) continue;
    if (!why_rows[n].empty()) {
      kernel.reason += "; rows across the lanes: " + why_rows[n];
      continue;
    }
    const Region region = region_of(graph, kernel);
    kernel.lanes = Lanes::Columns;
    kernel.carries = false;  // nothing to share among so few rows
    kernel.row_tile = single_row && fixed_or(graph, kernel.row, 1) <= 1 ? 1 : kFewRowTile;
    share(graph, region, kernel);
    const int rows = kernel.row_tile * std::max(kernel.members, 1);
    const int columns = few_columns(graph, region, rows);
    const bool masked = kernel.visible != kNone || kernel.solid != kNone;
    kernel.column_block = masked ? kFewColumnBlock : columns;
    kernel.chunk = columns / kernel.column_block;
  }
  return result;
}

}  // namespace

Graph tile_few_rows(const Graph& graph, const Target& target) {
  return tile_columns(graph, target, false);
}

Graph tile_one_row(const Graph& graph, const Target& target) {
  return tile_columns(graph, target, true);
}

}  // namespace fovea::passes
