#include "passes/fuse.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>

#include "ir/contraction.h"
#include "ir/error.h"
#include "ir/region.h"
#include "ir/rewrite.h"
#include "passes/followed_products.h"
#include "passes/planes.h"
#include "passes/walks.h"

namespace fovea::passes {
namespace {

using namespace ir;

struct Group : PlaneGroup {  // a kernel to be
  std::vector<NodeId> results;
};

bool is_fold(const Node& node) {
  return std::holds_alternative<Reduce>(node.op) || std::holds_alternative<Scan>(node.op) ||
         std::holds_alternative<TopK>(node.op);
}

class Fuser {
 public:
  Fuser(const Graph& graph, Planes found, Walks walks)
      : graph_(graph),
        group_of_(std::move(found.group_of)),
        planes_(std::move(found.planes)),
        walks_(std::move(walks)) {
    for (PlaneGroup& group : found.groups) groups_.push_back({std::move(group), {}});
    find_inner_sums();
    find_long_values();
  }

  // What follows a product element by element, up to an output, is computed in its kernel.
  void follow_products() {
    const auto plain = [&](NodeId id) {
      return group_of_[id] == kNone && walks_.axis_of(id) == kNone &&
             !on_any_plane(graph_.node(id).type) && is_of_stored(graph_.node(id).inputs[0]);
    };
    inner_sums_.merge(followed_products(graph_, plain));
  }

  // Nothing if they would need each other in a circle.
  std::optional<std::vector<Kernel>> kernels(bool stores_in_tiles) {
    for (const Output& output : graph_.outputs) {
      const auto group = stores_in_tiles ? group_storing(output.node) : std::nullopt;
      if (group) stored_by_[output.node] = *group;
      need(output.node);
    }
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
  // --- which nodes are stored

  void need(NodeId id) {
    if (std::holds_alternative<Input>(graph_.node(id).op) || !needed_.insert(id).second) return;
    todo_.push_back(id);
  }

  // A needed node's kernel computes it from inputs and other needed nodes; find those.
  void expand(NodeId id) {
    std::set<NodeId> seen;
    if (const auto storing = stored_by_.find(id); storing != stored_by_.end()) {
      walk_tiled(id, storing->second, seen);
      return;
    }
    const int group = group_of_[id];
    if (const AxisId axis = walks_.axis_of(id); axis != kNone) {
      walk_along(id, axis, seen);
      return;
    }
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
    if (id != root && walks_.axis_of(id) != kNone && storable(node.type)) {
      need(id);
      return;
    }
    const bool folded = is_fold(node) && !is_multiple(graph_, id) && storable(node.type) &&
                        !on_any_plane(node.type) && !inner_sums_.contains(id);
    if (id != root && (folded || long_.contains(id))) {
      need(id);
      return;
    }
    for (const NodeId input : node.inputs) walk(input, root, seen);
    if (const Reduce* reduce = std::get_if<Reduce>(&node.op);
        reduce && is_ragged(graph_, reduce->axis))
      need(graph_.axis(reduce->axis).degree);
  }

  // Whether a kernel off every plane can compute the value from what is stored.
  bool is_of_stored(NodeId id) const {
    const Node& node = graph_.node(id);
    if (group_of_[id] != kNone) return true;
    if (is_fold(node) && !is_multiple(graph_, id) && !inner_sums_.contains(id))
      return storable(node.type) && !on_any_plane(node.type);
    return std::ranges::all_of(node.inputs, [&](NodeId input) { return is_of_stored(input); });
  }

  // sum(a, sum(b, x * y)) of matrices is one product over both axes: the inner sum is not stored
  // unless something else needs it.
  void find_inner_sums() {
    const Leaves none(graph_.nodes.size());
    const std::vector<int> uses = count_uses(graph_);
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++) {
      const NodeId inner =
          std::holds_alternative<Reduce>(graph_.node(id).op) ? graph_.node(id).inputs[0] : kNone;
      if (inner == kNone || uses[inner] != 1 || group_of_[id] != kNone || group_of_[inner] != kNone)
        continue;
      if (sum_of(graph_, inner, none) && is_matrix_product(graph_, id, none))
        inner_sums_.insert(inner);
    }
  }

  // Element-wise values off the planes that have become long expressions by the time several others
  // need them, as the steps of an iteration do: computed again in every kernel, each step would cost
  // what all before it do.
  void find_long_values() {
    constexpr int kLong = 64;  // operations since the last fold
    const std::vector<int> uses = count_uses(graph_);
    std::vector<int> length(graph_.nodes.size(), 0);
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++) {
      const Node& node = graph_.node(id);
      if (!std::holds_alternative<Map>(node.op)) continue;
      int& own = length[static_cast<std::size_t>(id)];
      own = 1;
      for (const NodeId input : node.inputs)
        own = std::min(own + length[static_cast<std::size_t>(input)], kLong);
      if (own < kLong || uses[id] < 2 || !is_float(node.type.dtype) || !storable(node.type) ||
          on_any_plane(node.type))
        continue;
      long_.insert(id);
      own = 0;
    }
  }

  // From the result of a walk along an axis: what is folded along it, and everything that lies along
  // it, is computed inside; other folds are stored, and what is read at other coordinates may be
  // the end of another walk.
  void walk_along(NodeId id, AxisId axis, std::set<NodeId>& seen) {
    if (!seen.insert(id).second) return;
    const Node& node = graph_.node(id);
    const bool along = (node.type.has(axis) && !std::holds_alternative<TopK>(node.op)) ||
                       walks_.folds(id, axis);
    const AxisId other = along ? kNone : walks_.axis_of(id);
    if ((other != kNone && other != axis) ||
        (is_fold(node) && !along && !is_multiple(graph_, id))) {
      need(id);
      return;
    }
    if (const Reduce* reduce = std::get_if<Reduce>(&node.op);
        reduce && is_ragged(graph_, reduce->axis))
      need(graph_.axis(reduce->axis).degree);
    for (std::size_t n = 0; n < node.inputs.size(); n++) {
      std::set<NodeId> elsewhere;
      if (n == 0 && std::holds_alternative<Read>(node.op))
        need_folds(node.inputs[n], elsewhere);
      else
        walk_along(node.inputs[n], axis, seen);
    }
  }

  // What a walk reads at other coordinates is stored as far up as the last fold or walk.
  void need_folds(NodeId id, std::set<NodeId>& seen) {
    if (!seen.insert(id).second) return;
    const Node& node = graph_.node(id);
    const bool multiple = is_multiple(graph_, id);
    if ((is_fold(node) && !multiple) || (walks_.axis_of(id) != kNone && storable(node.type))) {
      need(id);
      return;
    }
    for (const NodeId input : node.inputs) need_folds(input, seen);
    if (multiple && is_ragged(graph_, std::get<Reduce>(node.op).axis))
      need(graph_.axis(std::get<Reduce>(node.op).axis).degree);
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
    } else if (!on_plane && walks_.axis_of(id) != kNone) {
      need(id);
      return;
    } else if (!on_plane && ((is_fold(node) && !is_multiple(graph_, id)) ||
                             (long_.contains(id) && !comes_from(id, group)))) {
      need(id);
      return;
    } else if (!node.type.has(row) && node.type.has(column) && heavy(read_by(id))) {
      need(read_by(id));
      if (read_by(id) == id) return;
    } else if (!on_plane && decides(id)) {
      need(id);
      return;
    }
    for (const NodeId input : node.inputs) walk_tiled(input, group, seen);
  }

  // Whether the walk of a group has to be over before the value is known.
  bool comes_from(NodeId id, int group) const {
    std::vector<NodeId> stack{id};
    std::set<NodeId> seen;
    while (!stack.empty()) {
      const NodeId at = stack.back();
      stack.pop_back();
      if (!seen.insert(at).second) continue;
      if (group_of_[at] == group) return true;
      const std::vector<NodeId>& inputs = graph_.node(at).inputs;
      stack.insert(stack.end(), inputs.begin(), inputs.end());
    }
    return false;
  }

  // What a column operand is read from: itself, if it is not read elsewhere.
  NodeId read_by(NodeId id) const {
    const Node& node = graph_.node(id);
    return std::holds_alternative<Read>(node.op) ? node.inputs[0] : id;
  }

  // A column operand with arithmetic on inputs of its own: computed once beats once per tile. Not
  // what comes from a walk over a plane, which may itself need it (as softmax over rows its
  // maximum).
  bool heavy(NodeId id) const {
    const Node& node = graph_.node(id);
    return is_float(node.type.dtype) && node.type.axes.size() >= 2 && is_of_inputs(id);
  }

  // A condition on floats, which intervals do not follow: stored, it tells which blocks are empty.
  bool decides(NodeId id) const {
    const Node& node = graph_.node(id);
    return node.type.dtype == Dtype::Bool && is_of_inputs(id) &&
           std::ranges::any_of(
               node.inputs, [&](NodeId input) { return is_float(graph_.node(input).type.dtype); });
  }

  bool is_of_inputs(NodeId id) const {
    if (!std::holds_alternative<Map>(graph_.node(id).op)) return false;
    if (reaches(id, [&](NodeId at) { return group_of_[at] != kNone; })) return false;
    return !sources(graph_, id, false).empty();
  }

  // --- outputs on a plane

  // The group that stores an output of its plane, tile by tile: one that folds it, or the last of
  // those whose results it needs; a group of its own where that one cannot. Nothing for what is no
  // function of a plane's reductions, and folded nowhere: a product of matrices with its end.
  std::optional<int> group_storing(NodeId id) {
    const Node& node = graph_.node(id);
    const auto plane = std::ranges::find_if(planes_, [&](const Plane& of) {
      return node.type.has(of.first) && node.type.has(of.second);
    });
    if (plane == planes_.end() || group_of_[id] != kNone ||
        std::holds_alternative<Input>(node.op) || node.type.dtype == Dtype::I4 ||
        stored_by_.contains(id) || !is_tileable(graph_, id, *plane))
      return std::nullopt;
    std::set<int> needed, users;
    for (const NodeId at : below(id))
      if (group_of_[at] != kNone) needed.insert(group_of_[at]);
    for (std::size_t g = 0; g < groups_.size(); g++)
      if (std::ranges::any_of(groups_[g].reductions, [&](NodeId r) {
            return reaches(r, [&](NodeId at) { return at == id; });
          }))
        users.insert(static_cast<int>(g));
    for (const int group : needed.empty() ? users : needed)
      if (groups_[group].plane == *plane && can_store(group, id, users)) return group;
    if (needed.empty() || std::ranges::any_of(users, [&](int g) { return needed.contains(g); }))
      return std::nullopt;
    groups_.push_back({{*plane, {}}, {}});
    return static_cast<int>(groups_.size()) - 1;
  }

  // Whether the walk of a group can store a value of its plane: of its own results only those of
  // whole rows are needed, nothing else depends on the group, and the same axes are walked outside.
  bool can_store(int group, NodeId id, const std::set<int>& users) const {
    const Group& to = groups_[group];
    for (const NodeId at : below(id)) {
      const Reduce* reduce = std::get_if<Reduce>(&graph_.node(at).op);
      if (group_of_[at] == group && reduce->axis != to.plane.second) return false;
      if (group_of_[at] != group && is_fold(graph_.node(at)) && at != id && !on_plane_of(to, at) &&
          reaches(at, group))
        return false;
    }
    for (const int user : users)
      if (user != group &&
          std::ranges::any_of(to.reductions, [&](NodeId r) { return reaches(r, user); }))
        return false;
    const auto walked = [&](const std::vector<NodeId>& also) {
      return make_region(graph_, to.plane.first, to.plane.second, to.reductions,
                         Leaves(graph_.nodes.size()), also)
          .batch;
    };
    return walked({}) == walked({id});
  }

  bool on_plane_of(const Group& group, NodeId id) const {
    const Type& type = graph_.node(id).type;
    return type.has(group.plane.first) && type.has(group.plane.second);
  }

  // All nodes that a node is computed from, and itself.
  std::set<NodeId> below(NodeId id) const {
    std::set<NodeId> seen;
    std::vector<NodeId> stack{id};
    while (!stack.empty()) {
      const NodeId at = stack.back();
      stack.pop_back();
      if (!seen.insert(at).second) continue;
      const std::vector<NodeId>& inputs = graph_.node(at).inputs;
      stack.insert(stack.end(), inputs.begin(), inputs.end());
    }
    return seen;
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
      if (is_multiple(graph_, at)) continue;
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
    std::map<NodeId, int> ending = stored_by_;
    for (const NodeId id : needed_) {
      if (ending.contains(id)) continue;
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
    return "the plane of " + graph_.axis(plane.first).name + " and " +
           graph_.axis(plane.second).name;
  }

  std::string why_plain(NodeId id) const {
    const Reduce* reduce = std::get_if<Reduce>(&graph_.node(id).op);
    if (!reduce) return "off the plane";
    if (is_ragged(graph_, reduce->axis))
      return "not fused: axis " + graph_.axis(reduce->axis).name + " is ragged";
    const auto row = other_axis(graph_, id);
    if (!row) return "off the plane";
    const Plane plane{*row, reduce->axis}, flipped{reduce->axis, *row};
    const bool known = std::ranges::find(planes_, plane) != planes_.end() ||
                       std::ranges::find(planes_, flipped) != planes_.end();
    if (!is_large(graph_, plane)) return "not fused: " + title(plane) + " is small";
    if (!known && is_layer(graph_, plane)) return "off the plane";
    return "not fused: " + title(plane) + " holds what no tile of it tells";
  }

  std::optional<std::vector<Kernel>> ordered() {
    std::vector<Kernel> result;
    for (const Group& group : groups_) {
      if (group.results.empty()) continue;
      Kernel kernel;
      kernel.results = group.results;
      kernel.row = group.plane.first;
      kernel.column = group.plane.second;
      const std::size_t count = group.reductions.size();
      kernel.reason = "fused: " + std::to_string(count) +
                      (count == 1 ? " reduction" : " reductions") + " of " + title(group.plane) +
                      " in one walk";
      if (count == 0) kernel.reason = "fused: an output on " + title(group.plane) + ", in tiles";
      result.push_back(std::move(kernel));
    }
    for (const NodeId id : plain_) {
      Kernel kernel;
      kernel.results = {id};
      kernel.column = walks_.axis_of(id);
      kernel.reason = kernel.column == kNone
                          ? why_plain(id)
                          : "fused: one walk along " + graph_.axis(kernel.column).name +
                                " for each point";
      result.push_back(std::move(kernel));
    }
    // Node ids ascend along dependencies, but the results of a kernel may straddle another's.
    std::vector<Kernel> sorted;
    std::set<NodeId> done;
    while (!result.empty()) {
      const auto ready =
          std::ranges::find_if(result, [&](const Kernel& k) { return is_ready(k, done); });
      if (ready == result.end()) return std::nullopt;
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
  Walks walks_;
  std::set<NodeId> needed_;
  std::vector<NodeId> todo_;
  std::vector<NodeId> plain_;
  std::map<NodeId, int> stored_by_;  // outputs on a plane: the group that stores them
  std::set<NodeId> inner_sums_;
  std::set<NodeId> long_;
  mutable std::set<NodeId> others_;
  mutable std::set<NodeId> stored_;
};

}  // namespace

Graph fuse(const Graph& graph, const Target& target) {
  if (!graph.kernels.empty()) return graph;
  const Planes planes = find_planes(graph);
  const Walks walks(graph, planes.group_of);
  // An output that one walk stores and others read may tie walks that were free of each other.
  for (const bool stores_in_tiles : {true, false}) {
    Fuser fuser(graph, planes, walks);
    fuser.follow_products();
    if (auto kernels = fuser.kernels(stores_in_tiles))
      return with_kernels(graph, std::move(*kernels));
  }
  return partition_unfused(graph, target);
}

Graph partition_unfused(const Graph& graph, const Target&) {
  if (!graph.kernels.empty()) return graph;
  auto kernels = Fuser(graph, no_planes(graph), Walks(graph)).kernels(false);
  invariant(kernels.has_value(), "kernels off the plane depend on each other in a circle");
  Graph result = with_kernels(graph, std::move(*kernels));
  for (Kernel& kernel : result.kernels) kernel.reason = "unfused on request";
  return result;
}

}  // namespace fovea::passes
