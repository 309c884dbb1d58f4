#include "passes/tile.h"

#include <algorithm>
#include <set>

#include "ir/region.h"

namespace fovea::passes {
namespace {

using namespace ir;

constexpr int kRowTile = 48;       // a multiple of every register tile's rows: 6, 8, 16, 48
constexpr int kColumnBlock = 96;   // likewise of its columns: 6, 8
constexpr double kCacheBytes = 1 << 20;
constexpr int kLargestChunk = 10;  // 6 to 14 are within noise of each other

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
    for (const Factor& factor : product_of(graph, graph.node(reduction.node).inputs[0], region.leaves).factors) {
      const Type& type = graph.node(factor.node).type;
      if (!type.has(region.row) || !type.has(region.column) || !factors.insert(factor.node).second) continue;
      double copies = 1;
      for (const AxisId axis : type.axes)
        if (axis != region.row && axis != region.column && std::ranges::find(region.batch, axis) == region.batch.end())
          copies *= fixed_or(graph, axis, 8);
      values += copies;
    }
  return std::max(values, 1.0);
}

int chunk_for(const Graph& graph, const Region& region) {
  const double panels = plane_values(graph, region) * kRowTile * kColumnBlock * 4;
  const int chunk = static_cast<int>(kCacheBytes / 2 / panels);
  return std::clamp(chunk, 1, kLargestChunk);
}

}  // namespace

Graph tile(const Graph& graph, const Target&) {
  Graph result = graph;
  for (Kernel& kernel : result.kernels) {
    if (kernel.row == kNone || kernel.row_tile != 0) continue;
    kernel.row_tile = kRowTile;
    kernel.column_block = kColumnBlock;
    kernel.chunk = chunk_for(graph, region_of(graph, kernel));
  }
  return result;
}

}  // namespace fovea::passes
