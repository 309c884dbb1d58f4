#include "passes/spread_scans.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "ir/query.h"
#include "ir/region.h"
#include "passes/planes.h"
#include "passes/products.h"

namespace fovea::passes {
namespace {

using ir::AxisId;
using ir::Builder;
using ir::Factor;
using ir::Fn;
using ir::Graph;
using ir::kNone;
using ir::NodeId;

// sum(d, others * cumsum(j, terms)[j = coordinate])
struct Found {
  AxisId d = kNone, j = kNone;
  NodeId coordinate = kNone;  // of a read; kNone: the axis j itself
  ir::Product others, terms;
};

bool has(const Graph& graph, NodeId id, AxisId axis) { return graph.node(id).type.has(axis); }

// A scan, or a scan read at one coordinate that no input decides.
struct Prefix {
  AxisId j = kNone;
  NodeId terms = kNone, coordinate = kNone;
};

std::optional<Prefix> prefix(const Graph& graph, NodeId id) {
  const ir::Node& node = graph.node(id);
  if (const auto* scan = ir::scan_of(node)) {
    if (node.type.dtype != ir::Dtype::F32 || graph.axis(scan->axis).degree != kNone) return {};
    return Prefix{scan->axis, node.inputs[0], kNone};
  }
  const auto* read = ir::read_of(node);
  if (read == nullptr || read->at.size() != 1 || read->at[0].otherwise) return {};
  auto found = prefix(graph, node.inputs[0]);
  if (!found || found->coordinate != kNone || found->j != read->at[0].axis) return {};
  found->coordinate = node.inputs[1];
  const bool is_plain =
      sources(graph, found->coordinate, false).empty() && !has(graph, found->coordinate, found->j);
  return is_plain ? found : std::nullopt;
}

std::optional<Found> recognise(const Graph& graph, NodeId site) {
  const ir::Node& node = graph.node(site);
  const auto* reduce = ir::reduce_of(node);
  if (reduce == nullptr || reduce->fn != ir::ReduceFn::Sum || node.type.dtype != ir::Dtype::F32 ||
      graph.axis(reduce->axis).degree != kNone)
    return {};
  const ir::Leaves none(graph.nodes.size());
  Found found;
  found.d = reduce->axis;
  found.others = ir::product_of(graph, node.inputs[0], none);
  auto& factors = found.others.factors;
  for (std::size_t n = 0; n < factors.size(); ++n) {
    const auto scan = factors[n].inverted ? std::nullopt : prefix(graph, factors[n].node);
    if (!scan || !has(graph, scan->terms, found.d)) continue;
    // The sum over the positions themselves contracts nothing beneath the scan.
    if (scan->coordinate == kNone && scan->j == found.d) continue;
    found.j = scan->j;
    found.coordinate = scan->coordinate;
    found.terms = ir::product_of(graph, scan->terms, none);
    factors.erase(factors.begin() + static_cast<std::ptrdiff_t>(n));
    const bool varies =
        found.coordinate != kNone && (has(graph, found.coordinate, found.d) ||
                                      std::ranges::any_of(factors, [&](const Factor& factor) {
                                        return has(graph, factor.node, found.j);
                                      }));
    // Spread within each other, two scans would take a third loop over positions.
    const bool repeats = std::ranges::any_of(factors, [&](const Factor& factor) {
      const auto other = prefix(graph, factor.node);
      return other && other->j == found.j && has(graph, factor.node, found.d);
    });
    const bool contracts = std::ranges::any_of(
        factors, [&](const Factor& factor) { return has(graph, factor.node, found.d); });
    if (varies || repeats || !contracts) return {};
    return found;
  }
  return {};
}

// Puts what was found together in the new graph.
class Rebuild {
 public:
  Rebuild(Builder& into, const std::vector<NodeId>& to, const Graph& graph, const Found& found,
          std::map<AxisId, AxisId>& columns)
      : into_(into), to_(to), graph_(graph), found_(found), columns_(columns) {}

  NodeId operator()() {
    const bool itself = found_.coordinate == kNone;
    column_ = itself ? column_of(found_.j) : found_.j;
    const NodeId at = itself ? into_.index(found_.j) : copied(found_.coordinate);
    NodeId score = product(found_.others, true, false, kNone);
    score = product(found_.terms, true, true, score);
    score = into_.reduce(ir::ReduceFn::Sum, found_.d, score);
    const NodeId seen = into_.map(Fn::Le, {into_.index(column_), at});
    const NodeId shown = into_.map(Fn::Where, {seen, score, into_.constant(0)});
    NodeId y = into_.reduce(ir::ReduceFn::Sum, column_, product(found_.terms, false, true, shown));
    if (found_.others.negative != found_.terms.negative) y = into_.map(Fn::Neg, {y});
    for (const Factor& factor : found_.others.factors) {
      if (has(graph_, factor.node, found_.d)) continue;
      const NodeId x = copied(factor.node);
      y = factor.inverted ? divide_outside(into_, y, x) : times_outside(into_, y, x);
    }
    if (itself) return y;
    // Beyond its end, a read of the scan is 0.
    const NodeId inside = into_.map(Fn::Lt, {at, into_.size(found_.j)});
    return into_.map(Fn::Where, {inside, y, into_.constant(0)});
  }

 private:
  // The columns of all sums over j itself are one axis: what they share is computed once.
  AxisId column_of(AxisId j) {
    const auto [at, fresh] = columns_.try_emplace(j);
    if (fresh) at->second = copy_axis(into_, graph_, j);
    return at->second;
  }

  NodeId copied(NodeId id) const { return to_[static_cast<std::size_t>(id)]; }

  // `x` times those factors that have the contracted axis, or those that have it not.
  NodeId product(const ir::Product& factors, bool contracted, bool column, NodeId x) {
    for (const Factor& factor : factors.factors) {
      if (has(graph_, factor.node, found_.d) != contracted) continue;
      NodeId y = copied(factor.node);
      if (column && column_ != found_.j)
        y = into_.read(y, {{found_.j, into_.index(column_), kNone}});
      if (x == kNone)
        x = factor.inverted ? into_.map(Fn::Div, {into_.constant(1), y}) : y;
      else
        x = into_.map(factor.inverted ? Fn::Div : Fn::Mul, {x, y});
    }
    return x;
  }

  Builder& into_;
  const std::vector<NodeId>& to_;
  const Graph& graph_;
  const Found& found_;
  std::map<AxisId, AxisId>& columns_;
  AxisId column_ = kNone;
};

std::optional<Graph> spread_one(const Graph& graph, std::map<AxisId, AxisId>& columns) {
  for (NodeId site = 0; site < static_cast<NodeId>(graph.nodes.size()); ++site) {
    const auto found = recognise(graph, site);
    if (!found) continue;
    return replace(graph, site, [&](Builder& into, const std::vector<NodeId>& to) {
      return Rebuild(into, to, graph, *found, columns)();
    });
  }
  return {};
}

}  // namespace

Graph spread_scans(const Graph& graph, const ir::Target&) {
  Graph current = graph;
  std::map<AxisId, AxisId> columns;
  while (std::optional<Graph> next = spread_one(current, columns)) current = std::move(*next);
  return current;
}

}  // namespace fovea::passes
