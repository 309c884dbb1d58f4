// Which walk stores a value on a plane (passes/partition.h).
#include <algorithm>
#include <optional>

#include "ir/query.h"
#include "ir/region.h"
#include "ir/worklist.h"
#include "passes/elsewhere.h"
#include "passes/partition.h"

namespace fovea::passes {
namespace {

using namespace ir;

bool lies_on(const Plane& plane, const Type& type) {
  return type.has(plane.first) && type.has(plane.second);
}

class Placing {
 public:
  explicit Placing(Partition& partition)
      : partition_(partition), graph_(partition.graph), loads_(loads_of_folds(partition.graph)) {}

  void place(NodeId id) {
    const Node& node = graph_.node(id);
    const auto& planes = partition_.found.planes;
    const auto plane =
        std::ranges::find_if(planes, [&](const Plane& each) { return lies_on(each, node.type); });
    if (plane == planes.end() || partition_.group_of(id) != kNone || is_input(node) ||
        node.type.dtype == Dtype::I4 || partition_.stored_by.contains(id) ||
        !is_tileable(graph_, id, *plane))
      return;
    if (const auto group = group_for(id, *plane)) partition_.stored_by[id] = *group;
  }

 private:
  std::optional<int> group_for(NodeId id, const Plane& plane) {
    const std::set<int> needed = groups_below(id), users = groups_above(id);
    for (const int group : needed.empty() ? users : needed)
      if (partition_.group(group).plane == plane && can_store(group, id, users)) return group;
    if (needed.empty() || std::ranges::any_of(users, [&](int g) { return needed.contains(g); }))
      return std::nullopt;
    partition_.found.groups.push_back({plane, {}});
    return static_cast<int>(partition_.found.groups.size()) - 1;
  }

  std::set<int> groups_below(NodeId id) const {
    std::set<int> found;
    Worklist todo(graph_, {id});
    while (const auto at = todo.next()) {
      if (partition_.group_of(*at) != kNone) found.insert(partition_.group_of(*at));
      todo.add(graph_.node(*at).inputs);
    }
    return found;
  }

  std::set<int> groups_above(NodeId id) const {
    std::set<int> found;
    for (int g = 0; g < static_cast<int>(partition_.found.groups.size()); g++)
      if (any_reduction(g, [&](NodeId at) { return at == id; })) found.insert(g);
    return found;
  }

  template <class Wanted>
  bool any_reduction(int group, Wanted wanted) const {  // whether one of them needs such a node
    return std::ranges::any_of(partition_.group(group).reductions,
                               [&](NodeId r) { return needs(graph_, r, wanted); });
  }

  // Whether the walk of a group can store a value of its plane: of its own results only those of
  // whole rows are needed, nothing else depends on the group, and the same axes are walked outside.
  bool can_store(int group, NodeId id, const std::set<int>& users) const {
    const auto& [plane, reductions] = partition_.group(group);
    if (reads_own_results(group, id)) return false;
    const bool comes_too_late = needs(graph_, id, [&](NodeId at) {
      const Node& node = graph_.node(at);
      if (partition_.group_of(at) == group) return std::get<Reduce>(node.op).axis != plane.second;
      return is_fold(node) && at != id && !lies_on(plane, node.type) &&
             partition_.needs_group(at, group);
    });
    if (comes_too_late) return false;
    for (const int user : users)
      if (user != group &&
          any_reduction(group, [&](NodeId at) { return partition_.group_of(at) == user; }))
        return false;
    const auto walked = [&](const std::vector<NodeId>& also) {
      return make_region(graph_, plane.first, plane.second, reductions, Leaves(graph_.nodes.size()),
                         also)
          .batch;
    };
    return walked({}) == walked({id});
  }

  // Whether the walk would load, at other points, what it is yet to store: something of the group
  // for the value, or the value for something of the group.
  bool reads_own_results(int group, NodeId id) const {
    const auto loads = [&](NodeId of, const auto& wanted) {
      return needs(graph_, of, [&](NodeId at) {
        return loads_[static_cast<std::size_t>(at)] &&
               needs(graph_, graph_.node(at).inputs[0], wanted);
      });
    };
    std::vector<NodeId> own = partition_.group(group).reductions;
    for (const auto& [stored, by] : partition_.stored_by)
      if (by == group) own.push_back(stored);
    return loads(id, [&](NodeId at) { return std::ranges::find(own, at) != own.end(); }) ||
           std::ranges::any_of(
               own, [&](NodeId at) { return loads(at, [&](NodeId read) { return read == id; }); });
  }

  Partition& partition_;
  const Graph& graph_;
  const std::vector<bool> loads_;
};

}  // namespace

void store_on_planes(Partition& partition, const std::set<NodeId>& nodes) {
  Placing placing(partition);
  for (const NodeId id : nodes) placing.place(id);
}

}  // namespace fovea::passes
