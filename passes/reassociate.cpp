#include "passes/reassociate.h"

#include <algorithm>
#include <map>
#include <optional>

#include "ir/query.h"
#include "passes/extents.h"
#include "passes/products.h"

namespace fovea::passes {
namespace {

using ir::AxisId;
using ir::Builder;
using ir::Fn;
using ir::Graph;
using ir::kNone;
using ir::Node;
using ir::NodeId;

// x * y * ... / l / ..., where the same value may stand several times.
struct Product {
  std::vector<NodeId> factors;
  std::vector<NodeId> divisors;
  bool negative = false;
  std::size_t size() const { return factors.size() + divisors.size(); }
};

// Longer products are powers by squaring, which nobody wants unrolled.
constexpr std::size_t kLongest = 16;

bool add_factors(const Graph& graph, NodeId id, Product& product) {
  const Node& node = graph.node(id);
  const bool is_float = node.type.dtype == ir::Dtype::F32;
  if (is_float && is_map(node, Fn::Mul)) {
    return add_factors(graph, node.inputs[0], product) &&
           add_factors(graph, node.inputs[1], product);
  }
  if (is_float && is_map(node, Fn::Div)) {
    product.divisors.push_back(node.inputs[1]);
    return add_factors(graph, node.inputs[0], product);
  }
  if (is_float && is_map(node, Fn::Neg)) {
    product.negative = !product.negative;
    return add_factors(graph, node.inputs[0], product);
  }
  product.factors.push_back(id);
  return product.size() <= kLongest;
}

std::optional<Product> product_of(const Graph& graph, NodeId id) {
  Product product;
  if (!add_factors(graph, id, product)) return {};
  return product;
}

// A sum over an axis that has one extent.
std::optional<AxisId> summed_axis(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* reduce = ir::reduce_of(node);
  if (reduce == nullptr || reduce->fn != ir::ReduceFn::Sum) return {};
  if (node.type.dtype != ir::Dtype::F32 || graph.axis(reduce->axis).degree != kNone) return {};
  return reduce->axis;
}

// Those with an axis, and those without.
struct Split {
  Product with, without;
};

Split split(const Graph& graph, const Product& product, AxisId axis) {
  Split parts;
  const auto part = [&](NodeId id) -> Product& {
    return graph.node(id).type.has(axis) ? parts.with : parts.without;
  };
  for (const NodeId id : product.factors) part(id).factors.push_back(id);
  for (const NodeId id : product.divisors) part(id).divisors.push_back(id);
  parts.without.negative = product.negative;
  return parts;
}

// sum(j, with * without * sum(d, inner)), the last part only if there is one.
struct Found {
  NodeId site = kNone;
  AxisId j = kNone;
  Split outer;
  AxisId d = kNone;
  Split inner;           // by j
  bool renames = false;  // d stands for something else outside of the inner sum
};

void recognise_pull(const Graph& graph, NodeId site, AxisId j, const Product& product,
                    std::vector<Found>& found) {
  Found pull{site, j, split(graph, product, j), kNone, {}, false};
  if (!pull.outer.without.factors.empty() && !pull.outer.with.factors.empty()) {
    found.push_back(std::move(pull));
  }
}

void recognise_exchange(const Graph& graph, NodeId site, AxisId j, const Product& product,
                        std::size_t nth, std::vector<Found>& found) {
  const NodeId factor = product.factors[nth];
  const auto d = summed_axis(graph, factor);
  if (!d || *d == j || !graph.node(factor).type.has(j)) return;
  const auto inner = product_of(graph, graph.node(factor).inputs[0]);
  if (!inner) return;
  Product others = product;
  others.factors.erase(others.factors.begin() + static_cast<std::ptrdiff_t>(nth));
  Found exchange{site, j, split(graph, others, j), *d, split(graph, *inner, j), false};
  if (exchange.inner.without.factors.empty() || exchange.inner.with.factors.empty()) return;
  const auto has_d = [&](NodeId id) { return graph.node(id).type.has(*d); };
  exchange.renames = std::ranges::any_of(exchange.outer.with.factors, has_d) ||
                     std::ranges::any_of(exchange.outer.with.divisors, has_d);
  found.push_back(std::move(exchange));
}

// Everything that could be done to one sum.
std::vector<Found> recognise(const Graph& graph, NodeId site) {
  std::vector<Found> found;
  const auto j = summed_axis(graph, site);
  if (!j) return found;
  const auto product = product_of(graph, graph.node(site).inputs[0]);
  if (!product) return found;
  for (std::size_t n = 0; n < product->factors.size(); ++n) {
    recognise_exchange(graph, site, *j, *product, n, found);
  }
  recognise_pull(graph, site, *j, *product, found);
  return found;
}

// Puts what was found together in the new graph.
class Rebuild {
 public:
  Rebuild(Builder& into, const std::vector<NodeId>& to, const Graph& graph, const Found& found)
      : into_(into), to_(to), graph_(graph), found_(found) {}

  NodeId operator()() {
    NodeId y = found_.d == kNone ? pulled() : exchanged();
    const Product& outside = found_.outer.without;
    const bool negative = outside.negative != found_.inner.without.negative;
    if (negative) y = into_.map(Fn::Neg, {y});
    if (!outside.factors.empty()) {
      y = times_outside(into_, y, multiply(into_, graph_, copied(outside.factors)));
    }
    for (const NodeId l : copied(outside.divisors)) y = divide_outside(into_, y, l);
    return y;
  }

 private:
  NodeId pulled() { return into_.reduce(ir::ReduceFn::Sum, found_.j, value(found_.outer.with)); }

  NodeId exchanged() {
    const AxisId d = found_.renames ? copy_axis(into_, graph_, found_.d) : found_.d;
    const auto rename = [&](std::vector<NodeId> ids) {
      ids = copied(std::move(ids));
      if (d == found_.d) return ids;
      for (NodeId& id : ids) id = into_.read(id, {{found_.d, into_.index(d)}});
      return ids;
    };
    std::vector<NodeId> columns = rename(found_.inner.with.factors);
    for (const NodeId id : copied(found_.outer.with.factors)) columns.push_back(id);
    std::vector<NodeId> column_divisors = rename(found_.inner.with.divisors);
    for (const NodeId id : copied(found_.outer.with.divisors)) column_divisors.push_back(id);
    const NodeId inner =
        into_.reduce(ir::ReduceFn::Sum, found_.j, divided(std::move(columns), column_divisors));
    std::vector<NodeId> rows = rename(found_.inner.without.factors);
    // The divisors first, while they divide rows only.
    std::vector<NodeId> product{divided(std::move(rows), rename(found_.inner.without.divisors)),
                                inner};
    return into_.reduce(ir::ReduceFn::Sum, d, multiply(into_, graph_, std::move(product)));
  }

  std::vector<NodeId> copied(std::vector<NodeId> ids) const {
    for (NodeId& id : ids) id = to_[static_cast<std::size_t>(id)];
    return ids;
  }

  NodeId divided(std::vector<NodeId> factors, const std::vector<NodeId>& divisors) {
    NodeId x = multiply(into_, graph_, std::move(factors));
    for (const NodeId l : divisors) x = into_.map(Fn::Div, {x, l});
    return x;
  }
  NodeId value(const Product& product) {
    return divided(copied(product.factors), copied(product.divisors));
  }

  Builder& into_;
  const std::vector<NodeId>& to_;
  const Graph& graph_;
  const Found& found_;
};

// The first change that pays, if any does.
std::optional<Graph> improve(const Graph& graph, double usual) {
  const double before = operations(graph).at_usual(usual);
  for (NodeId site = 0; site < static_cast<NodeId>(graph.nodes.size()); ++site) {
    for (const Found& found : recognise(graph, site)) {
      Graph after = replace(graph, site, [&](Builder& into, const std::vector<NodeId>& to) {
        return Rebuild(into, to, graph, found)();
      });
      if (operations(after).at_usual(usual) < before) return after;
    }
  }
  return {};
}

Graph reassociate_for(const Graph& graph, double usual) {
  Graph current = graph;
  while (std::optional<Graph> better = improve(current, usual)) current = std::move(*better);
  return current;
}

}  // namespace

ir::Graph reassociate(const ir::Graph& graph, const ir::Target&) {
  return reassociate_for(graph, kUsualExtent);
}

ir::Graph reassociate_short(const ir::Graph& graph, const ir::Target&) {
  constexpr double kShort = 16;
  return reassociate_for(graph, kShort);
}

}  // namespace fovea::passes
