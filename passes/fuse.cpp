#include "passes/fuse.h"

#include <algorithm>
#include <optional>

#include "ir/query.h"
#include "ir/region.h"
#include "ir/require.h"
#include "ir/rewrite.h"
#include "ir/worklist.h"
#include "passes/keep_zeros.h"
#include "passes/partition.h"
#include "passes/stored.h"

namespace fovea::passes {
namespace {

using namespace ir;

// Kernels that store what must be stored.
class Fuser {
 public:
  Fuser(const Partition& partition, std::set<NodeId> needed)
      : partition_(partition),
        graph_(partition.graph),
        needed_(std::move(needed)),
        ending_(partition.stored_by) {
    find_ends();
  }

  // In the order in which they run; nothing if they need each other in a circle.
  std::optional<std::vector<Kernel>> kernels() const {
    auto kernels = in_order(graph_, unordered());
    for (std::size_t n = 0; kernels && n < kernels->size(); n++)
      (*kernels)[n].name = title((*kernels)[n].results.back(), n);
    return kernels;
  }

 private:
  // --- element-wise consumers of row results end the kernel

  void find_ends() {
    for (const NodeId id : needed_) {
      if (ending_.contains(id) || partition_.group_of(id) != kNone || !is_map(graph_.node(id)))
        continue;
      if (const auto group = ends(id)) ending_[id] = *group;
    }
  }

  // The group whose row results `id` needs, and no other; nothing if it cannot end a kernel.
  std::optional<int> ends(NodeId id) const {
    std::optional<int> group;
    std::vector<NodeId> others;  // stored by other kernels
    Worklist todo(graph_, {id});
    while (const auto at = todo.next()) {
      const Node& node = graph_.node(*at);
      if (const int folded = partition_.group_of(*at); folded != kNone) {
        if (std::get<Reduce>(node.op).axis != partition_.group(folded).plane.second) return {};
        if (group && *group != folded) return {};
        group = folded;
      } else if (needed_.contains(*at) && *at != id) {
        others.push_back(*at);
      } else if (is_map(node)) {
        todo.add(node.inputs);
      } else if (!is_free(*at)) {
        return {};
      }
    }
    if (!group) return {};
    const auto [row, column] = partition_.group(*group).plane;
    const Type& type = graph_.node(id).type;
    const bool waits = std::ranges::any_of(
        others, [&](NodeId other) { return partition_.needs_group(other, *group); });
    return type.has(row) && !type.has(column) && !waits ? group : std::nullopt;
  }

  // Whether any kernel has the value without computing anything.
  bool is_free(NodeId id) const {
    const Node& node = graph_.node(id);
    return is_input(node) || is_constant(node) || is_index(node) || is_multiple(graph_, id);
  }

  // --- what each kernel stores

  int group_computing(NodeId id) const {
    const auto ending = ending_.find(id);
    return ending == ending_.end() ? partition_.group_of(id) : ending->second;
  }

  // What is needed outside of the kernel that computes it.
  std::set<NodeId> needed_outside() const {
    std::set<NodeId> outside;
    for (const Output& output : graph_.outputs) outside.insert(output.node);
    for (const Axis& axis : graph_.axes)
      if (axis.degree != kNone) outside.insert(axis.degree);
    for (const NodeId id : needed_) {
      Worklist todo(graph_, graph_.node(id).inputs);
      if (partition_.group_of(id) != kNone)
        for (const NodeId r : partition_.group(partition_.group_of(id)).reductions)
          todo.add(graph_.node(r).inputs[0]);
      while (const auto at = todo.next()) {
        const int group = partition_.group_of(*at);
        const bool inside = group != kNone && group == group_computing(id);
        const bool is_stored = !inside && (group != kNone || needed_.contains(*at));
        if (is_stored) outside.insert(*at);
        if (!is_stored || !needed_.contains(*at)) todo.add(graph_.node(*at).inputs);
      }
    }
    return outside;
  }

  // Those of the groups, then those off the planes.
  std::vector<Kernel> unordered() const {
    const std::set<NodeId> outside = needed_outside();
    std::vector<Kernel> kernels(partition_.found.groups.size());
    for (const NodeId id : needed_) {
      const int group = group_computing(id);
      if (group == kNone)
        kernels.push_back(alone(id));
      else if (outside.contains(id))
        kernels[static_cast<std::size_t>(group)].results.push_back(id);
    }
    for (std::size_t g = 0; g < partition_.found.groups.size(); g++) {
      const PlaneGroup& group = partition_.found.groups[g];
      kernels[g].row = group.plane.first;
      kernels[g].column = group.plane.second;
      kernels[g].reason = why_fused(group);
    }
    std::erase_if(kernels, [](const Kernel& kernel) { return kernel.results.empty(); });
    return kernels;
  }

  Kernel alone(NodeId id) const {
    Kernel kernel;
    kernel.results = {id};
    kernel.column = partition_.walks.axis_of(id);
    kernel.reason =
        kernel.column == kNone
            ? why_plain(id)
            : "fused: one walk along " + graph_.axis(kernel.column).name + " for each point";
    return kernel;
  }

  // --- names and reasons

  std::string title(NodeId id, std::size_t n) const {
    for (const Output& output : graph_.outputs)
      if (output.node == id) return output.name;
    return graph_.node(id).name.empty() ? "k" + std::to_string(n) : graph_.node(id).name;
  }

  std::string title(const Plane& plane) const {
    return "the plane of " + graph_.axis(plane.first).name + " and " +
           graph_.axis(plane.second).name;
  }

  std::string why_fused(const PlaneGroup& group) const {
    const std::size_t count = group.reductions.size();
    if (count == 0) return "fused: an output on " + title(group.plane) + ", in tiles";
    return "fused: " + std::to_string(count) + (count == 1 ? " reduction" : " reductions") +
           " of " + title(group.plane) + " in one walk";
  }

  std::string why_plain(NodeId id) const {
    const Reduce* reduce = reduce_of(graph_.node(id));
    if (!reduce) return "off the plane";
    if (is_ragged(graph_, reduce->axis))
      return "not fused: axis " + graph_.axis(reduce->axis).name + " is ragged";
    const auto row = other_axis(graph_, id, partition_.found.stored);
    if (!row) return "off the plane";
    const Plane plane{*row, reduce->axis}, flipped{reduce->axis, *row};
    const std::vector<Plane>& planes = partition_.found.planes;
    const bool known = std::ranges::find(planes, plane) != planes.end() ||
                       std::ranges::find(planes, flipped) != planes.end();
    if (!is_large(graph_, plane)) return "not fused: " + title(plane) + " is small";
    if (!known && is_layer(graph_, plane)) return "off the plane";
    return "not fused: " + title(plane) + " holds what no tile of it tells";
  }

  const Partition& partition_;
  const Graph& graph_;
  std::set<NodeId> needed_;
  std::map<NodeId, int> ending_;  // the group whose kernel a node ends
};

// What must be stored, where walks store values on their planes: outputs, then what is needed to
// compute those so.
std::set<NodeId> needed_with_planes(Partition& partition) {
  std::set<NodeId> needed;
  for (const Output& output : partition.graph.outputs) needed.insert(output.node);
  while (true) {
    store_on_planes(partition, needed);
    std::set<NodeId> more = stored_nodes(partition, true);
    if (more == needed) return needed;
    needed = std::move(more);
  }
}

}  // namespace

Graph fuse(const Graph& graph, const Target& target) {
  if (!graph.kernels.empty()) return graph;
  const Planes planes = find_planes(graph);
  const Walks walks(graph, planes.group_of);
  // A value that one walk stores and others read may tie walks that were free of each other.
  for (const bool stores_in_tiles : {true, false}) {
    Partition partition{graph, planes, walks, {}};
    std::set<NodeId> needed =
        stores_in_tiles ? needed_with_planes(partition) : stored_nodes(partition, true);
    if (auto kernels = Fuser(partition, std::move(needed)).kernels())
      return keep_zeros(with_kernels(graph, std::move(*kernels)));
  }
  return partition_unfused(graph, target);
}

Graph partition_unfused(const Graph& graph, const Target&) {
  if (!graph.kernels.empty()) return graph;
  const Partition partition{graph, no_planes(graph), Walks(graph), {}};
  auto kernels = Fuser(partition, stored_nodes(partition, false)).kernels();
  invariant(kernels.has_value(), "kernels off the plane depend on each other in a circle");
  Graph result = keep_zeros(with_kernels(graph, std::move(*kernels)));
  for (Kernel& kernel : result.kernels) kernel.reason = "unfused on request";
  return result;
}

}  // namespace fovea::passes
