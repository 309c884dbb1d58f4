#include "passes/fuse.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>

#include "ir/error.h"
#include "ir/region.h"
#include "ir/rewrite.h"

namespace fovea::passes {
namespace {

using namespace ir;

constexpr double kUnknownExtent = 4096;       // of an axis whose extent comes when run
constexpr double kSmallestPlane = 1 << 18;    // elements; below, storing it costs nothing
constexpr double kShortAxis = 96;             // a fixed axis below this is a feature, not a set

using Plane = std::pair<AxisId, AxisId>;  // row, column

struct Group {  // of plane reductions: a kernel to be
  Plane plane;
  std::vector<NodeId> reductions;
  std::vector<NodeId> results;
  std::string reason;
};

double extent_of(const Graph& graph, AxisId axis) {
  const Extent& extent = graph.axis(axis).extent;
  return extent.size() == 1 && extent[0].kind == ExtentTerm::Kind::Number
             ? static_cast<double>(extent[0].number)
             : kUnknownExtent;
}

bool is_ragged(const Graph& graph, AxisId axis) { return graph.axis(axis).degree != kNone; }

bool is_fold(const Node& node) {
  return std::holds_alternative<Reduce>(node.op) || std::holds_alternative<Scan>(node.op) ||
         std::holds_alternative<TopK>(node.op);
}

class Fuser {
 public:
  Fuser(const Graph& graph, bool planes) : graph_(graph), group_of_(graph.nodes.size(), kNone) {
    if (planes) find_groups();
  }

  std::vector<Kernel> kernels() {
    for (const Output& output : graph_.outputs) need(output.node);
    for (const Axis& axis : graph_.axes)
      if (axis.degree != kNone) need(axis.degree);
    while (!todo_.empty()) {
      const NodeId id = todo_.back();
      todo_.pop_back();
      expand(id);
    }
    attach();
    return ordered();
  }

 private:
  // --- which planes there are, and what is folded on each in one walk

  // What a node's value is read from: inputs (also through reads), and with `indices` axes as values.
  void sources(NodeId id, bool indices, std::set<NodeId>& into, std::set<NodeId>& seen) const {
    if (!seen.insert(id).second) return;
    const Node& node = graph_.node(id);
    if (std::holds_alternative<Input>(node.op) || (indices && std::holds_alternative<Index>(node.op)))
      into.insert(id);
    if (std::holds_alternative<Read>(node.op) &&
        std::holds_alternative<Input>(graph_.node(node.inputs[0]).op)) {
      into.insert(id);
      return;
    }
    for (const NodeId input : node.inputs) sources(input, indices, into, seen);
  }

  // The plane that a reduction folds: its axis, and the axis along which its operands differ most.
  std::optional<AxisId> other_axis(NodeId id) const {
    const AxisId column = std::get<Reduce>(graph_.node(id).op).axis;
    const Leaves inputs = input_leaves();
    std::optional<AxisId> best;
    for (const bool indices : {false, true}) {
      double best_size = 0;
      for (const Factor& factor : product_of(graph_, graph_.node(id).inputs[0], inputs).factors) {
        const Node& node = graph_.node(factor.node);
        if (!node.type.has(column) || inputs[factor.node] || std::holds_alternative<Read>(node.op)) continue;
        std::set<NodeId> from, seen;
        sources(factor.node, indices, from, seen);
        for (const AxisId row : node.type.axes) {
          if (row == column || is_ragged(graph_, row)) continue;
          const auto differ = [&](AxisId with, AxisId without) {
            return std::ranges::any_of(from, [&](NodeId source) {
              const Type& type = graph_.node(source).type;
              return type.has(with) && !type.has(without);
            });
          };
          if (differ(row, column) && differ(column, row) && extent_of(graph_, row) >= best_size) {
            best = row;
            best_size = extent_of(graph_, row);
          }
        }
      }
      if (best) return best;
    }
    return best;
  }

  Leaves input_leaves() const {
    Leaves leaves(graph_.nodes.size());
    for (std::size_t id = 0; id < leaves.size(); id++)
      leaves[id] = std::holds_alternative<Input>(graph_.nodes[id].op);
    return leaves;
  }

  double volume(const Plane& plane) const {
    return extent_of(graph_, plane.first) * extent_of(graph_, plane.second);
  }

  bool worth_it(const Plane& plane) const {
    return volume(plane) >= kSmallestPlane && extent_of(graph_, plane.first) >= kShortAxis &&
           extent_of(graph_, plane.second) >= kShortAxis;
  }

  void find_groups() {
    // A plane is unordered; its columns are the axis that more reductions, and any maximum, fold.
    std::map<Plane, std::map<AxisId, int>> votes;
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++) {
      const Reduce* reduce = std::get_if<Reduce>(&graph_.nodes[id].op);
      if (!reduce || is_ragged(graph_, reduce->axis)) continue;
      if (const auto row = other_axis(id)) {
        const Plane key = std::minmax(*row, reduce->axis);
        votes[key][reduce->axis] += reduce->fn == ReduceFn::Max ? 1000 : 1;
      }
    }
    std::vector<std::pair<Plane, double>> planes;
    for (const auto& [key, by_axis] : votes) {
      const int first = by_axis.contains(key.first) ? by_axis.at(key.first) : 0;
      const int second = by_axis.contains(key.second) ? by_axis.at(key.second) : 0;
      const Plane plane = second >= first ? Plane{key.first, key.second} : Plane{key.second, key.first};
      if (worth_it(plane)) planes.emplace_back(plane, volume(plane));
    }
    std::ranges::sort(planes, {}, [](const std::pair<Plane, double>& of) {
      return std::pair(-of.second, Plane(std::minmax(of.first.first, of.first.second)));
    });
    for (const auto& [plane, size] : planes) planes_.push_back(plane);
    assign_planes();
    for (const Plane& plane : planes_) group_plane(plane, levels(plane, false));
    if (!is_circular()) return;
    // Two planes in turn, each of which needs one result of the other's walk for another: levels
    // that count both planes keep them apart.
    groups_.clear();
    std::ranges::fill(group_of_, kNone);
    for (const Plane& plane : planes_) group_plane(plane, levels(plane, true));
  }

  // Each reduction is of the largest plane that can fold it.
  void assign_planes() {
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++)
      for (const Plane& plane : planes_)
        if (is_plane_reduction(graph_, id, plane.first, plane.second) && fusable(id, plane)) {
          plane_of_.emplace(id, plane);
          break;
        }
  }

  // Reductions of planes that a node needs, without another one between.
  std::vector<NodeId> next_reductions(NodeId id) const {
    std::vector<NodeId> result, stack(graph_.node(id).inputs);
    std::set<NodeId> seen;
    while (!stack.empty()) {
      const NodeId at = stack.back();
      stack.pop_back();
      if (!seen.insert(at).second) continue;
      if (plane_of_.contains(at)) {
        result.push_back(at);
        continue;
      }
      for (const NodeId input : graph_.node(at).inputs) stack.push_back(input);
    }
    return result;
  }

  // Of the reductions of a plane: those of level n need results of level n - 1, of this plane or of
  // any.
  std::map<NodeId, int> levels(const Plane& plane, bool of_any) const {
    const Leaves leaves = input_leaves();
    std::map<NodeId, int> depth, level;  // of all of them in the order of dependency
    for (const auto& [id, own] : plane_of_) {
      const NodeId followed = own == plane || of_any
                                  ? followed_maximum(graph_, id, own.first, own.second, leaves)
                                  : kNone;
      int mine = 0;
      for (const NodeId needed : next_reductions(id)) {
        const bool deeper = (of_any || plane_of_.at(needed) == plane) && needed != followed;
        mine = std::max(mine, depth.at(needed) + (deeper ? 1 : 0));
      }
      depth[id] = mine;
      if (own == plane) level[id] = mine;
    }
    return level;
  }

  // Whether groups need each other in a circle.
  bool is_circular() const {
    std::map<int, std::set<int>> needs;
    for (const auto& [id, plane] : plane_of_)
      for (const NodeId needed : next_reductions(id))
        if (group_of_[needed] != group_of_[id]) needs[group_of_[id]].insert(group_of_[needed]);
    while (!needs.empty()) {
      const auto free = std::ranges::find_if(needs, [&](const auto& of) {
        return std::ranges::none_of(of.second, [&](int other) { return needs.contains(other); });
      });
      if (free == needs.end()) return true;
      needs.erase(free);
    }
    return false;
  }

  // Nodes of one plane that are folded, by level.
  void group_plane(const Plane& plane, const std::map<NodeId, int>& level) {
    // One walk for reductions of one level that share something computed on the plane.
    std::map<std::pair<int, NodeId>, int> owner;  // level, plane node → group
    std::vector<int> merged;                      // union-find over groups_
    const std::size_t base = groups_.size();
    const auto root = [&](int g) {
      while (merged[g - base] != g) g = merged[g - base];
      return g;
    };
    for (const auto& [id, mine] : level) {
      const int group = static_cast<int>(groups_.size());
      groups_.push_back({plane, {id}, {}, {}});
      merged.push_back(group);
      std::set<NodeId> shared;
      plane_nodes(id, plane, shared);
      for (const NodeId node : shared) {
        const auto [at, fresh] = owner.try_emplace({mine, node}, group);
        if (!fresh) merged[root(group) - base] = root(at->second);
      }
    }
    for (std::size_t g = base; g < groups_.size(); g++) {
      const int to = root(static_cast<int>(g));
      for (const NodeId id : std::vector<NodeId>(groups_[g].reductions)) {
        group_of_[id] = to;
        if (to != static_cast<int>(g)) groups_[to].reductions.push_back(id);
      }
      if (to != static_cast<int>(g)) groups_[g].reductions.clear();
    }
    for (std::size_t g = base; g < groups_.size(); g++) std::ranges::sort(groups_[g].reductions);
  }

  // Computed nodes on the plane that a reduction needs without another reduction of it between.
  void plane_nodes(NodeId reduction, const Plane& plane, std::set<NodeId>& into) const {
    std::vector<NodeId> stack(graph_.node(reduction).inputs);
    std::set<NodeId> seen;
    while (!stack.empty()) {
      const NodeId id = stack.back();
      stack.pop_back();
      const Node& node = graph_.node(id);
      if (!seen.insert(id).second || std::holds_alternative<Input>(node.op)) continue;
      if (is_plane_reduction(graph_, id, plane.first, plane.second)) {
        into.insert(id);  // a sum that follows a maximum walks with it
        continue;
      }
      if (node.type.has(plane.first) && node.type.has(plane.second) && computes(id)) into.insert(id);
      for (const NodeId input : node.inputs) stack.push_back(input);
    }
    into.insert(reduction);
  }

  bool computes(NodeId id) const {  // holds a contraction: worth sharing
    std::vector<NodeId> stack{id};
    std::set<NodeId> seen;
    while (!stack.empty()) {
      const NodeId at = stack.back();
      stack.pop_back();
      if (!seen.insert(at).second) continue;
      if (std::holds_alternative<Reduce>(graph_.node(at).op)) return true;
      for (const NodeId input : graph_.node(at).inputs) stack.push_back(input);
    }
    return false;
  }

  // Everything on the plane must be computable from a tile: no reads of computed plane values at other
  // rows or columns, no scans, no ragged folds.
  bool fusable(NodeId reduction, const Plane& plane) const {
    std::vector<NodeId> stack{reduction};
    std::set<NodeId> seen;
    while (!stack.empty()) {
      const NodeId id = stack.back();
      stack.pop_back();
      if (!seen.insert(id).second) continue;
      const Node& node = graph_.node(id);
      const bool on_plane = node.type.has(plane.first) && node.type.has(plane.second);
      if (id != reduction && !on_plane) continue;
      if (std::holds_alternative<Scan>(node.op) || std::holds_alternative<TopK>(node.op)) return false;
      if (const Reduce* reduce = std::get_if<Reduce>(&node.op))
        if (is_ragged(graph_, reduce->axis) || reduce->fn == ReduceFn::ArgMax) return false;
      if (const Read* read = std::get_if<Read>(&node.op); read && computes(node.inputs[0])) return false;
      for (const AxisId axis : node.type.axes)
        if (is_ragged(graph_, axis)) return false;
      for (const NodeId input : node.inputs) stack.push_back(input);
    }
    return true;
  }

  // --- which nodes are stored

  void need(NodeId id) {
    if (std::holds_alternative<Input>(graph_.node(id).op) || !needed_.insert(id).second) return;
    todo_.push_back(id);
  }

  // A needed node's kernel computes it from inputs and other needed nodes; find those.
  void expand(NodeId id) {
    std::set<NodeId> seen;
    const int group = group_of_[id];
    if (group == kNone) {
      walk(id, id, seen);
      return;
    }
    for (const NodeId reduction : groups_[group].reductions) walk_tiled(reduction, group, seen);
  }

  // From a node off the plane down to the folds that it needs.
  void walk(NodeId id, NodeId root, std::set<NodeId>& seen) {
    if (!seen.insert(id).second) return;
    const Node& node = graph_.node(id);
    if (id != root && is_fold(node) && !is_multiple(graph_, id) && storable(node.type) && !on_any_plane(node.type)) {
      need(id);
      return;
    }
    for (const NodeId input : node.inputs) walk(input, root, seen);
    if (const Reduce* reduce = std::get_if<Reduce>(&node.op); reduce && is_ragged(graph_, reduce->axis))
      need(graph_.axis(reduce->axis).degree);
  }

  // A fold that lies on a plane is computed inside the kernel that needs it, never stored.
  bool on_any_plane(const Type& type) const {
    return std::ranges::any_of(planes_, [&](const Plane& plane) {
      return type.has(plane.first) && type.has(plane.second);
    });
  }

  bool storable(const Type& type) const {
    return std::ranges::none_of(type.axes, [&](AxisId a) { return is_ragged(graph_, a); });
  }

  // From a reduction of a plane: what lies off the plane is stored if it is a fold, or if it is a
  // column operand that would be computed again for every tile of rows.
  void walk_tiled(NodeId id, int group, std::set<NodeId>& seen) {
    if (!seen.insert(id).second) return;
    const auto [row, column] = groups_[group].plane;
    const Node& node = graph_.node(id);
    if (std::holds_alternative<Input>(node.op)) return;
    const bool on_plane = node.type.has(row) && node.type.has(column);
    if (is_plane_reduction(graph_, id, row, column)) {
      if (group_of_[id] != group) {
        need(id);
        return;
      }
    } else if (!on_plane && is_fold(node) && !is_multiple(graph_, id)) {
      need(id);
      return;
    } else if (!node.type.has(row) && node.type.has(column) && heavy(id)) {
      need(id);
      return;
    }
    for (const NodeId input : node.inputs) walk_tiled(input, group, seen);
  }

  // A column operand with arithmetic on inputs of its own: computed once beats once per tile. Not what
  // comes from a walk over a plane, which may itself need it (as softmax over rows its maximum).
  bool heavy(NodeId id) const {
    const Node& node = graph_.node(id);
    if (!std::holds_alternative<Map>(node.op) || !is_float(node.type.dtype) || node.type.axes.size() < 2)
      return false;
    if (reaches(id, [&](NodeId at) { return group_of_[at] != kNone; })) return false;
    std::set<NodeId> from, seen;
    sources(id, false, from, seen);
    return !from.empty();
  }

  // --- element-wise consumers of row results end the kernel

  // The group whose row results `id` needs, and no other; nothing if it cannot end a kernel.
  std::optional<int> ends(NodeId id) const {
    std::optional<int> group;
    std::vector<NodeId> stack{id};
    std::set<NodeId> seen;
    while (!stack.empty()) {
      const NodeId at = stack.back();
      stack.pop_back();
      if (!seen.insert(at).second) continue;
      const Node& node = graph_.node(at);
      if (group_of_[at] != kNone) {
        const Plane& plane = groups_[group_of_[at]].plane;
        if (std::get<Reduce>(node.op).axis != plane.second) return std::nullopt;
        if (group && *group != group_of_[at]) return std::nullopt;
        group = group_of_[at];
        continue;
      }
      if (std::holds_alternative<Input>(node.op) || std::holds_alternative<Constant>(node.op) ||
          std::holds_alternative<Index>(node.op))
        continue;
      if (needed_.contains(at) && at != id) {
        if (group && reaches(at, *group)) return std::nullopt;
        others_.insert(at);
        continue;
      }
      if (!std::holds_alternative<Map>(node.op)) return std::nullopt;
      for (const NodeId input : node.inputs) stack.push_back(input);
    }
    if (!group) return std::nullopt;
    const AxisId row = groups_[*group].plane.first, column = groups_[*group].plane.second;
    const Type& type = graph_.node(id).type;
    if (!type.has(row) || type.has(column)) return std::nullopt;
    for (const NodeId other : others_)
      if (reaches(other, *group)) return std::nullopt;
    return group;
  }

  bool reaches(NodeId id, int group) const {  // does `id` need a result of the group?
    return reaches(id, [&](NodeId at) { return group_of_[at] == group; });
  }

  template <class Wanted>
  bool reaches(NodeId id, Wanted wanted) const {  // does `id` need such a node?
    std::vector<NodeId> stack{id};
    std::set<NodeId> seen;
    while (!stack.empty()) {
      const NodeId at = stack.back();
      stack.pop_back();
      if (!seen.insert(at).second) continue;
      if (wanted(at)) return true;
      for (const NodeId input : graph_.node(at).inputs) stack.push_back(input);
    }
    return false;
  }

  void attach() {
    std::map<NodeId, int> ending;
    for (const NodeId id : needed_) {
      if (group_of_[id] != kNone || !std::holds_alternative<Map>(graph_.node(id).op)) continue;
      others_.clear();
      if (const auto group = ends(id)) ending[id] = *group;
    }
    // A reduction is stored only if something outside its kernel needs it.
    std::set<NodeId> outside;
    for (const Output& output : graph_.outputs) outside.insert(output.node);
    for (const Axis& axis : graph_.axes)
      if (axis.degree != kNone) outside.insert(axis.degree);
    for (const NodeId id : needed_) {
      const int group = ending.contains(id) ? ending[id] : group_of_[id];
      std::vector<NodeId> stack;
      if (group_of_[id] != kNone && !ending.contains(id)) {
        for (const NodeId r : groups_[group].reductions) stack.push_back(graph_.node(r).inputs[0]);
      } else {
        stack = graph_.node(id).inputs;
      }
      std::set<NodeId> seen;
      while (!stack.empty()) {
        const NodeId at = stack.back();
        stack.pop_back();
        if (!seen.insert(at).second) continue;
        if (group_of_[at] != kNone && group_of_[at] != group) outside.insert(at);
        if (needed_.contains(at) && group_of_[at] == kNone) outside.insert(at);
        if (needed_.contains(at) && (group_of_[at] == kNone || group_of_[at] != group)) continue;
        for (const NodeId input : graph_.node(at).inputs) stack.push_back(input);
      }
    }
    for (const NodeId id : needed_) {
      if (ending.contains(id)) {
        if (outside.contains(id)) groups_[ending[id]].results.push_back(id);
      } else if (group_of_[id] != kNone) {
        if (outside.contains(id)) groups_[group_of_[id]].results.push_back(id);
      } else {
        plain_.push_back(id);
      }
    }
  }

  // --- kernels in execution order

  std::string title(NodeId id, std::size_t n) const {
    for (const Output& output : graph_.outputs)
      if (output.node == id) return output.name;
    return graph_.node(id).name.empty() ? "k" + std::to_string(n) : graph_.node(id).name;
  }

  std::string title(const Plane& plane) const {
    return "the plane of " + graph_.axis(plane.first).name + " and " + graph_.axis(plane.second).name;
  }

  std::string why_plain(NodeId id) const {
    const Reduce* reduce = std::get_if<Reduce>(&graph_.node(id).op);
    if (!reduce) return "off the plane";
    if (is_ragged(graph_, reduce->axis))
      return "not fused: axis " + graph_.axis(reduce->axis).name + " is ragged";
    const auto row = other_axis(id);
    if (!row) return "off the plane";
    const Plane plane{*row, reduce->axis};
    if (!worth_it(plane)) return "not fused: " + title(plane) + " is small";
    return "not fused: " + title(plane) + " holds what no tile of it tells";
  }

  std::vector<Kernel> ordered() {
    std::vector<Kernel> result;
    for (const Group& group : groups_) {
      if (group.results.empty()) continue;
      Kernel kernel;
      kernel.results = group.results;
      kernel.row = group.plane.first;
      kernel.column = group.plane.second;
      const std::size_t count = group.reductions.size();
      kernel.reason = "fused: " + std::to_string(count) + (count == 1 ? " reduction" : " reductions") +
                      " of " + title(group.plane) + " in one walk";
      result.push_back(std::move(kernel));
    }
    for (const NodeId id : plain_) {
      Kernel kernel;
      kernel.results = {id};
      kernel.reason = why_plain(id);
      result.push_back(std::move(kernel));
    }
    // Node ids ascend along dependencies, but the results of a kernel may straddle another's.
    std::vector<Kernel> sorted;
    std::set<NodeId> done;
    while (!result.empty()) {
      const auto ready = std::ranges::find_if(result, [&](const Kernel& k) { return is_ready(k, done); });
      invariant(ready != result.end(), "kernels depend on each other in a circle");
      for (const NodeId id : ready->results) done.insert(id);
      ready->name = title(ready->results.back(), sorted.size());
      sorted.push_back(std::move(*ready));
      result.erase(ready);
    }
    return sorted;
  }

  bool is_ready(const Kernel& kernel, const std::set<NodeId>& done) const {
    std::set<NodeId> seen;
    std::vector<NodeId> stack;
    for (const NodeId id : kernel.results) stack.push_back(id);
    const std::set<NodeId> own(kernel.results.begin(), kernel.results.end());
    while (!stack.empty()) {
      const NodeId at = stack.back();
      stack.pop_back();
      if (!seen.insert(at).second || done.contains(at)) continue;
      if (!own.contains(at) && stored_.empty()) build_stored();
      if (!own.contains(at) && stored_.contains(at)) return false;
      for (const NodeId input : graph_.node(at).inputs) stack.push_back(input);
      if (const Reduce* reduce = std::get_if<Reduce>(&graph_.node(at).op))
        if (is_ragged(graph_, reduce->axis)) stack.push_back(graph_.axis(reduce->axis).degree);
    }
    return true;
  }

  void build_stored() const {
    for (const Group& group : groups_) stored_.insert(group.results.begin(), group.results.end());
    stored_.insert(plain_.begin(), plain_.end());
  }

  const Graph& graph_;
  std::vector<int> group_of_;  // of plane reductions
  std::vector<Group> groups_;
  std::vector<Plane> planes_;
  std::map<NodeId, Plane> plane_of_;  // of plane reductions
  std::set<NodeId> needed_;
  std::vector<NodeId> todo_;
  std::vector<NodeId> plain_;
  mutable std::set<NodeId> others_;
  mutable std::set<NodeId> stored_;
};

Graph with_kernels(const Graph& graph, std::vector<Kernel> kernels) {
  Graph result = graph;
  result.kernels = std::move(kernels);
  return rewrite(result, [](Builder&, NodeId, const Node&, const std::vector<NodeId>&) {
    return std::optional<NodeId>();
  });
}

}  // namespace

Graph fuse(const Graph& graph, const Target&) {
  if (!graph.kernels.empty()) return graph;
  return with_kernels(graph, Fuser(graph, true).kernels());
}

Graph partition_unfused(const Graph& graph, const Target&) {
  if (!graph.kernels.empty()) return graph;
  Graph result = with_kernels(graph, Fuser(graph, false).kernels());
  for (Kernel& kernel : result.kernels) kernel.reason = "unfused on request";
  return result;
}

}  // namespace fovea::passes
