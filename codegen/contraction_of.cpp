#include <Halide.h>

#include <algorithm>
#include <set>
#include <utility>

#include "codegen/contraction.h"
#include "ir/contraction.h"
#include "ir/query.h"

namespace fovea::codegen {
namespace {

using namespace ir;

// Folds that a value is a function of at its own point; nothing if it needs others elsewhere.
std::optional<std::set<NodeId>> folds_at_point(const Graph& graph, NodeId root,
                                               const Leaves& leaves) {
  std::set<NodeId> found;
  std::set<std::pair<NodeId, bool>> seen;  // and whether at other points
  std::vector<std::pair<NodeId, bool>> stack{{root, false}};
  while (!stack.empty()) {
    const auto [id, moved] = stack.back();
    stack.pop_back();
    if (leaves[static_cast<std::size_t>(id)] || !seen.emplace(id, moved).second) continue;
    if (is_single_fold(graph, id)) {
      if (moved) return std::nullopt;
      found.insert(id);
      continue;
    }
    const bool maps = is_map(graph.node(id));
    for (const NodeId input : graph.node(id).inputs) stack.emplace_back(input, moved || !maps);
  }
  return found;
}

bool has_fold(const Graph& graph, NodeId id, const Leaves& leaves) {
  const auto folds = folds_at_point(graph, id, leaves);
  return !folds || !folds->empty();
}

}  // namespace

bool any_has(const Graph& graph, const std::vector<Factor>& factors, AxisId axis) {
  return std::ranges::any_of(
      factors, [&](const Factor& factor) { return graph.node(factor.node).type.has(axis); });
}

std::optional<SumOfProducts> sum_of_products(const Source& source, const Result& result) {
  const Graph& graph = source.graph;
  const std::vector<AxisId>& layout = result.place.layout;
  if (source.leaves[static_cast<std::size_t>(result.node)] || layout.size() < 2 ||
      result.place.dtype == Dtype::I4)
    return std::nullopt;
  const auto folds = folds_at_point(graph, result.node, source.leaves);
  if (!folds || folds->size() != 1) return std::nullopt;
  SumOfProducts found;
  found.sum = *folds->begin();
  const auto sum = sum_of(graph, found.sum, source.leaves);
  if (!sum || graph.node(found.sum).type.axes != graph.node(result.node).type.axes)
    return std::nullopt;
  found.x = layout.back();
  found.m = sum->axes;
  const Product product = product_of(graph, sum->term, source.leaves);
  if (product.negative) found.scale = -1;
  for (const Factor& factor : product.factors) {
    const Node& of = graph.node(factor.node);
    if (has_fold(graph, factor.node, source.leaves)) return std::nullopt;
    if (const auto c = number_of(of))
      found.scale = factor.inverted ? found.scale / *c : found.scale * *c;
    else
      (of.type.has(found.x) ? found.b : found.a).push_back(factor);
  }
  for (const AxisId axis : layout)
    if (axis != found.x && any_has(graph, found.a, axis) && !any_has(graph, found.b, axis))
      found.y = axis;
  const bool b_varies =
      std::ranges::any_of(found.m, [&](AxisId axis) { return any_has(graph, found.b, axis); });
  if (found.b.empty() || found.y == kNone || !b_varies) return std::nullopt;
  return found;
}

}  // namespace fovea::codegen
