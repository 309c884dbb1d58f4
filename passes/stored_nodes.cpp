// Which nodes kernels store (passes/partition.h).
#include <algorithm>
#include <span>

#include "ir/contraction.h"
#include "ir/query.h"
#include "ir/region.h"
#include "ir/rewrite.h"
#include "ir/worklist.h"
#include "passes/elsewhere.h"
#include "passes/followed_products.h"
#include "passes/partition.h"

namespace fovea::passes {
namespace {

using namespace ir;

constexpr int kLong = 64;  // operations since the last fold

class Finder {
 public:
  explicit Finder(const Partition& partition)
      : partition_(partition),
        graph_(partition.graph),
        walks_(partition.walks),
        loads_(loads_of_folds(graph_)),
        long_(graph_.nodes.size()) {
    find_inner_sums();
    find_long_values();
  }

  void follow_products() {
    const auto plain = [&](NodeId id) {
      return partition_.group_of(id) == kNone && walks_.axis_of(id) == kNone &&
             !partition_.on_any_plane(graph_.node(id).type) &&
             is_of_stored(graph_.node(id).inputs[0]);
    };
    inner_sums_.merge(followed_products(graph_, plain));
  }

  std::set<NodeId> stored() && {
    for (const Output& output : graph_.outputs) need(output.node);
    for (const Axis& axis : graph_.axes)
      if (axis.degree != kNone) need(axis.degree);
    while (!todo_.empty()) {
      const NodeId id = todo_.back();
      todo_.pop_back();
      expand(id);
    }
    return std::move(needed_);
  }

 private:
  void need(NodeId id) {
    if (is_input(graph_.node(id)) || !needed_.insert(id).second) return;
    todo_.push_back(id);
  }

  // A needed node's kernel computes it from inputs and other needed nodes; find those.
  void expand(NodeId id) {
    const int group = partition_.group_of(id);
    if (const auto storing = partition_.stored_by.find(id); storing != partition_.stored_by.end())
      compute_in_tiles({id}, storing->second);
    else if (const AxisId axis = walks_.axis_of(id); axis != kNone)
      compute_along(id, axis);
    else if (group == kNone)
      compute_off_planes(id);
    else
      compute_in_tiles(partition_.group(group).reductions, group);
  }

  bool is_single_fold(NodeId id) const { return ir::is_single_fold(graph_, id); }

  bool ends_walk(NodeId id) const {
    return walks_.axis_of(id) != kNone && partition_.storable(graph_.node(id).type);
  }

  // --- kernels off the planes

  void compute_off_planes(NodeId result) {
    Worklist todo(graph_, {result});
    while (const auto at = todo.next()) {
      if (*at != result && (ends_walk(*at) || long_[index(*at)] || is_stored_fold(*at)))
        need(*at);
      else
        add_inputs(*at, todo);
    }
  }

  // What a walk over a plane folds is stored, though it may lie on another plane.
  bool is_stored_fold(NodeId id) const {
    if (partition_.group_of(id) != kNone) return partition_.storable(graph_.node(id).type);
    return is_single_fold(id) && !inner_sums_.contains(id) && is_storable_off_planes(id);
  }

  // Whether a value lies on a plane and holds a fold at each of its points.
  bool holds_plane_fold(NodeId id) const {
    const Node& node = graph_.node(id);
    return partition_.on_any_plane(node.type) && is_map(node) && needs(graph_, id, [&](NodeId at) {
             return is_single_fold(at) && graph_.node(at).type.axes == node.type.axes;
           });
  }

  // What a node is computed from; of what it loads at other coordinates, the folds are stored.
  void add_inputs(NodeId id, Worklist& todo) {
    const Node& node = graph_.node(id);
    if (loads_[index(id)]) need_folds(node.inputs[0]);
    todo.add(std::span(node.inputs).subspan(loads_[index(id)] ? 1 : 0));
  }

  bool is_storable_off_planes(NodeId id) const {
    const Type& type = graph_.node(id).type;
    return partition_.storable(type) && !partition_.on_any_plane(type);
  }

  // Whether a kernel off every plane can compute the value from what is stored.
  bool is_of_stored(NodeId id) const {
    Worklist todo(graph_, {id});
    while (const auto at = todo.next()) {
      if (partition_.group_of(*at) != kNone) continue;
      if (!is_single_fold(*at) || inner_sums_.contains(*at))
        todo.add(graph_.node(*at).inputs);
      else if (!is_storable_off_planes(*at))
        return false;
    }
    return true;
  }

  // sum(a, sum(b, x * y)) of matrices is one product over both axes: the inner sum is not stored
  // unless something else needs it.
  void find_inner_sums() {
    const Leaves none(graph_.nodes.size());
    const std::vector<int> uses = count_uses(graph_);
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++) {
      const NodeId inner = is_reduce(graph_.node(id)) ? graph_.node(id).inputs[0] : kNone;
      if (inner == kNone || uses[index(inner)] != 1 || partition_.group_of(id) != kNone ||
          partition_.group_of(inner) != kNone)
        continue;
      if (sum_of(graph_, inner, none) && is_matrix_product(graph_, id, none))
        inner_sums_.insert(inner);
    }
  }

  // Element-wise values off the planes that have become long expressions by the time several others
  // need them, as the steps of an iteration do: computed again in every kernel, each step would
  // cost what all before it do.
  void find_long_values() {
    const std::vector<int> uses = count_uses(graph_);
    std::vector<int> length(graph_.nodes.size(), 0);
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++) {
      const Node& node = graph_.node(id);
      if (!is_map(node)) continue;
      int& own = length[index(id)];
      own = 1;
      for (const NodeId input : node.inputs) own = std::min(own + length[index(input)], kLong);
      if (own < kLong || uses[index(id)] < 2 || !is_float(node.type.dtype) ||
          !is_storable_off_planes(id))
        continue;
      long_[index(id)] = true;
      own = 0;
    }
  }

  // --- kernels that walk an axis

  // What is folded along the axis, and everything that lies along it, is computed inside; other
  // folds are stored, and what is read at other coordinates may be the end of another walk.
  void compute_along(NodeId result, AxisId axis) {
    Worklist todo(graph_, {result});
    while (const auto at = todo.next()) {
      const Node& node = graph_.node(*at);
      const bool along = (node.type.has(axis) && !is_topk(node)) || walks_.folds(*at, axis);
      const AxisId other = along ? kNone : walks_.axis_of(*at);
      if (*at != result && repeats_along(*at, result, axis)) {
        need(*at);
        continue;
      }
      if ((other != kNone && other != axis) || (is_single_fold(*at) && !along)) {
        need(*at);
        continue;
      }
      add_inputs(*at, todo);
    }
  }

  // Whether a walk to each point would compute a value with folds of its own again and again: it
  // lies along the walked axis, but along no other axis of the result that is as long as a run
  // says.
  bool repeats_along(NodeId id, NodeId result, AxisId axis) const {
    const Type& type = graph_.node(id).type;
    const std::vector<AxisId>& points = graph_.node(result).type.axes;
    const auto is_point = [&](AxisId a) { return graph_.axis(a).extent.empty(); };
    return type.has(axis) && partition_.storable(type) && is_float(type.dtype) &&
           std::ranges::any_of(points, is_point) &&
           std::ranges::none_of(points, [&](AxisId a) { return is_point(a) && type.has(a); }) &&
           needs(graph_, id,
                 [&](NodeId at) { return is_single_fold(at) && graph_.node(at).type.has(axis); });
  }

  // What is read at other coordinates is stored as far up as the last fold or walk, on a plane as
  // it is.
  void need_folds(NodeId id) {
    Worklist todo(graph_, {id});
    while (const auto at = todo.next()) {
      if (is_single_fold(*at) || ends_walk(*at) || holds_plane_fold(*at))
        need(*at);
      else
        add_inputs(*at, todo);
    }
  }

  // --- kernels on a plane

  void compute_in_tiles(std::vector<NodeId> results, int group) {
    Worklist todo(graph_, std::move(results));
    while (const auto at = todo.next()) {
      const NodeId stored = stored_for_tiles(*at, group);
      if (stored != kNone) need(stored);
      if (stored != *at) add_inputs(*at, todo);
    }
  }

  // What lies off the plane is stored if it is a fold, or if it is a column operand that would be
  // computed again for every tile of rows: the node itself, or what it reads elsewhere.
  NodeId stored_for_tiles(NodeId id, int group) const {
    const auto [row, column] = partition_.group(group).plane;
    const Type& type = graph_.node(id).type;
    const int folded = partition_.group_of(id);
    if (is_plane_reduction(graph_, id, row, column)) return folded == group ? kNone : id;
    if (folded != kNone) return id;  // of another plane
    if (type.has(row) && type.has(column)) return repeats_in_batch(id, group) ? id : kNone;
    if (walks_.axis_of(id) != kNone || is_single_fold(id)) return id;
    if (long_[index(id)] && !partition_.needs_group(id, group)) return id;
    if (!type.has(row) && type.has(column) && is_heavy(read_by(id))) return read_by(id);
    return decides(id) ? id : kNone;
  }

  // Whether a walk would contract an input that lies on its plane, as the bias that AlphaFold makes
  // of pairs, again for each coordinate of an axis of the batch that is as long as a run says. Next
  // to that input, storing the result is little.
  bool repeats_in_batch(NodeId id, int group) const {
    const auto* sum = reduce_of(graph_.node(id));
    const Type& type = graph_.node(id).type;
    if (sum == nullptr || sum->fn != ReduceFn::Sum || !is_float(type.dtype) ||
        !partition_.storable(type))
      return false;
    const auto [row, column] = partition_.group(group).plane;
    const std::set<NodeId> from = sources(graph_, id, false);
    const bool lies_there = std::ranges::any_of(from, [&](NodeId source) {
      const Type& of = graph_.node(source).type;
      return of.has(row) && of.has(column) && of.has(sum->axis);
    });
    return lies_there &&
           !needs(graph_, id, [&](NodeId at) { return partition_.group_of(at) != kNone; }) &&
           std::ranges::any_of(batch_of(group), [&](AxisId axis) {
             return !type.has(axis) && graph_.axis(axis).extent.empty();
           });
  }

  // The axes besides the plane's own of what varies along both of these.
  std::set<AxisId> batch_of(int group) const {
    const auto [row, column] = partition_.group(group).plane;
    const Leaves none(graph_.nodes.size());
    std::set<AxisId> batch;
    for (const NodeId id : partition_.group(group).reductions)
      for (const Factor& factor : product_of(graph_, graph_.node(id).inputs[0], none).factors) {
        const Type& type = graph_.node(factor.node).type;
        if (type.has(row) && type.has(column)) batch.insert(type.axes.begin(), type.axes.end());
      }
    batch.erase(row);
    batch.erase(column);
    return batch;
  }

  // What a column operand is read from: itself, if it is not read elsewhere.
  NodeId read_by(NodeId id) const {
    const Node& node = graph_.node(id);
    return is_read(node) ? node.inputs[0] : id;
  }

  // A column operand with arithmetic on inputs of its own: computed once beats once per tile. Not
  // what comes from a walk over a plane, which may itself need it (as softmax over rows its
  // maximum).
  bool is_heavy(NodeId id) const {
    const Type& type = graph_.node(id).type;
    return is_float(type.dtype) && type.axes.size() >= 2 && is_of_inputs(id);
  }

  // A condition on floats, which intervals do not follow: stored, it tells which blocks are empty.
  bool decides(NodeId id) const {
    const Node& node = graph_.node(id);
    return node.type.dtype == Dtype::Bool && is_of_inputs(id) &&
           std::ranges::any_of(
               node.inputs, [&](NodeId input) { return is_float(graph_.node(input).type.dtype); });
  }

  bool is_of_inputs(NodeId id) const {
    return is_map(graph_.node(id)) &&
           !needs(graph_, id, [&](NodeId at) { return partition_.group_of(at) != kNone; }) &&
           !sources(graph_, id, false).empty();
  }

  static std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }

  const Partition& partition_;
  const Graph& graph_;
  const Walks& walks_;
  std::set<NodeId> needed_;
  std::vector<NodeId> todo_;
  std::set<NodeId> inner_sums_;
  std::vector<bool> loads_;  // of folds at other coordinates
  std::vector<bool> long_;
};

}  // namespace

std::set<NodeId> stored_nodes(const Partition& partition, bool follow_products) {
  Finder finder(partition);
  if (follow_products) finder.follow_products();
  return std::move(finder).stored();
}

}  // namespace fovea::passes
