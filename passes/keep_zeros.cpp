#include "passes/keep_zeros.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "ir/build.h"
#include "ir/deciding.h"
#include "ir/query.h"
#include "ir/region.h"
#include "ir/require.h"
#include "ir/rewrite.h"
#include "passes/products.h"
#include "passes/stored.h"

namespace fovea::passes {
namespace {

using ir::Builder;
using ir::Fn;
using ir::Graph;
using ir::kNone;
using ir::Node;
using ir::NodeId;

// Which inputs of a term's part are parts of the term too.
bool passes_on(const Node& node, std::size_t n) {
  if (ir::is_read(node)) return n == 0;
  const auto* map = ir::map_of(node);
  if (!map || !ir::is_float(node.type.dtype)) return false;
  switch (map->fn) {
    case Fn::Mul:
    case Fn::Add:
    case Fn::Sub:
    case Fn::Neg:
    case Fn::Cast: return true;
    case Fn::Div: return n == 0;
    case Fn::Where: return n > 0;
    default: return false;
  }
}

bool is_zero_test(const Graph& graph, NodeId id, NodeId of) {
  const Node& node = graph.node(id);
  return is_map(node, Fn::Eq) && node.inputs[0] == of && is_number(graph.node(node.inputs[1]), 0);
}

// Whether a condition holds only where one does that is as wanted.
template <class Holds>
bool has_conjunct(const Graph& graph, NodeId condition, const Holds& holds) {
  const Node& node = graph.node(condition);
  if (!is_map(node, Fn::And)) return holds(node);
  return has_conjunct(graph, node.inputs[0], holds) || has_conjunct(graph, node.inputs[1], holds);
}

// Which factors 0 has to be kept from: those that are infinite, or NaN, other than by overflow.
class Singular {
 public:
  explicit Singular(const Builder& b) : b_(b) {}

  // Tensors of the user may hold anything. What is computed of them is not suspected for their
  // sake.
  bool operator()(NodeId factor) {
    const Node& node = b_[factor];
    if (ir::is_input(node)) return true;
    if (ir::is_read(node)) return (*this)(node.inputs[0]);
    return has_pole(factor);
  }

  // The same of what is computed alone, with constants that are infinite by themselves or without:
  // exponents are -inf where masks exclude.
  bool has_pole(NodeId id, bool constants = true) {
    const auto known = known_.find({id, constants});
    if (known != known_.end()) return known->second;
    return known_[{id, constants}] = find_pole(id, constants);
  }

 private:
  bool find_pole(NodeId id, bool constants) {
    const Node& node = b_[id];
    if (ir::is_read(node)) return has_pole(node.inputs[0], constants);
    if (const auto number = number_of(node)) return constants && !std::isfinite(*number);
    const auto* map = ir::map_of(node);
    if (!map) return false;
    switch (map->fn) {
      case Fn::Div:
        return has_pole(node.inputs[0], constants) || !is_never_zero(b_, node.inputs[1]);
      case Fn::Rsqrt: return !is_never_zero(b_, node.inputs[0]);
      case Fn::Log:
      case Fn::Log1p:
      case Fn::Pow:
      case Fn::Atanh: return true;
      case Fn::Tanh:
      case Fn::Sigmoid:
      case Fn::Erf:
      case Fn::Sin:
      case Fn::Cos:
      case Fn::Atan: return false;
      case Fn::Exp:
      case Fn::Exp2: return has_pole(node.inputs[0], false);
      default:
        return std::ranges::any_of(node.inputs, [&](NodeId in) { return has_pole(in, constants); });
    }
  }

  const Builder& b_;
  std::map<std::pair<NodeId, bool>, bool> known_;
};

// Whether a result tells nothing of an input that is NaN.
bool swallows_nan(const Graph& graph, const Node& node) {
  if (chooses_places(node)) return true;
  const auto* map = map_of(node);
  const auto is_real = [&](NodeId in) { return ir::is_float(graph.node(in).type.dtype); };
  if (!map || std::ranges::none_of(node.inputs, is_real)) return false;
  return !ir::is_float(node.type.dtype) || map->fn == Fn::Pow;
}

// By node: comparisons that only put a number in the place of another, as the softmax's
// where(m == -inf, 0, m) does, which hands a NaN on.
std::vector<bool> find_replacing(const Graph& graph) {
  std::vector<int> others = ir::count_uses(graph);
  for (const Node& node : graph.nodes) {
    if (!is_map(node, Fn::Where)) continue;
    const Node& test = graph.node(node.inputs[0]);
    if (is_map(test, Fn::Eq) && test.inputs[0] == node.inputs[2])
      --others[static_cast<std::size_t>(node.inputs[0])];
  }
  std::vector<bool> replacing;
  for (const int uses : others) replacing.push_back(uses == 0);
  return replacing;
}

// By node: what a kernel computes and makes something of that hides a NaN, so that nobody sees that
// it has to be computed again.
std::vector<bool> find_swallowed(const Graph& graph) {
  const std::vector<bool> replacing = find_replacing(graph);
  std::vector<bool> all(graph.nodes.size());
  for (const ir::Kernel& kernel : graph.kernels) {
    const std::vector<bool> own = computed_by(graph, kernel);
    std::vector<bool> swallowed(graph.nodes.size());
    for (std::size_t id = graph.nodes.size(); id-- > 0;) {
      const Node& node = graph.nodes[id];
      const bool swallows = swallows_nan(graph, node) && !replacing[id];
      if (!own[id] || !(swallowed[id] || swallows)) continue;
      for (const NodeId input : node.inputs) {
        const auto n = static_cast<std::size_t>(input);
        swallowed[n] = swallowed[n] || own[n];
        all[n] = all[n] || swallowed[n];
      }
    }
  }
  return all;
}

class Rewrite {
 public:
  explicit Rewrite(const Graph& graph)
      : graph_(graph),
        stored_(all_results(graph)),
        swallowed_(find_swallowed(graph)),
        into_(graph) {
    for (const ir::Kernel& kernel : graph.kernels)
      for (const NodeId id : kernel.results)
        if (ir::is_on_plane(graph, kernel, id)) on_planes_.insert(id);
  }

  Graph operator()() {
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); ++id) copy(id);
    if (!changed_) return graph_;
    std::vector<ir::Output> outputs = graph_.outputs;
    for (ir::Output& output : outputs) output.node = copied(output.node);
    std::vector<ir::Kernel> kernels = graph_.kernels;
    for (ir::Kernel& kernel : kernels) {
      for (NodeId* mask : {&kernel.visible, &kernel.solid})
        if (*mask != kNone) *mask = copied(*mask);
      for (NodeId& id : kernel.results) id = zeroed_.contains(id) ? zeroed_[id] : copied(id);
    }
    store_beside(outputs, kernels);
    return into_.finish(std::move(outputs), std::move(kernels));
  }

 private:
  NodeId copied(NodeId id) const { return to_[static_cast<std::size_t>(id)]; }

  void copy(NodeId id) {
    const Node& node = graph_.node(id);
    std::vector<NodeId> inputs;
    for (const NodeId input : node.inputs) inputs.push_back(copied(input));
    const bool sums = is_scan(node) || is_reduce(node, ir::ReduceFn::Sum);
    if (sums && ir::is_float(node.type.dtype))
      inputs[0] = swallowed_[static_cast<std::size_t>(id)] ? parts(node.inputs[0], Says::poles)
                                                           : term(node.inputs[0]);
    changed_ = changed_ || (!inputs.empty() && inputs[0] != copied(node.inputs[0]));
    to_.push_back(into_.copy(node, inputs));
    for (ir::AxisId axis = 0; axis < static_cast<ir::AxisId>(graph_.axes.size()); ++axis)
      if (graph_.axis(axis).degree == id) into_.set_degree(axis, to_.back());
  }

  // A part of a term in the new graph: what is stored is 0 where it should be.
  NodeId term(NodeId id) {
    if (const auto known = terms_.find(id); known != terms_.end()) return known->second;
    const NodeId made = on_planes_.contains(id) ? copied(id)
                        : stored_.contains(id)  ? zeroed(id)
                                                : parts(id, Says::nothing);
    return terms_[id] = made;
  }

  NodeId zeroed(NodeId id) {
    const NodeId made = parts(id, Says::all);
    if (made != copied(id)) zeroed_.emplace(id, made);
    return made;
  }

  // Which products say themselves where they are 0: none, those with a factor that is infinite by its
  // definition, or those with tensors of the user too.
  enum class Says { nothing, poles, all };

  // The value of parts of the term.
  NodeId parts(NodeId id, Says says) {
    const auto known = parts_.find({says, id});
    return known != parts_.end() ? known->second : parts_[{says, id}] = make_parts(id, says);
  }

  NodeId make_parts(NodeId id, Says says) {
    if (says == Says::poles && (stored_.contains(id) || on_planes_.contains(id))) return term(id);
    const bool explicitly = says != Says::nothing;
    if (explicitly && (without_zeros(graph_, id) || is_excluded(id))) return copied(id);
    const Node& node = graph_.node(id);
    std::vector<NodeId> inputs;
    for (std::size_t n = 0; n < node.inputs.size(); ++n) {
      const NodeId input = node.inputs[n];
      if (!passes_on(node, n))
        inputs.push_back(copied(input));
      else
        inputs.push_back(explicitly && !stored_.contains(input) ? parts(input, says) : term(input));
    }
    const bool changed =
        !std::ranges::equal(node.inputs, inputs, {}, [&](NodeId old) { return copied(old); });
    const NodeId plain = changed ? into_.copy(node, inputs) : copied(id);
    return explicitly ? guarded(node, inputs, plain, says) : plain;
  }

  // Which of the two operands of a product or quotient may be 0 beside one that is singular.
  struct Suspects {
    bool first, second;
  };
  Suspects suspects(bool divides, NodeId x, NodeId y, Says says) {
    if (!divides && x == y) return {false, false};
    const auto is_singular = [&](NodeId factor) {
      if (says == Says::all) return is_singular_(factor);
      return !guarded_.contains(factor) && is_singular_.has_pole(factor);
    };
    return {!is_never_zero(into_, x) && (divides ? !is_never_zero(into_, y) : is_singular(y)),
            !divides && !is_never_zero(into_, y) && is_singular(x)};
  }

  // where(… && x != 0, x * y, 0), as simplify makes of where(…, where(x == 0, 0, x * y), 0).
  bool is_excluded(NodeId id) {
    const Node& node = graph_.node(id);
    if (!is_map(node, Fn::Where) || !is_number(graph_.node(node.inputs[2]), 0)) return false;
    const Node& product = graph_.node(node.inputs[1]);
    const bool divides = is_map(product, Fn::Div);
    if (!divides && !is_map(product, Fn::Mul)) return false;
    const auto excludes = [&](NodeId factor) {
      return has_conjunct(graph_, node.inputs[0], [&](const Node& test) {
        return is_map(test, Fn::Ne) && test.inputs[0] == factor &&
               is_number(graph_.node(test.inputs[1]), 0);
      });
    };
    const NodeId x = product.inputs[0], y = product.inputs[1];
    const auto [first, second] = suspects(divides, copied(x), copied(y), Says::all);
    return (!first || excludes(x)) && (!second || excludes(y));
  }

  NodeId guarded(const Node& node, const std::vector<NodeId>& inputs, NodeId product, Says says) {
    const bool divides = is_map(node, Fn::Div);
    if (!ir::is_float(node.type.dtype) || !(divides || is_map(node, Fn::Mul))) return product;
    const NodeId x = inputs[0], y = inputs[1], zero = into_.constant(0);
    const auto [first, second] = suspects(divides, x, y, says);
    if (!first && !second) return product;
    const auto is_zero = [&](NodeId of) { return into_.map(Fn::Eq, {of, zero}); };
    const NodeId none =
        first && second ? into_.map(Fn::Or, {is_zero(x), is_zero(y)}) : is_zero(first ? x : y);
    const NodeId guarded = into_.map(Fn::Where, {none, zero, product});
    guarded_.insert(guarded);
    return guarded;
  }

  // Products that are needed as they are, too.
  void store_beside(const std::vector<ir::Output>& outputs, std::vector<ir::Kernel>& kernels) {
    const std::set<NodeId> live = live_nodes(outputs, kernels);
    for (std::size_t n = 0, count = kernels.size(); n < count; ++n) {
      for (const NodeId id : graph_.kernels[n].results) {
        if (!zeroed_.contains(id) || !live.contains(copied(id))) continue;
        if (kernels[n].row != kNone) {
          kernels[n].results.push_back(copied(id));
        } else {
          ir::Kernel beside = kernels[n];
          beside.results = {copied(id)};
          kernels.push_back(std::move(beside));
        }
      }
    }
  }

  std::set<NodeId> live_nodes(const std::vector<ir::Output>& outputs,
                              const std::vector<ir::Kernel>& kernels) const {
    std::set<NodeId> live;
    std::vector<NodeId> todo;
    for (const ir::Output& output : outputs) todo.push_back(output.node);
    for (const ir::Axis& axis : graph_.axes)
      if (axis.degree != kNone) todo.push_back(copied(axis.degree));
    for (const ir::Kernel& kernel : kernels) {
      todo.insert(todo.end(), kernel.results.begin(), kernel.results.end());
      for (const NodeId mask : {kernel.visible, kernel.solid})
        if (mask != kNone) todo.push_back(mask);
    }
    std::set<NodeId> guards;
    for (const auto& [id, made] : zeroed_)
      if (is_map(into_[made], Fn::Where)) guards.insert(made);
    while (!todo.empty()) {
      const NodeId id = todo.back();
      todo.pop_back();
      if (!live.insert(id).second) continue;
      // The product that is guarded is not for others.
      const NodeId of = guards.contains(id) ? into_[id].inputs[2] : id;
      todo.insert(todo.end(), into_[of].inputs.begin(), into_[of].inputs.end());
    }
    return live;
  }

  const Graph& graph_;
  const std::set<NodeId> stored_;
  const std::vector<bool> swallowed_;
  std::set<NodeId> on_planes_;  // outputs, which are not stored twice
  Builder into_;
  Singular is_singular_{into_};
  std::vector<NodeId> to_;
  std::map<NodeId, NodeId> terms_, zeroed_;  // by old node, in the new graph
  std::map<std::pair<Says, NodeId>, NodeId> parts_;
  std::set<NodeId> guarded_;  // products that say where they are 0
  bool changed_ = false;
};

}  // namespace

Graph keep_zeros(const Graph& graph) {
  const Graph rewritten = Rewrite(graph)();
  if (rewritten == graph) return graph;
  auto ordered = in_order(rewritten, rewritten.kernels);
  invariant(ordered.has_value(), "stored products do not need each other in a circle");
  return ir::with_kernels(rewritten, std::move(*ordered));
}

// where(x == 0, 0, x * y) or where(x == 0 || y == 0, 0, x * y) or where(x == 0, 0, x / y)
std::optional<NodeId> without_zeros(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!is_map(node, Fn::Where) || !is_number(graph.node(node.inputs[1]), 0)) return {};
  const Node& product = graph.node(node.inputs[2]);
  const Node& none = graph.node(node.inputs[0]);
  const bool divides = is_map(product, Fn::Div), multiplies = is_map(product, Fn::Mul);
  if (!divides && !multiplies) return {};
  const auto tests = [&](NodeId test, std::size_t n) {
    return is_zero_test(graph, test, product.inputs[n]);
  };
  const bool guards =
      tests(node.inputs[0], 0) || (multiplies && tests(node.inputs[0], 1)) ||
      (multiplies && is_map(none, Fn::Or) && tests(none.inputs[0], 0) && tests(none.inputs[1], 1));
  return guards ? std::optional(node.inputs[2]) : std::nullopt;
}

}  // namespace fovea::passes
