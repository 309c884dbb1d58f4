#include "passes/fold_forms.h"

#include <algorithm>
#include <optional>

#include "ir/contraction.h"
#include "ir/query.h"
#include "ir/worklist.h"
#include "passes/extents.h"

namespace fovea::passes {
namespace {

using namespace ir;
using Kind = FoldForm::Kind;

// Whether a value is made of what lies side by side along the axis, element by element.
bool lies_along(const Graph& graph, NodeId root, AxisId axis, const Leaves& leaves) {
  bool varies = false;
  Worklist todo(graph, {root});
  while (const auto id = todo.next()) {
    const Node& node = graph.node(*id);
    if (!leaves[static_cast<std::size_t>(*id)]) {
      const bool reads =
          is_read(node) && node.inputs.size() == 2 && !graph.node(node.inputs[1]).type.has(axis);
      if (!reads && !is_pointwise(node)) return false;
      todo.add(node.inputs);
    } else if (node.type.has(axis)) {
      if (node.type.axes.back() != axis || node.type.dtype != Dtype::F32) return false;
      varies = true;
    }
  }
  return varies;
}

// Whether all that varies along the axis has neighbours there, folds included.
bool has_neighbours(const Graph& graph, NodeId root, AxisId axis, const Leaves& leaves) {
  Worklist todo(graph, {root});
  while (const auto id = todo.next()) {
    const Node& node = graph.node(*id);
    const bool is_loaded = leaves[static_cast<std::size_t>(*id)];
    if ((is_loaded || (folded_axis(node) != kNone && *id != root)) && node.type.has(axis) &&
        node.type.axes.back() != axis)
      return false;
    if (is_loaded || (folded_axis(node) != kNone && *id != root)) continue;
    if (is_read(node))
      for (std::size_t n = 1; n < node.inputs.size(); ++n)
        if (graph.node(node.inputs[n]).type.has(axis)) return false;
    todo.add(node.inputs);
  }
  return true;
}

std::optional<std::int64_t> whole_vectors(const Graph& graph, AxisId axis, int lanes) {
  const auto extent = fixed_extent(graph, axis);
  return extent && *extent >= lanes && *extent % lanes == 0 ? extent : std::nullopt;
}

bool any_has(const Graph& graph, const std::vector<NodeId>& factors, AxisId axis) {
  return std::ranges::any_of(factors,
                             [&](NodeId factor) { return graph.node(factor).type.has(axis); });
}

// The sum of products that a result is, with what follows it element by element.
std::optional<FoldForm> product_of_matrices(const Graph& graph, NodeId fold, NodeId result,
                                            const Leaves& leaves, int lanes) {
  const auto sum = sum_of(graph, fold, leaves);
  const Type& type = graph.node(fold).type;
  if (!sum || type.axes != graph.node(result).type.axes || type.axes.size() < 2) return {};
  FoldForm form{Kind::Matrices, type.axes.back(), kNone, sum->axes, false};
  std::vector<NodeId> rows, columns;
  for (const Factor& factor : product_of(graph, sum->term, leaves).factors)
    if (!is_constant(graph.node(factor.node)))
      (graph.node(factor.node).type.has(form.column) ? columns : rows).push_back(factor.node);
  for (const AxisId axis : type.axes)
    if (axis != form.column && any_has(graph, rows, axis) && !any_has(graph, columns, axis))
      form.row = axis;
  const auto varies = [&](AxisId axis) { return any_has(graph, columns, axis); };
  const auto extent = fixed_extent(graph, form.column);
  if (form.row == kNone || std::ranges::none_of(sum->axes, varies) || (extent && *extent < lanes))
    return {};
  form.packs_vectors =
      whole_vectors(graph, form.column, lanes) && std::ranges::all_of(columns, [&](NodeId factor) {
        return lies_along(graph, factor, form.column, leaves);
      });
  return form;
}

bool folds_rows_of_neighbours(const Graph& graph, NodeId fold, const Leaves& leaves, int lanes) {
  const auto sum = sum_of(graph, fold, leaves);
  if (!sum || sum->axes.size() != 1) return false;
  const auto extent = fixed_extent(graph, sum->axes[0]);
  return extent && *extent >= lanes && lies_along(graph, sum->term, sum->axes[0], leaves);
}

bool folds_whole_rows(const Graph& graph, NodeId fold, const Leaves& leaves, int lanes) {
  const Node& node = graph.node(fold);
  if (node.type.axes.empty() || node.type.dtype != Dtype::F32 || is_reduce(node, ReduceFn::ArgMax))
    return false;
  const AxisId last = node.type.axes.back();
  return last != folded_axis(node) && graph.axis(folded_axis(node)).degree == kNone &&
         graph.node(node.inputs[0]).type.has(folded_axis(node)) &&
         whole_vectors(graph, last, lanes) && lies_along(graph, node.inputs[0], last, leaves);
}

}  // namespace

FoldForm form_of(const Graph& graph, NodeId fold, NodeId result, const std::vector<NodeId>& folds,
                 const Leaves& leaves, int lanes) {
  const Node& node = graph.node(fold);
  if (!is_fold(node) || is_topk(node)) return {};
  // Sums over several axes are one where nothing else is folded.
  NodeId outermost = fold;
  for (const NodeId other : folds)
    if (is_reduce(graph.node(other), ReduceFn::Sum) && graph.node(other).inputs[0] == outermost)
      outermost = other;
  const auto sum = sum_of(graph, outermost, leaves);
  if (sum && folds.size() == sum->axes.size())
    if (const auto form = product_of_matrices(graph, outermost, result, leaves, lanes))
      return outermost == fold ? *form : FoldForm{Kind::Inner, kNone, kNone, {}, false};
  if (fold == result && folds_rows_of_neighbours(graph, fold, leaves, lanes)) return {Kind::Rows};
  if (fold == result && folds_whole_rows(graph, fold, leaves, lanes)) return {Kind::Columns};
  if (!is_reduce(node, ReduceFn::Sum) || node.type.axes.empty()) return {};
  const AxisId last = node.type.axes.back();
  const bool is_alone = folds.size() == 1 && fold == result;
  const bool is_wide = !is_alone || whole_vectors(graph, last, lanes).has_value();
  return {is_wide && has_neighbours(graph, fold, last, leaves) ? Kind::Vectors : Kind::Loop};
}

bool is_of_vectors(const Graph& graph, NodeId result, const Leaves& leaves, int lanes) {
  const std::vector<AxisId>& axes = graph.node(result).type.axes;
  if (axes.empty()) return false;
  const auto extent = fixed_extent(graph, axes.back());
  return !(extent && *extent < lanes) && has_neighbours(graph, result, axes.back(), leaves);
}

}  // namespace fovea::passes
