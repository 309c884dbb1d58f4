#include "passes/walks.h"

#include <algorithm>
#include <map>
#include <span>

#include "ir/contraction.h"
#include "ir/query.h"
#include "ir/region.h"
#include "ir/worklist.h"
#include "passes/elsewhere.h"
#include "passes/planes.h"

namespace fovea::passes {

using namespace ir;

Walks::Walks(const Graph& graph, std::vector<int> group_of)
    : graph_(graph), loads_(loads_of_folds(graph)) {
  walked_.resize(graph.nodes.size(), false);
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); id++)
    walked_[static_cast<std::size_t>(id)] =
        group_of[static_cast<std::size_t>(id)] == kNone && is_walk(id);
}

bool Walks::folds(NodeId id, AxisId axis) const {
  if (walked_.empty() || !walked_[static_cast<std::size_t>(id)]) return false;
  return std::get<Reduce>(graph_.node(id).op).axis == axis;
}

AxisId Walks::axis_of(NodeId result) const {
  const Node& node = graph_.node(result);
  if (walked_.empty() || node.type.dtype == Dtype::I4) return kNone;
  if (!is_map(node) && !walked_[static_cast<std::size_t>(result)]) return kNone;
  std::set<NodeId> seen;
  std::vector<NodeId> found;
  find_folds(result, seen, found);
  if (found.empty()) return kNone;
  const AxisId axis = std::get<Reduce>(graph_.node(found[0]).op).axis;
  std::set<AxisId> known;
  for (const NodeId id : found) {
    if (std::get<Reduce>(graph_.node(id).op).axis != axis) return kNone;
    known.insert(graph_.node(id).type.axes.begin(), graph_.node(id).type.axes.end());
  }
  const bool same =
      std::ranges::all_of(node.type.axes, [&](AxisId a) { return a != axis && known.contains(a); });
  return same ? axis : kNone;
}

// The folds that `id` needs at its own point.
void Walks::find_folds(NodeId id, std::set<NodeId>& seen, std::vector<NodeId>& into) const {
  if (!seen.insert(id).second) return;
  const Node& node = graph_.node(id);
  if (walked_[static_cast<std::size_t>(id)]) {
    into.push_back(id);
    return;
  }
  if (!is_map(node)) return;
  for (const NodeId input : node.inputs) find_folds(input, seen, into);
}

bool Walks::is_walk(NodeId id) const {
  const Reduce* reduce = reduce_of(graph_.node(id));
  if (!reduce || reduce->fn == ReduceFn::ArgMax) return false;
  if (!graph_.node(graph_.node(id).inputs[0]).type.has(reduce->axis)) return false;
  if (!is_ragged(graph_, reduce->axis) && (!is_gathered(id) || is_product(id))) return false;
  std::set<NodeId> seen;
  return is_computable(graph_.node(id).inputs[0], reduce->axis, seen);
}

// Whether the term reads something at coordinates that come from memory and differ along the axis.
bool Walks::is_gathered(NodeId id) const {
  const AxisId axis = std::get<Reduce>(graph_.node(id).op).axis;
  Worklist todo(graph_, graph_.node(id).inputs);
  while (const auto at = todo.next()) {
    const Node& node = graph_.node(*at);
    if (!node.type.has(axis)) continue;
    if (is_read(node))
      for (std::size_t n = 1; n < node.inputs.size(); n++)
        if (graph_.node(node.inputs[n]).type.has(axis) &&
            !sources(graph_, node.inputs[n], false).empty())
          return true;
    todo.add(node.inputs);
  }
  return false;
}

// Whether a fold multiplies matrices of what is there: walks sum rows of features by weights.
bool Walks::is_product(NodeId id) const {
  const Leaves none(graph_.nodes.size());
  if (!is_matrix_product(graph_, id, none)) return false;
  return std::ranges::none_of(
      product_of(graph_, graph_.node(id).inputs[0], none).factors, [&](const Factor& factor) {
        return needs(graph_, factor.node, [&](NodeId at) { return is_reduce(graph_.node(at)); });
      });
}

// Whether one step of a walk can compute the node, given whatever lacks the axis.
bool Walks::is_computable(NodeId id, AxisId axis, std::set<NodeId>& seen) const {
  const Node& node = graph_.node(id);
  if (!node.type.has(axis) || is_input(node) || !seen.insert(id).second) return true;
  for (const AxisId other : node.type.axes)
    if (other != axis && is_ragged(graph_, other)) return false;
  if (is_topk(node)) return true;  // stored before
  if (is_scan(node)) return false;
  if (const Reduce* reduce = reduce_of(node))
    if (reduce->fn == ReduceFn::ArgMax || is_ragged(graph_, reduce->axis)) return false;
  const bool loads = loads_[static_cast<std::size_t>(id)];
  if (is_read(node) && !loads) {
    const Node& from = graph_.node(node.inputs[0]);
    if (from.type.has(axis) && !is_input(from)) return false;
  }
  return std::ranges::all_of(std::span(node.inputs).subspan(loads ? 1 : 0),
                             [&](NodeId input) { return is_computable(input, axis, seen); });
}

}  // namespace fovea::passes
