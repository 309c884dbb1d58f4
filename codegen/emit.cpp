#include <Halide.h>

#include <algorithm>
#include <string>
#include <utility>

#include "codegen/emit.h"
#include "codegen/enclosed.h"
#include "codegen/multiply_adds.h"
#include "ir/deciding.h"
#include "ir/query.h"
#include "ir/ranges.h"
#include "ir/region.h"
#include "ir/require.h"

namespace fovea::codegen {

using Halide::Expr;
using namespace ir;

namespace {

// Arithmetic on integers and bools with more decisions becomes one call.
constexpr int kMostDecisions = 64;

// What Halide's passes try to see through: they take time with the third power of how many there
// are. Sums and products, which they take as they are, may be as long as they like.
bool is_decision(const Node& node, Fn fn) {
  return node.type.dtype == Dtype::Bool || fn == Fn::Where || fn == Fn::Min || fn == Fn::Max;
}

// Functions of integers and bools that give such. What compares or rounds floats stays outside, with
// what is done for NaN there.
bool is_whole(const Graph& graph, const Node& node) {
  const auto is_real = [&](NodeId id) { return is_float(graph.node(id).type.dtype); };
  return is_map(node) && !is_float(node.type.dtype) && std::ranges::none_of(node.inputs, is_real);
}

// How many decisions arithmetic makes, those used again counted again.
std::vector<int> count_decisions(const Graph& graph) {
  std::vector<int> counts;
  for (const Node& node : graph.nodes) {
    const bool whole = is_whole(graph, node);
    int count = whole && is_decision(node, std::get<Map>(node.op).fn) ? 1 : 0;
    for (const NodeId input : node.inputs)
      if (whole) count = std::min(count + counts[input], 2 * kMostDecisions);
    counts.push_back(count);
  }
  return counts;
}

}  // namespace

Halide::Var var(AxisId axis) { return Halide::Var("a" + std::to_string(axis)); }

Emitter::Emitter(const Graph& graph, bool exact)
    : graph_(graph),
      exact_(exact),
      overflow_(ir::overflow(graph)),
      decides_(deciding(graph)),
      decisions_(count_decisions(graph)) {}

Expr rounded(const Expr& x) {
  using Halide::Internal::Call;
  const Expr mark = Call::make(Halide::Int(32), std::string(kRounded), {}, Call::PureExtern);
  return Halide::reinterpret<float>(Halide::reinterpret<int>(x) | mark);
}

Halide::Type Emitter::type(Dtype dtype) const {
  if (dtype == Dtype::Bool) return Halide::Bool();
  if (!is_float(dtype)) return Halide::Int(32);
  return exact_ ? Halide::Float(64) : Halide::Float(32);
}

Expr Emitter::number(double x) const { return Halide::Internal::make_const(type(Dtype::F32), x); }

ScopePtr Emitter::scope() const {
  auto result = std::make_shared<Scope>();
  result->at.resize(graph_.axes.size());
  return result;
}

ScopePtr Emitter::with(const ScopePtr& scope, AxisId axis, Expr at) const {
  auto result = std::make_shared<Scope>();
  result->at = scope->at;
  result->moved = scope->moved;
  result->at[axis] = std::move(at);
  return result;
}

Expr Emitter::value(NodeId id, const ScopePtr& scope, bool annihilating) {
  annihilating = annihilating && exact_;
  const auto key = std::make_pair(id, annihilating);
  if (const auto known = scope->memo.find(key); known != scope->memo.end()) return known->second;
  Expr result = resolve(id, scope);
  if (!result.defined())
    result = compute(id, scope, annihilating);
  else if (graph_.node(id).type.dtype == Dtype::Bool)
    scope->confined.insert(id);
  if (decides(id) && is_map(graph_.node(id)) && result.type() == Halide::Float(32))
    result = rounded(result);
  return scope->memo[key] = result;
}

Expr Emitter::compute(NodeId id, const ScopePtr& scope, bool annihilating) {
  const Node& node = graph_.node(id);
  return match(
      node.op,
      [&](const Constant& op) -> Expr {
        if (!is_float(node.type.dtype)) scope->confined.insert(id);
        if (node.type.dtype == Dtype::Bool)
          return op.value != 0 ? Halide::Internal::const_true() : Halide::Internal::const_false();
        if (node.type.dtype == Dtype::I32) return Expr(static_cast<std::int32_t>(op.value));
        return number(op.value);
      },
      [&](const Index& op) -> Expr {
        invariant(scope->at[op.axis].defined(), "an index has no coordinate here");
        scope->confined.insert(id);
        return scope->at[op.axis];
      },
      [&](const Map&) -> Expr {
        return is_enclosed(id) ? enclosed(id, scope) : map(id, scope, annihilating);
      },
      [&](const Read&) -> Expr { return read(id, scope, annihilating); },
      [&](const Input&) -> Expr { return invariant(false, "an input was not resolved"), Expr(); },
      [&](const Reduce&) -> Expr { return multiple(id, scope, annihilating); },
      [&](const Scan&) -> Expr { return invariant(false, "a scan was not resolved"), Expr(); },
      [&](const TopK&) -> Expr { return invariant(false, "a top-k was not resolved"), Expr(); });
}

Expr Emitter::map(NodeId id, const ScopePtr& scope, bool annihilating) {
  const Node& node = graph_.node(id);
  const Fn fn = std::get<Map>(node.op).fn;
  // Which inputs stay in the context of a sum's term.
  const auto passes_on = [&](std::size_t n) {
    switch (fn) {
      case Fn::Mul:
      case Fn::Add:
      case Fn::Sub:
      case Fn::Neg: return true;
      case Fn::Div: return n == 0;
      case Fn::Where: return n > 0;
      case Fn::Cast: return node.type.dtype == Dtype::F32;
      default: return false;
    }
  };
  std::vector<Expr> x;
  for (std::size_t n = 0; n < node.inputs.size(); n++)
    x.push_back(value(node.inputs[n], scope, annihilating && passes_on(n)));
  if (annihilating && is_float(node.type.dtype) && (fn == Fn::Mul || fn == Fn::Div)) {
    for (Expr& e : x) e = Halide::cast(type(Dtype::F32), e);
    const Expr zero = number(0);
    const Expr none = fn == Fn::Mul ? x[0] == zero || x[1] == zero : x[0] == zero;
    return Halide::select(none, zero, fn == Fn::Mul ? x[0] * x[1] : x[0] / x[1]);
  }
  return with_ends(id, scope, of(id, std::move(x)));
}

Expr Emitter::of(NodeId id, std::vector<Expr> x) const {
  const Node& node = graph_.node(id);
  const Fn fn = std::get<Map>(node.op).fn;
  if (overflow_.wraps[id]) return wrapping(fn, x);
  for (std::size_t n = 0; n < x.size(); n++)
    if ((overflow_.opaque[id] >> n & 1) != 0) x[n] = hidden(x[n]);
  return apply(fn, std::move(x), node.type.dtype, exact_);
}

bool Emitter::is_enclosed(NodeId id) const {
  return decisions_[id] > kMostDecisions && is_whole(graph_, graph_.node(id));
}

Expr Emitter::marked(NodeId result, const Leaves& leaves, const Expr& x, const ScopePtr& scope) {
  const std::vector<NodeId> conditions = hidden_by(graph_, result, leaves);
  if (exact_ || conditions.empty() || !x.type().is_float()) return x;
  Expr wrong = x == -std::numeric_limits<float>::infinity();
  for (const NodeId id : conditions) wrong = wrong && truth(id, scope);
  return Halide::select(wrong, not_trusted(), x);
}

Expr Emitter::truth(NodeId id, const ScopePtr& scope) {
  const Expr x = value(id, scope);
  return x.type().is_bool() ? x : x != Halide::Internal::make_zero(x.type());
}

Expr not_trusted() { return Halide::reinterpret<float>(Expr(0x7fc00000)); }

// What does not belong to it is its argument.
Expr Emitter::enclosed(NodeId root, const ScopePtr& scope) {
  const std::string name = Halide::Internal::unique_name("part");
  std::vector<std::string> names;
  std::vector<Expr> arguments;
  std::map<NodeId, Expr> made;
  const auto argument = [&](const Expr& x) {
    if (Halide::Internal::is_const(x)) return x;
    names.push_back(name + "_" + std::to_string(names.size()));
    arguments.push_back(x);
    return Halide::Internal::Variable::make(x.type(), names.back());
  };
  const auto build = [&](const auto& self, NodeId id) -> Expr {
    if (const auto known = made.find(id); known != made.end()) return known->second;
    const Node& node = graph_.node(id);
    const Expr elsewhere = id == root || !is_whole(graph_, node) ? Expr() : resolve(id, scope);
    if (!is_whole(graph_, node) || elsewhere.defined()) {
      const bool outer = std::exchange(encloses, false);
      const Expr x = elsewhere.defined() ? elsewhere : value(id, scope);
      encloses = outer;
      return made[id] = argument(x);
    }
    std::vector<Expr> x;
    for (const NodeId input : node.inputs) x.push_back(self(self, input));
    return made[id] = of(id, std::move(x));
  };
  const bool outer = std::exchange(encloses, true);
  const Expr body = build(build, root);
  encloses = outer;
  if (graph_.node(root).type.dtype == Dtype::Bool) scope->confined.insert(root);
  return arguments.empty() ? body : enclose(body, names, arguments);
}

// A sum of the same value again and again.
Expr Emitter::multiple(NodeId id, const ScopePtr& scope, bool annihilating) {
  invariant(is_multiple(graph_, id), "a reduction was not resolved");
  const Node& node = graph_.node(id);
  const AxisId axis = std::get<Reduce>(node.op).axis;
  const NodeId degree = graph_.axis(axis).degree;
  const Expr count = degree == kNone ? extent(axis) : hidden(Halide::max(value(degree, scope), 0));
  const Halide::Type wide = type(node.type.dtype);
  const Expr term = value(node.inputs[0], scope, annihilating);
  const Expr each = Halide::cast(wide, overflow_.opaque[id] != 0 ? hidden(term) : term);
  if (degree == kNone && !overflow_.wraps[id] && overflow_.opaque[id] == 0 &&
      scope->confined.contains(node.inputs[0]))
    scope->confined.insert(id);
  return overflow_.wraps[id] ? wrapping(Fn::Mul, {each, count}) : each * Halide::cast(wide, count);
}

// Halide asks of all that something may be indexed by between which ends it lies. Where it knows
// one end of a value and not the other its simplifier fails, as the infinite one has no type: so it
// knows both or none. What may have one alone, as the lesser of a loaded number and an index, is
// hidden; so are integers that were floats, or that a comparison of floats chooses.
Expr Emitter::with_ends(NodeId id, const ScopePtr& scope, const Expr& x) const {
  const Node& node = graph_.node(id);
  if (is_float(node.type.dtype)) return x;
  const auto has_both = [&](NodeId input) { return scope->confined.contains(input); };
  const bool knows = !overflow_.wraps[id] && overflow_.opaque[id] == 0;
  if (knows && std::ranges::all_of(node.inputs, has_both)) {
    scope->confined.insert(id);
    return x;
  }
  if (node.type.dtype == Dtype::Bool || overflow_.wraps[id]) return x;
  const Fn fn = std::get<Map>(node.op).fn;
  const bool keeps = fn == Fn::Add || fn == Fn::Sub || fn == Fn::Mul || fn == Fn::Neg;
  const bool of_integers = std::ranges::all_of(node.inputs, [&](NodeId input) {
    return has_both(input) || is_integer(graph_.node(input).type.dtype);
  });
  return keeps && of_integers ? x : hidden(x);
}

Expr Emitter::read(NodeId id, const ScopePtr& scope, bool annihilating) {
  const Node& node = graph_.node(id);
  const Read& op = std::get<Read>(node.op);
  const ScopePtr there = std::make_shared<Scope>();
  there->at = scope->at;
  there->moved = true;
  // What is read may itself be a sum of reads, which is not 0 where one of them is.
  std::vector<Expr>* const collected = std::exchange(guards, nullptr);
  std::vector<std::pair<Expr, NodeId>> conditions;  // inside, otherwise
  std::size_t next = 1;
  std::vector<std::pair<Expr, AxisId>> coordinates;
  for (const Read::Coordinate& at : op.at) {
    const NodeId coordinate = node.inputs[next++];
    const NodeId otherwise = at.otherwise ? node.inputs[next++] : kNone;
    Expr where = Halide::cast<int>(value(coordinate, scope));
    // Halide moves its terms to the bounds of the axis.
    if (!may_move(overflow_.reaches[coordinate], reach_of_index(graph_.axis(at.axis))))
      where = hidden(where);
    const NodeId degree = graph_.axis(at.axis).degree;
    const Expr bound = degree == kNone ? extent(at.axis) : value(degree, there);
    // What is read may be computed for all coordinates that can occur: a degree alone bounds none.
    const Expr last = degree == kNone ? bound : Halide::min(bound, extent(at.axis));
    there->at[at.axis] = Halide::clamp(where, 0, Halide::max(last, 1) - 1);
    if (checked[id] && !at.otherwise) continue;
    const Expr inside = where >= 0 && where < bound;
    const Type& varies = graph_.node(coordinate).type;
    const bool same =
        collected && otherwise == kNone && std::ranges::all_of(varies.axes, [&](AxisId a) {
          return std::ranges::find(uniform, a) != uniform.end();
        });
    if (same)
      collected->push_back(inside);
    else
      conditions.emplace_back(inside, otherwise);
  }
  Expr result = value(node.inputs[0], there, annihilating);
  for (auto at = conditions.rbegin(); at != conditions.rend(); ++at) {
    const Expr other = at->second == kNone
                           ? Halide::Internal::make_zero(result.type())
                           : Halide::cast(result.type(), value(at->second, scope, annihilating));
    result = Halide::select(at->first, result, other);
  }
  guards = collected;
  const auto has_ends = [&](NodeId input) { return scope->confined.contains(input); };
  if (there->confined.contains(node.inputs[0]) &&
      std::all_of(node.inputs.begin() + 1, node.inputs.end(), has_ends))
    scope->confined.insert(id);
  return result;
}

}  // namespace fovea::codegen
