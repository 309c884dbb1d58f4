// passes/partition.h — what the parts of `fuse` tell one another: the planes of a graph, the groups
// of reductions that are each one walk over a plane, and the outputs that such a walk stores.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "ir/graph.h"
#include "passes/planes.h"
#include "passes/walks.h"

namespace fovea::passes {

struct Partition {
  const ir::Graph& graph;
  Planes found;
  Walks walks;
  std::map<ir::NodeId, int> stored_by;  // values on a plane: the group that stores them

  int group_of(ir::NodeId id) const { return found.group_of[static_cast<std::size_t>(id)]; }
  const PlaneGroup& group(int at) const { return found.groups[static_cast<std::size_t>(at)]; }

  // Whether a node is a result of the group, or is computed from one.
  bool needs_group(ir::NodeId id, int group) const;

  // Whether a type lies on one of the planes: a fold there is computed inside the kernel that needs
  // it, never stored.
  bool on_any_plane(const ir::Type& type) const;

  // Whether values of the type can be stored: none along a ragged axis can.
  bool storable(const ir::Type& type) const;
};

// Finds for each of the nodes that lies on a plane the group that stores it, tile by tile: one that
// folds it, or the last of those whose results it needs; a group of its own where that one cannot.
// None for what is no function of a plane's reductions and folded nowhere: a product of matrices
// with its end.
void store_on_planes(Partition& partition, const std::set<ir::NodeId>& nodes);

// The nodes that some kernel must store: outputs, degrees, and what kernels need of one another.
// With `follow_products`, what follows a product element by element, up to an output, is computed
// in its kernel.
std::set<ir::NodeId> stored_nodes(const Partition& partition, bool follow_products);

}  // namespace fovea::passes
