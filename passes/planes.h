// passes/planes.h — which pair planes a graph has, and what is folded on each in one walk. A part
// of `fuse`.
#pragma once

#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "ir/graph.h"
#include "ir/region.h"

namespace fovea::passes {

using Plane = std::pair<ir::AxisId, ir::AxisId>;  // row, column

// Reductions of one plane that are computed in one walk over it.
struct PlaneGroup {
  Plane plane;
  std::vector<ir::NodeId> reductions;  // ascending; none in a group that was merged into another
};

struct Planes {
  std::vector<Plane> planes;  // largest first
  std::vector<PlaneGroup> groups;
  std::vector<int> group_of;  // by node; kNone for what is no reduction of a group
  ir::Leaves stored;          // by node: what kernels find in memory, as far as planes decide it
};

// A plane is the row and column axis of a reduction whose operands differ along both, if it is too
// large to be stored for nothing. Reductions of a plane are grouped where they share something that
// is computed on it, unless one needs another's result first.
Planes find_planes(const ir::Graph& graph);

// No planes at all: every reduction is stored.
Planes no_planes(const ir::Graph& graph);

// What a node's value is read from: inputs (also through reads), and with `indices` axes as values.
std::set<ir::NodeId> sources(const ir::Graph& graph, ir::NodeId node, bool indices);

// The plane that a reduction folds is that of its axis and of this one, along which its operands
// differ most; nothing if they do not. What is stored is looked at no further.
std::optional<ir::AxisId> other_axis(const ir::Graph& graph, ir::NodeId reduction,
                                     const ir::Leaves& stored);

// Whether a node on a plane can be computed from a tile of it: no scans, nothing ragged. Folds that
// are read at other coordinates are stored before.
bool is_tileable(const ir::Graph& graph, ir::NodeId node, const Plane& plane);

// Whether a plane is worth a walk.
bool is_large(const ir::Graph& graph, const Plane& plane);

// Whether a plane that nothing but sums fold is a set of feature vectors instead: a layer of a
// network, whose matrices are multiplied one after the other.
bool is_layer(const ir::Graph& graph, const Plane& plane);

bool is_ragged(const ir::Graph& graph, ir::AxisId axis);

}  // namespace fovea::passes
