#include "passes/planes.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "ir/contraction.h"
#include "ir/query.h"
#include "ir/region.h"
#include "ir/worklist.h"
#include "passes/elsewhere.h"
#include "passes/partition.h"

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

// Inputs, folds that are read at other coordinates, and what is read of stored folds there.
Leaves stored_leaves(const Graph& graph) {
  const std::vector<bool> loads = loads_of_folds(graph);
  Leaves leaves = loads;
  for (std::size_t id = 0; id < leaves.size(); id++) {
    const Node& node = graph.nodes[id];
    if (is_input(node)) leaves[id] = true;
    if (loads[id] && is_fold(graph.node(node.inputs[0]))) leaves[node.inputs[0]] = true;
  }
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
  return needs(graph, id, [&](NodeId at) { return is_reduce(graph.node(at)); });
}

void collect_sources(const Graph& graph, NodeId id, const Leaves& leaves, bool indices,
                     std::set<NodeId>& into, std::set<NodeId>& seen) {
  if (!seen.insert(id).second) return;
  const Node& node = graph.node(id);
  if (leaves[id] || (indices && is_index(node))) into.insert(id);
  if (leaves[id]) return;
  if (is_read(node) && is_input(graph.node(node.inputs[0]))) {
    into.insert(id);
    return;
  }
  for (const NodeId input : node.inputs) collect_sources(graph, input, leaves, indices, into, seen);
}

std::set<NodeId> sources(const Graph& graph, NodeId node, const Leaves& leaves, bool indices) {
  std::set<NodeId> into, seen;
  collect_sources(graph, node, leaves, indices, into, seen);
  return into;
}

// Which of the axes that a fold's operands have is the row of its plane, by what it would be worth.
class RowChoice {
 public:
  RowChoice(const Graph& graph, NodeId fold, const Leaves& leaves)
      : graph_(graph),
        leaves_(leaves),
        term_(graph.node(fold).inputs[0]),
        column_(std::get<Reduce>(graph.node(fold).op).axis),
        factors_(product_of(graph, term_, leaves).factors) {}

  std::optional<AxisId> operator()() const {
    for (const bool indices : {false, true})
      if (const auto row = best(indices)) return row;
    return {};
  }

 private:
  // In the order of weight: an axis of a batch is one that all factors have, of a plane one that
  // distinguishes them; it is long; its coordinates are compared with the column's, or it is as
  // long by definition; the less is read for each tile, the better; then the longer one.
  using Worth = std::tuple<bool, bool, bool, double, double>;

  std::optional<AxisId> best(bool indices) const {
    std::optional<AxisId> row;
    Worth most;
    for (const Factor& factor : factors_) {
      const Node& node = graph_.node(factor.node);
      if (!node.type.has(column_) || leaves_[factor.node] || is_read(node)) continue;
      const std::set<NodeId> from = sources(graph_, factor.node, leaves_, indices);
      for (const AxisId axis : node.type.axes) {
        if (axis == column_ || is_ragged(graph_, axis) || !differ(from, axis)) continue;
        const Worth worth(distinguishes(axis), extent_of(graph_, axis) >= kShortAxis,
                          is_paired(axis), -traffic(from, axis), extent_of(graph_, axis));
        if (row && worth < most) continue;
        row = axis;
        most = worth;
      }
    }
    return row;
  }

  bool distinguishes(AxisId row) const {
    return std::ranges::any_of(factors_, [&](const Factor& factor) {
      const Type& type = graph_.node(factor.node).type;
      return type.has(column_) && !type.has(row);
    });
  }

  // Whether something varies along the row alone, and something along the column alone.
  bool differ(const std::set<NodeId>& from, AxisId row) const {
    const auto one = [&](AxisId with, AxisId without) {
      return std::ranges::any_of(from, [&](NodeId source) {
        const Type& type = graph_.node(source).type;
        return type.has(with) && !type.has(without);
      });
    };
    return one(row, column_) && one(column_, row);
  }

  bool is_paired(AxisId row) const {
    if (graph_.axis(row).extent == graph_.axis(column_).extent && !graph_.axis(row).extent.empty())
      return true;
    const auto stands_for = [&](AxisId axis, AxisId other) {
      const Extent& extent = graph_.axis(axis).extent;
      return extent.size() == 1 && extent[0].kind == ExtentTerm::Kind::Axis &&
             extent[0].axis == other;
    };
    if (stands_for(row, column_) || stands_for(column_, row)) return true;
    // Arithmetic of these two coordinates and nothing else.
    return needs(graph_, term_, [&](NodeId id) {
      const Node& node = graph_.node(id);
      const auto varies = [&](AxisId axis) {
        return std::ranges::any_of(node.inputs, [&](NodeId input) {
          const Index* index = index_of(graph_.node(input));
          return index && index->axis == axis;
        });
      };
      return is_map(node) && varies(row) && varies(column_);
    });
  }

  // Features read for a point of the plane: those of column operands once for a tile of rows, of
  // what varies along both for each.
  double traffic(const std::set<NodeId>& from, AxisId row) const {
    double all = 0;
    for (const NodeId source : from) {
      const Type& type = graph_.node(source).type;
      double features = 1;
      for (const AxisId axis : type.axes)
        if (!graph_.node(term_).type.has(axis)) features *= extent_of(graph_, axis);
      if (type.has(column_) && features > 1)
        all += type.has(row) ? features : features / kShortAxis;
    }
    return all;
  }

  const Graph& graph_;
  const Leaves& leaves_;
  NodeId term_;
  AxisId column_;
  std::vector<Factor> factors_;
};

// Two axes in either order.
Plane unordered(const Plane& plane) { return std::minmax(plane.first, plane.second); }

bool is_bound(const Reduce& reduce) {
  return reduce.fn == ReduceFn::Max || reduce.fn == ReduceFn::Min;
}

class Finder {
 public:
  explicit Finder(const Graph& graph)
      : graph_(graph), found_(no_planes(graph)), leaves_(stored_leaves(graph)) {
    find_groups();
  }

  Planes planes() && {
    found_.stored = std::move(leaves_);
    return std::move(found_);
  }

 private:
  // Folds that ask for a plane.
  using Wishes = std::map<Plane, std::vector<NodeId>>;  // unordered

  void find_groups() {
    // Planes that a maximum or minimum folds, then those of sums alone: for these, what the former
    // fold is there already.
    const Wishes bounds = without_inner(wishes(true));
    const Wishes first_sums = wishes(false);
    add_planes(bounds, true);
    assign_planes(kept_back(bounds, first_sums));
    for (const auto& [id, plane] : plane_of_) leaves_[id] = true;
    Wishes sums = wishes(false);
    for (auto& [plane, folds] : sums)
      std::erase_if(folds, [&](NodeId id) {
        return lies_on_larger(graph_.node(id).type, plane) || takes_stored(id, plane);
      });
    std::erase_if(sums, [](const auto& of) { return of.second.empty(); });
    add_planes(sums, false);
    assign_planes(wanted(sums));
    assign_planes({});
    choose_columns();
    for (const Plane& plane : found_.planes) group_plane(plane, levels(plane, false));
    if (!is_circular()) return;
    // Two planes in turn, each of which needs one result of the other's walk for another: levels
    // that count both planes keep them apart.
    found_.groups.clear();
    std::ranges::fill(found_.group_of, kNone);
    for (const Plane& plane : found_.planes) group_plane(plane, levels(plane, true));
  }

  // What each fold that has no plane yet asks for: maxima and minima, or sums.
  Wishes wishes(bool bounds) const {
    Wishes result;
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++) {
      const Reduce* reduce = reduce_of(graph_.nodes[id]);
      if (!reduce || is_ragged(graph_, reduce->axis) || is_bound(*reduce) != bounds ||
          plane_of_.contains(id))
        continue;
      if (const auto row = RowChoice(graph_, id, leaves_)())
        result[unordered({*row, reduce->axis})].push_back(id);
    }
    std::erase_if(result, [&](const auto& of) { return !is_large(graph_, of.first); });
    return result;
  }

  // A fold whose result lies on another plane, no smaller, is a part of that one: any(n, …) of a
  // mask, or the best of several scores. Not where both say so of each other.
  Wishes without_inner(const Wishes& all) const {
    const auto is_inside = [&](const std::vector<NodeId>& folds, const Plane& plane) {
      return std::ranges::all_of(folds, [&](NodeId id) { return is_on(graph_, id, plane); });
    };
    Wishes result = all;
    std::erase_if(result, [&](const auto& of) {
      return std::ranges::any_of(all, [&](const auto& other) {
        return other.first != of.first && is_inside(of.second, other.first) &&
               !is_inside(other.second, of.first) &&
               volume(graph_, other.first) >= volume(graph_, of.first);
      });
    });
    return result;
  }

  void add_planes(const Wishes& wishes, bool bounds) {
    std::vector<Plane> planes;
    for (const auto& [plane, folds] : wishes)
      if (std::ranges::find(found_.planes, plane) == found_.planes.end() &&
          (bounds || !is_layer(graph_, plane)))
        planes.push_back(plane);
    std::ranges::sort(planes, {},
                      [&](const Plane& plane) { return std::pair(-volume(graph_, plane), plane); });
    found_.planes.insert(found_.planes.end(), planes.begin(), planes.end());
  }

  // Whether a fold's term has a result of other kernels on the plane: then storing one more value
  // there costs no more than that one did.
  bool takes_stored(NodeId fold, const Plane& plane) const {
    const std::set<NodeId> from = sources(graph_, graph_.node(fold).inputs[0], leaves_, false);
    return std::ranges::any_of(from, [&](NodeId id) {
      const bool is_input = !needs(graph_, id, [&](NodeId at) { return is_fold(graph_.node(at)); });
      return !is_input && is_on(graph_, id, plane);
    });
  }

  // Whether it lies on a plane that is no smaller than this one.
  bool lies_on_larger(const Type& type, const Plane& plane) const {
    return std::ranges::any_of(found_.planes, [&](const Plane& other) {
      return type.has(other.first) && type.has(other.second) &&
             volume(graph_, other) >= volume(graph_, plane);
    });
  }

  // Whether a fold multiplies matrices of what lies in memory, one product for each coordinate of a
  // plane's other axis: that is no plane of it but its batch.
  bool is_product_of_batch(NodeId fold, const Plane& plane) const {
    if (!is_matrix_product(graph_, fold, leaves_)) return false;
    const auto& reduce = std::get<Reduce>(graph_.node(fold).op);
    const AxisId other = reduce.axis == plane.first ? plane.second : plane.first;
    const Product product = product_of(graph_, graph_.node(fold).inputs[0], leaves_);
    return std::ranges::all_of(product.factors, [&](const Factor& factor) {
      return graph_.node(factor.node).type.has(other) && !computes(graph_, factor.node);
    });
  }

  // By fold: the one plane that it may be of.
  using Bound = std::map<NodeId, Plane>;

  Bound wanted(const Wishes& wishes) const {
    Bound result;
    for (const auto& [plane, folds] : wishes)
      for (const NodeId id : folds) result.emplace(id, plane);
    return result;
  }

  // Sums that ask for another plane than those of maxima and minima, and share nothing with these
  // that is worth it.
  Bound kept_back(const Wishes& bounds, const Wishes& sums) const {
    Bound result = wanted(sums);
    std::erase_if(result, [&](const auto& of) {
      return std::ranges::any_of(bounds, [&](const auto& bound) {
        return std::ranges::any_of(bound.second, [&](NodeId id) {
          return needs(graph_, of.first, [&](NodeId at) { return at == id; }) ||
                 shares(of.first, id, bound.first);
        });
      });
    });
    return result;
  }

  bool shares(NodeId sum, NodeId bound, const Plane& plane) const {
    std::set<NodeId> of_sum, of_bound;
    plane_nodes(sum, plane, of_sum);
    plane_nodes(bound, plane, of_bound);
    return std::ranges::any_of(of_sum, [&](NodeId id) { return of_bound.contains(id); });
  }

  // Each reduction is of the largest plane that can fold it, or of the one that it is bound to.
  void assign_planes(const Bound& bound) {
    const auto may_be_of = [&](NodeId id, const Plane& plane) {
      const auto found = bound.find(id);
      return found == bound.end() || found->second == unordered(plane);
    };
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++)
      for (const Plane& plane : found_.planes)
        if (may_be_of(id, plane) && is_plane_reduction(graph_, id, plane.first, plane.second) &&
            is_tileable(graph_, id, plane) && !is_product_of_batch(id, plane)) {
          plane_of_.emplace(id, plane);
          break;
        }
  }

  // The columns of a plane are the axis that more reductions, and any maximum, fold.
  void choose_columns() {
    constexpr int kVotesOfMaximum = 1000;
    std::map<Plane, int> votes;  // for the second axis, against the first
    for (const auto& [id, plane] : plane_of_) {
      const Reduce& reduce = std::get<Reduce>(graph_.node(id).op);
      votes[plane] +=
          (reduce.axis == plane.second ? 1 : -1) * (is_bound(reduce) ? kVotesOfMaximum : 1);
    }
    const auto directed = [&](const Plane& plane) {
      return votes[plane] >= 0 ? plane : Plane{plane.second, plane.first};
    };
    for (auto& [id, plane] : plane_of_) plane = directed(plane);
    for (Plane& plane : found_.planes) plane = directed(plane);
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
    const Leaves leaves = stored_leaves(graph_);
    std::map<NodeId, int> depth, level;  // of all of them in the order of dependency
    for (const auto& [id, own] : plane_of_) {
      const NodeId followed = own == plane || of_any
                                  ? followed_by(graph_, id, own.first, own.second, leaves).maximum
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
      if (!seen.insert(id).second || is_input(node)) continue;
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
  Leaves leaves_;  // what kernels on planes find in memory
  std::map<NodeId, Plane> plane_of_;
};

}  // namespace

Planes find_planes(const Graph& graph) { return Finder(graph).planes(); }

Planes no_planes(const Graph& graph) {
  return {{}, {}, std::vector<int>(graph.nodes.size(), kNone), stored_leaves(graph)};
}

std::set<NodeId> sources(const Graph& graph, NodeId node, bool indices) {
  Leaves inputs(graph.nodes.size());
  for (std::size_t id = 0; id < inputs.size(); id++) inputs[id] = is_input(graph.nodes[id]);
  return sources(graph, node, inputs, indices);
}

std::optional<AxisId> other_axis(const Graph& graph, NodeId fold, const Leaves& stored) {
  return RowChoice(graph, fold, stored)();
}

bool is_tileable(const Graph& graph, NodeId node, const Plane& plane) {
  const std::vector<bool> loads = loads_of_folds(graph);
  const Leaves stored = stored_leaves(graph);
  std::vector<NodeId> stack{node};
  std::set<NodeId> seen;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (!seen.insert(id).second) continue;
    const Node& at = graph.node(id);
    if (id != node && (!is_on(graph, id, plane) || (stored[id] && is_fold(at)))) continue;
    if (is_scan(at) || is_topk(at)) return false;
    if (const Reduce* reduce = reduce_of(at))
      if (is_ragged(graph, reduce->axis) || reduce->fn == ReduceFn::ArgMax) return false;
    for (const AxisId axis : at.type.axes)
      if (is_ragged(graph, axis)) return false;
    stack.insert(stack.end(), at.inputs.begin() + (loads[id] ? 1 : 0), at.inputs.end());
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
