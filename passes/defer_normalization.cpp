#include "passes/defer_normalization.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "ir/query.h"
#include "ir/worklist.h"
#include "passes/extents.h"
#include "passes/planes.h"
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

constexpr std::size_t kMostTerms = 8;     // more would be a product of sums, multiplied out
constexpr std::size_t kMostDivisors = 8;  // more would be a power by squaring
constexpr std::size_t kMostMaps = 64;     // more would be a sum by doubling

// A value to be made in the new graph, from the new ids of old nodes.
struct Recipe {
  std::function<NodeId(Builder& into, const std::vector<NodeId>& to)> make;
  std::size_t maps = 0;
};

Recipe leaf(NodeId id) {
  return {
      [id](Builder&, const std::vector<NodeId>& to) { return to[static_cast<std::size_t>(id)]; }};
}

Recipe map(Fn fn, std::vector<Recipe> inputs) {
  std::size_t maps = 1;
  for (const Recipe& input : inputs) maps += input.maps;
  const auto make = [fn, inputs = std::move(inputs)](Builder& into, const std::vector<NodeId>& to) {
    std::vector<NodeId> made;
    for (const Recipe& input : inputs) made.push_back(input.make(into, to));
    return into.map(fn, std::move(made));
  };
  return {make, maps};
}

// One term of what is summed over j: numerator * factors / divisors, the latter without j.
struct Term {
  Recipe numerator;
  std::vector<NodeId> factors, divisors;
  bool negative = false;
};
using Terms = std::vector<Term>;

// Whether a value needs a fold over the axis; with `of_plane`, one of a pair plane.
bool folds(const Graph& graph, NodeId root, AxisId axis, bool of_plane) {
  ir::Leaves inputs(graph.nodes.size());
  for (std::size_t id = 0; id < inputs.size(); ++id) inputs[id] = ir::is_input(graph.nodes[id]);
  return ir::needs(graph, root, [&](NodeId id) {
    const auto* reduce = ir::reduce_of(graph.node(id));
    return reduce != nullptr && reduce->axis == axis &&
           (!of_plane || other_axis(graph, id, inputs));
  });
}

// Dividing after the sum costs the points of its result. A normaliser, which is folded over the
// summed axis itself, moves at equal cost too: it lets one walk over the axis do for both. That of
// a plane moves whatever number of features the result has, which only a run may tell.
bool pays(const Graph& graph, NodeId site, NodeId division, AxisId j) {
  const auto& result = graph.node(site).type.axes;
  const ir::Type& inside = graph.node(division).type;
  if (points(graph, result) < points(graph, inside.axes)) return true;
  const auto grows = [&](AxisId axis) { return !inside.has(axis) && !fixed_extent(graph, axis); };
  return folds(graph, graph.node(division).inputs[1], j, std::ranges::any_of(result, grows));
}

// Recognises: what is summed as a sum of terms that each have a divisor, or nothing.
class Recognise {
 public:
  Recognise(const Graph& graph, NodeId site, AxisId j) : graph_(graph), site_(site), j_(j) {}

  std::optional<Terms> operator()(NodeId id) {
    const auto known = seen_.find(id);
    if (known != seen_.end()) return known->second;
    std::optional<Terms> found = terms(id);
    if (found && !is_small(*found)) found.reset();
    seen_.emplace(id, found);
    return found;
  }

 private:
  std::optional<Terms> terms(NodeId id) {
    const Node& node = graph_.node(id);
    const auto* op = ir::map_of(node);
    if (op == nullptr || node.type.dtype != ir::Dtype::F32) return {};
    if (op->fn == Fn::Div) return quotient(id, node);
    if (op->fn == Fn::Mul) return product(node);
    if (op->fn == Fn::Add || op->fn == Fn::Sub) return sum(node, op->fn == Fn::Sub);
    if (op->fn == Fn::Where) return masked(node);
    if (op->fn == Fn::Neg) {
      auto found = (*this)(node.inputs[0]);
      if (found) negate(*found);
      return found;
    }
    return {};
  }

  static bool is_small(const Terms& terms) {
    return terms.size() <= kMostTerms && std::ranges::all_of(terms, [](const Term& term) {
             return term.divisors.size() <= kMostDivisors && term.factors.size() <= kMostDivisors &&
                    term.numerator.maps <= kMostMaps;
           });
  }

  static void negate(Terms& terms) {
    for (Term& term : terms) term.negative = !term.negative;
  }

  bool has_j(NodeId id) const { return graph_.node(id).type.has(j_); }

  std::optional<Terms> quotient(NodeId id, const Node& node) {
    const NodeId x = node.inputs[0], l = node.inputs[1];
    auto found = (*this)(x);
    if (!has_j(l) && has_j(x) && pays(graph_, site_, id, j_)) {
      if (!found) found = Terms{{leaf(x), {}, {}, false}};
      for (Term& term : *found) term.divisors.push_back(l);
    } else if (found) {
      for (Term& term : *found) term.numerator = map(Fn::Div, {term.numerator, leaf(l)});
    }
    return found;
  }

  std::optional<Terms> product(const Node& node) {
    auto left = (*this)(node.inputs[0]), right = (*this)(node.inputs[1]);
    if (left && right && is_square(*left, *right)) return {};
    if (left && right) return multiplied(*left, *right);
    if (!left && !right) return {};
    const NodeId other = node.inputs[left ? 1 : 0];
    Terms& found = left ? *left : *right;
    for (Term& term : found) {
      if (has_j(other)) {
        term.numerator = map(Fn::Mul, {term.numerator, leaf(other)});
      } else {
        term.factors.push_back(other);
      }
    }
    return found;
  }

  // Of a difference, scaled or not: where it cancels, sums of its products cancel to what may be
  // below 0.
  static bool is_square(const Terms& left, const Terms& right) {
    return left.size() > 1 && std::ranges::equal(left, right, {}, &Term::divisors, &Term::divisors);
  }

  static Terms multiplied(const Terms& left, const Terms& right) {
    Terms all;
    for (const Term& x : left) {
      for (const Term& y : right) {
        Term both = x;
        both.numerator = map(Fn::Mul, {x.numerator, y.numerator});
        both.factors.insert(both.factors.end(), y.factors.begin(), y.factors.end());
        both.divisors.insert(both.divisors.end(), y.divisors.begin(), y.divisors.end());
        both.negative = x.negative != y.negative;
        all.push_back(std::move(both));
      }
    }
    return all;
  }

  std::optional<Terms> sum(const Node& node, bool subtracts) {
    auto left = (*this)(node.inputs[0]), right = (*this)(node.inputs[1]);
    if (!left || !right) return {};
    if (subtracts) negate(*right);
    if (left->size() == 1 && right->size() == 1 &&
        left->front().divisors == right->front().divisors) {
      return Terms{over_one_divisor(left->front(), right->front())};
    }
    left->insert(left->end(), right->begin(), right->end());
    return left;
  }

  // a / l - c * b / l is (a - c * b) / l: one sum, not two.
  static Term over_one_divisor(const Term& x, const Term& y) {
    const auto with_factors = [](const Term& term) {
      Recipe recipe = term.numerator;
      for (const NodeId factor : term.factors) recipe = map(Fn::Mul, {recipe, leaf(factor)});
      return recipe;
    };
    const Fn fn = x.negative == y.negative ? Fn::Add : Fn::Sub;
    return {map(fn, {with_factors(x), with_factors(y)}), {}, x.divisors, x.negative};
  }

  std::optional<Terms> masked(const Node& node) {
    const NodeId mask = node.inputs[0], yes = node.inputs[1], no = node.inputs[2];
    const bool keeps = is_number(graph_.node(no), 0);
    if (!keeps && !is_number(graph_.node(yes), 0)) return {};
    auto found = (*this)(keeps ? yes : no);
    if (!found) return {};
    for (Term& term : *found) {
      const Recipe x = term.numerator;
      term.numerator = map(Fn::Where, {leaf(mask), keeps ? x : leaf(yes), keeps ? leaf(no) : x});
    }
    return found;
  }

  const Graph& graph_;
  NodeId site_;
  AxisId j_;
  std::map<NodeId, std::optional<Terms>> seen_;
};

NodeId build(Builder& into, const Graph& graph, const std::vector<NodeId>& to, AxisId j,
             const Terms& terms) {
  NodeId all = kNone;
  for (const Term& term : terms) {
    NodeId y = into.reduce(ir::ReduceFn::Sum, j, term.numerator.make(into, to));
    std::vector<NodeId> factors;
    for (const NodeId id : term.factors) factors.push_back(to[static_cast<std::size_t>(id)]);
    if (!factors.empty()) y = times_outside(into, y, multiply(into, graph, std::move(factors)));
    for (const NodeId id : term.divisors) {
      y = divide_outside(into, y, to[static_cast<std::size_t>(id)]);
    }
    if (all == kNone) {
      all = term.negative ? into.map(Fn::Neg, {y}) : y;
    } else {
      all = into.map(term.negative ? Fn::Sub : Fn::Add, {all, y});
    }
  }
  return all;
}

std::optional<Graph> improve(const Graph& graph) {
  for (NodeId site = 0; site < static_cast<NodeId>(graph.nodes.size()); ++site) {
    const auto* reduce = ir::reduce_of(graph.node(site));
    if (reduce == nullptr || reduce->fn != ir::ReduceFn::Sum) continue;
    const auto found = Recognise(graph, site, reduce->axis)(graph.node(site).inputs[0]);
    if (!found) continue;
    return replace(graph, site, [&](Builder& into, const std::vector<NodeId>& to) {
      return build(into, graph, to, reduce->axis, *found);
    });
  }
  return {};
}

}  // namespace

ir::Graph defer_normalization(const ir::Graph& graph, const ir::Target&) {
  Graph current = graph;
  while (std::optional<Graph> better = improve(current)) current = std::move(*better);
  return current;
}

}  // namespace fovea::passes
