#include "passes/partition.h"

#include <algorithm>

#include "ir/query.h"
#include "ir/worklist.h"

namespace fovea::passes {

using namespace ir;

bool Partition::needs_group(NodeId id, int group) const {
  return needs(graph, id, [&](NodeId at) { return group_of(at) == group; });
}

bool Partition::on_any_plane(const Type& type) const {
  return std::ranges::any_of(found.planes, [&](const Plane& plane) {
    return type.has(plane.first) && type.has(plane.second);
  });
}

bool Partition::storable(const Type& type) const {
  return std::ranges::none_of(type.axes, [&](AxisId a) { return is_ragged(graph, a); });
}

}  // namespace fovea::passes
