#include "passes/planes.h"

#include <algorithm>
#include <map>
#include <optional>

#include "ir/region.h"
#include "ir/worklist.h"

namespace fovea::passes {
namespace {

using namespace ir;

constexpr double kUnknownExtent = 4096;     // of an axis whose extent comes when run
constexpr double kSmallestPlane = 1 << 18;  // elements; below, storing it costs nothing
constexpr double kShortAxis = 96;           // a fixed axis below this is a feature, not a set
constexpr double kWideFeature = 1024;       // and may be one up to this

bool is_fixed(const Graph& graph, AxisId axis) {
  const Extent& extent = graph.axis(axis).extent;
  return extent.size() == 1 && extent[0].kind == ExtentTerm::Kind::Number;
}

double extent_of(const Graph& graph, AxisId axis) {
  return is_fixed(graph, axis) ? static_cast<double>(graph.axis(axis).extent[0].number)
                               : kUnknownExtent;
}

Leaves input_leaves(const Graph& graph) {
  Leaves leaves(graph.nodes.size());
  for (std::size_t id = 0; id < leaves.size(); id++)
    leaves[id] = std::holds_alternative<Input>(graph.nodes[id].op);
  return leaves;
}

double volume(const Graph& graph, const Plane& plane) {
  return extent_of(graph, plane.first) * extent_of(graph, plane.second);
}

bool is_on(const Graph& graph, NodeId id, const Plane& plane) {
  const Type& type = graph.node(id).type;
  return type.has(plane.first) && type.has(plane.second);
}

bool computes(const Graph& graph, NodeId id) {  // holds a contraction: worth sharing
  return needs(graph, id,
               [&](NodeId at) { return std::holds_alternative<Reduce>(graph.node(at).op); });
}

class Finder {
  static constexpr int kVotesOfMaximum = 1000;

 public:
  explicit Finder(const Graph& graph) : graph_(graph), found_(no_planes(graph)) { find_groups(); }

  Planes planes() && { return std::move(found_); }

 private:
  void find_groups() {
    // A plane is unordered; its columns are the axis that more reductions, and any maximum, fold.
    std::map<Plane, std::map<AxisId, int>> votes;
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++) {
      const Reduce* reduce = std::get_if<Reduce>(&graph_.nodes[id].op);
      if (!reduce || is_ragged(graph_, reduce->axis)) continue;
      if (const auto row = other_axis(graph_, id)) {
        const Plane key = std::minmax(*row, reduce->axis);
        const bool bound = reduce->fn == ReduceFn::Max || reduce->fn == ReduceFn::Min;
        votes[key][reduce->axis] += bound ? kVotesOfMaximum : 1;
      }
    }
    std::vector<std::pair<Plane, double>> planes;
    for (const auto& [key, by_axis] : votes) {
      const int first = by_axis.contains(key.first) ? by_axis.at(key.first) : 0;
      const int second = by_axis.contains(key.second) ? by_axis.at(key.second) : 0;
      const Plane plane =
          second >= first ? Plane{key.first, key.second} : Plane{key.second, key.first};
      if (first + second < kVotesOfMaximum && is_layer(graph_, plane)) continue;
      if (is_large(graph_, plane)) planes.emplace_back(plane, volume(graph_, plane));
    }
    std::ranges::sort(planes, {}, [](const std::pair<Plane, double>& of) {
      return std::pair(-of.second, Plane(std::minmax(of.first.first, of.first.second)));
    });
    for (const auto& [plane, size] : planes) found_.planes.push_back(plane);
    assign_planes();
    for (const Plane& plane : found_.planes) group_plane(plane, levels(plane, false));
    if (!is_circular()) return;
    // Two planes in turn, each of which needs one result of the other's walk for another: levels
    // that count both planes keep them apart.
    found_.groups.clear();
    std::ranges::fill(found_.group_of, kNone);
    for (const Plane& plane : found_.planes) group_plane(plane, levels(plane, true));
  }

  // Each reduction is of the largest plane that can fold it.
  void assign_planes() {
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++)
      for (const Plane& plane : found_.planes)
        if (is_plane_reduction(graph_, id, plane.first, plane.second) &&
            is_tileable(graph_, id, plane)) {
          plane_of_.emplace(id, plane);
          break;
        }
  }

  // Reductions of planes that a node needs, without another one between.
  std::vector<NodeId> next_reductions(NodeId id) const {
    std::vector<NodeId> result;
    Worklist todo(graph_, graph_.node(id).inputs);
    while (const auto at = todo.next()) {
      if (plane_of_.contains(*at))
        result.push_back(*at);
      else
        todo.add(graph_.node(*at).inputs);
    }
    return result;
  }

  // Of the reductions of a plane: those of level n need results of level n - 1, of this plane or of
  // any.
  std::map<NodeId, int> levels(const Plane& plane, bool of_any) const {
    const Leaves leaves = input_leaves(graph_);
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
        if (found_.group_of[needed] != found_.group_of[id])
          needs[found_.group_of[id]].insert(found_.group_of[needed]);
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
    std::vector<int> merged;                      // union-find over found_.groups
    const std::size_t base = found_.groups.size();
    const auto root = [&](int g) {
      while (merged[g - base] != g) g = merged[g - base];
      return g;
    };
    for (const auto& [id, mine] : level) {
      const int group = static_cast<int>(found_.groups.size());
      found_.groups.push_back({plane, {id}});
      merged.push_back(group);
      std::set<NodeId> shared;
      plane_nodes(id, plane, shared);
      for (const NodeId node : shared) {
        const auto [at, fresh] = owner.try_emplace({mine, node}, group);
        if (!fresh) merged[root(group) - base] = root(at->second);
      }
    }
    for (std::size_t g = base; g < found_.groups.size(); g++) {
      const int to = root(static_cast<int>(g));
      for (const NodeId id : std::vector<NodeId>(found_.groups[g].reductions)) {
        found_.group_of[id] = to;
        if (to != static_cast<int>(g)) found_.groups[to].reductions.push_back(id);
      }
      if (to != static_cast<int>(g)) found_.groups[g].reductions.clear();
    }
    for (std::size_t g = base; g < found_.groups.size(); g++)
      std::ranges::sort(found_.groups[g].reductions);
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
      if (is_on(graph_, id, plane) && computes(graph_, id)) into.insert(id);
      for (const NodeId input : node.inputs) stack.push_back(input);
    }
    into.insert(reduction);
  }

  const Graph& graph_;
  Planes found_;
  std::map<NodeId, Plane> plane_of_;
};

void collect_sources(const Graph& graph, NodeId id, bool indices, std::set<NodeId>& into,
                     std::set<NodeId>& seen) {
  if (!seen.insert(id).second) return;
  const Node& node = graph.node(id);
  if (std::holds_alternative<Input>(node.op) || (indices && std::holds_alternative<Index>(node.op)))
    into.insert(id);
  if (std::holds_alternative<Read>(node.op) &&
      std::holds_alternative<Input>(graph.node(node.inputs[0]).op)) {
    into.insert(id);
    return;
  }
  for (const NodeId input : node.inputs) collect_sources(graph, input, indices, into, seen);
}

}  // namespace

Planes find_planes(const Graph& graph) { return Finder(graph).planes(); }

Planes no_planes(const Graph& graph) {
  return {{}, {}, std::vector<int>(graph.nodes.size(), kNone)};
}

std::set<NodeId> sources(const Graph& graph, NodeId node, bool indices) {
  std::set<NodeId> into, seen;
  collect_sources(graph, node, indices, into, seen);
  return into;
}

std::optional<AxisId> other_axis(const Graph& graph, NodeId id) {
  const AxisId column = std::get<Reduce>(graph.node(id).op).axis;
  const Leaves inputs = input_leaves(graph);
  const std::vector<Factor> factors = product_of(graph, graph.node(id).inputs[0], inputs).factors;
  // An axis of a batch is one that all factors have; of a plane, one that distinguishes them.
  const auto distinguishes = [&](AxisId row) {
    return std::ranges::any_of(factors, [&](const Factor& factor) {
      const Type& type = graph.node(factor.node).type;
      return type.has(column) && !type.has(row);
    });
  };
  std::optional<AxisId> best;
  for (const bool indices : {false, true}) {
    std::pair<bool, double> best_size;
    for (const Factor& factor : factors) {
      const Node& node = graph.node(factor.node);
      if (!node.type.has(column) || inputs[factor.node] || std::holds_alternative<Read>(node.op))
        continue;
      const std::set<NodeId> from = sources(graph, factor.node, indices);
      for (const AxisId row : node.type.axes) {
        if (row == column || is_ragged(graph, row)) continue;
        const auto differ = [&](AxisId with, AxisId without) {
          return std::ranges::any_of(from, [&](NodeId source) {
            const Type& type = graph.node(source).type;
            return type.has(with) && !type.has(without);
          });
        };
        const std::pair size(distinguishes(row), extent_of(graph, row));
        if (differ(row, column) && differ(column, row) && size >= best_size) {
          best = row;
          best_size = size;
        }
      }
    }
    if (best) return best;
  }
  return best;
}

bool is_tileable(const Graph& graph, NodeId node, const Plane& plane) {
  std::vector<NodeId> stack{node};
  std::set<NodeId> seen;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (!seen.insert(id).second) continue;
    const Node& at = graph.node(id);
    if (id != node && !is_on(graph, id, plane)) continue;
    if (std::holds_alternative<Scan>(at.op) || std::holds_alternative<TopK>(at.op)) return false;
    if (const Reduce* reduce = std::get_if<Reduce>(&at.op))
      if (is_ragged(graph, reduce->axis) || reduce->fn == ReduceFn::ArgMax) return false;
    if (std::holds_alternative<Read>(at.op) && is_on(graph, at.inputs[0], plane) &&
        computes(graph, at.inputs[0]))
      return false;
    for (const AxisId axis : at.type.axes)
      if (is_ragged(graph, axis)) return false;
    stack.insert(stack.end(), at.inputs.begin(), at.inputs.end());
  }
  return true;
}

bool is_large(const Graph& graph, const Plane& plane) {
  return volume(graph, plane) >= kSmallestPlane && extent_of(graph, plane.first) >= kShortAxis &&
         extent_of(graph, plane.second) >= kShortAxis;
}

bool is_layer(const Graph& graph, const Plane& plane) {
  const bool first = is_fixed(graph, plane.first), second = is_fixed(graph, plane.second);
  if (first != second) return true;
  return first &&
         std::min(extent_of(graph, plane.first), extent_of(graph, plane.second)) <= kWideFeature;
}

bool is_ragged(const Graph& graph, AxisId axis) { return graph.axis(axis).degree != kNone; }

}  // namespace fovea::passes
