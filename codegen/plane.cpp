// What becomes a panel or a contraction, and their definitions (codegen/plane.h).
#include <Halide.h>

#include "codegen/plane.h"

#include <algorithm>
#include <limits>
#include <span>
#include <tuple>
#include <utility>

#include "ir/carry.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea::codegen {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;
using Kind = runtime::Argument::Kind;

Plane::Plane(TiledContext& context, TiledFunctions& functions, bool revisit)
    : context_(context),
      functions_(functions),
      revisit_(revisit),
      graph_(context.source.graph),
      kernel_(context.kernel),
      tiling_(context.tiling),
      signature_(graph_, context.source.places),
      emitter_(graph_, false),
      row_(kernel_.row),
      column_(kernel_.column),
      unbounded_{row_, column_},
      stages_(context, signature_) {
  emitter_.extent = [this](AxisId axis) { return signature_.extent(axis); };
  emitter_.checked = context.source.checked;
  emitter_.uniform = context.region.batch;
  emitter_.resolve = [this](NodeId id, const ScopePtr& scope) { return resolve(id, scope); };
  here_ = signature_.number(Kind::here, 0, "here");
  clear_ = signature_.number(Kind::clear, 0, "clear");
  first_row_ = signature_.number(Kind::row, 0, "row");
  blocks_ = signature_.buffer(0, Halide::Int(32), {-1}, Kind::blocks);
}

Function Plane::build() {
  plan();
  if (!revisit_) {
    for (const PlaneReduction& reduction : context_.region.reductions) {
      if (reduction.over_columns)
        over_columns(reduction);
      else
        over_rows(reduction);
    }
    merge();
  }
  for (const NodeId result : context_.plane_results(revisit_)) store(result);
  Function function;
  function.name = context_.source.name + (revisit_ ? "_revisit" : "");
  function.outputs = outputs_;
  function.halide = signature_.halide();
  function.arguments = signature_.runtime();
  return function;
}

bool Plane::on_plane(NodeId id) const {
  const Type& type = graph_.node(id).type;
  return type.has(row_) && type.has(column_);
}

// Halide wants to know how far a block can lie; the executor lists only blocks of the plane.
Expr Plane::block(const Expr& n) {
  const Expr last = (signature_.extent(column_) - 1) / tiling_.block;
  return promised(blocks_(signature_.within(n, 0, here_ - 1)), 0, last);
}

Point Plane::point(const Expr& r, const Expr& j, const Expr& n, const std::vector<AxisId>& inner) {
  Point p{r, j, n, context_.scope(emitter_, signature_, r)};
  p.scope->at[column_] = column(j, n);
  for (const AxisId axis : inner)
    p.scope->at[axis] = context_.coordinate(signature_, axis, var(axis));
  return p;
}

// What a condition is in blocks that need no mask, if that is known.
std::optional<bool> Plane::when_clear(NodeId id) const {
  return when_solid(graph_, kernel_.solid, id);
}

Split Plane::split(const PlaneReduction& reduction) const {
  const Node& node = graph_.node(reduction.node);
  Product product = product_of(graph_, node.inputs[0], context_.source.leaves);
  Split result;
  if (std::get<Reduce>(node.op).fn != ReduceFn::Sum || !is_float(node.type.dtype))
    product = {{{node.inputs[0], false}}, false};
  std::set<AxisId> on_panel;
  for (const Factor& factor : product.factors)
    if (on_plane(factor.node))
      for (const AxisId axis : graph_.node(factor.node).type.axes) on_panel.insert(axis);
  for (const AxisId axis : context_.other_axes(node.type))
    if (!on_panel.contains(axis)) result.features.push_back(axis);
  for (const Factor& factor : product.factors) {
    const Type& type = graph_.node(factor.node).type;
    const bool brings = std::ranges::any_of(result.features, [&](AxisId a) { return type.has(a); });
    // A fold without features multiplies as cheaply as it adds: then several can share a panel.
    const bool weighs = reduction.over_columns && result.features.empty() &&
                        is_column(factor.node) && !on_panel.empty();
    if (brings || weighs)
      result.others.push_back(factor);
    else
      result.panel.factors.emplace_back(factor.node, factor.inverted);
  }
  std::ranges::sort(result.panel.factors);
  result.panel.negative = product.negative;
  if (followed(reduction.node)) result.panel.scale = context_.kept_scale(reduction.node);
  return result;
}

PanelKey Plane::stored_panel(NodeId result) const {
  const Node& node = graph_.node(result);
  if (node.type.dtype != Dtype::F32) return single(result);
  const Product product = product_of(graph_, result, context_.source.leaves);
  PanelKey key;
  for (const Factor& factor : product.factors)
    key.factors.emplace_back(factor.node, factor.inverted);
  std::ranges::sort(key.factors);
  key.negative = product.negative;
  return key;
}

// Contractions inside others, and those that several panels need, are panels themselves; so are
// values that decide here and in other kernels.
void Plane::plan() {
  if (!revisit_)
    for (const PlaneReduction& reduction : context_.region.reductions)
      wanted_.insert(split(reduction).panel);
  // The conditions of what is stored are evaluated again outside of the loops of its panel.
  std::set<NodeId> in_conditions;
  for (const NodeId result : context_.plane_results(revisit_)) {
    wanted_.insert(stored_panel(result));
    std::set<NodeId> seen, found;
    for (const NodeId condition : hidden_by(graph_, result, context_.source.leaves))
      find_contractions(condition, false, found, in_conditions, seen, true);
  }
  for (const NodeId id : in_conditions) wanted_.insert(single(id));
  for (bool changed = true; changed;) {
    changed = false;
    std::map<NodeId, int> users;
    std::set<NodeId> nested;
    for (const PanelKey& key : wanted_) {
      std::set<NodeId> seen, found;
      for (const auto& [node, inverted] : key.factors)
        find_contractions(node, key.factors.size() == 1, found, nested, seen, false);
      for (const NodeId id : found) users[id]++;
    }
    // Values as a whole first: what they are made of may then have one user.
    const auto want = [&](bool whole) {
      for (const auto& [id, count] : users)
        if (count > 1 && context_.alike[static_cast<std::size_t>(id)] == whole)
          changed |= wanted_.insert(single(id)).second;
    };
    want(true);
    if (!changed) want(false);
    for (const NodeId id : nested) changed |= wanted_.insert(single(id)).second;
  }
}

void Plane::find_contractions(NodeId id, bool root, std::set<NodeId>& found,
                              std::set<NodeId>& nested, std::set<NodeId>& seen, bool inside) const {
  if (!seen.insert(id).second || context_.source.leaves[id] || !on_plane(id)) return;
  if (!root && panel_of(id)) return;
  const Node& node = graph_.node(id);
  if (const auto exponent = stabilised(graph_, id);
      exponent && followed(exponent->maximum) && !revisit_)
    return;
  const bool fold = is_reduce(node);
  // What other kernels compute too is computed as a whole.
  const bool whole = !root && context_.alike[static_cast<std::size_t>(id)];
  if ((fold || whole) && inside) {
    nested.insert(id);
    return;
  }
  if (fold || whole) found.insert(id);
  for (const NodeId input : node.inputs)
    find_contractions(input, false, found, nested, seen, inside || fold);
}

// A wanted panel that holds this node times a constant.
const PanelKey* Plane::panel_of(NodeId id) const {
  const PanelKey* best = nullptr;
  for (const PanelKey& key : wanted_)
    if (key.factors.size() == 1 && key.factors[0].first == id && !key.factors[0].second &&
        !key.negative)
      if (!best || key.scale == 1) best = &key;
  return best;
}

Plane::Surroundings Plane::step_out() {
  return {std::exchange(point_, {}),
          std::exchange(assumed_, {}),
          std::exchange(unbounded_, {row_, column_}),
          std::exchange(emitter_.guards, nullptr),
          std::exchange(defining_, kNone),
          std::exchange(natural_, false),
          std::exchange(partial_, false)};
}

void Plane::step_back(const Surroundings& surroundings) {
  point_ = surroundings.point;
  assumed_ = surroundings.assumed;
  unbounded_ = surroundings.unbounded;
  emitter_.guards = surroundings.guards;
  defining_ = surroundings.defining;
  natural_ = surroundings.natural;
  partial_ = surroundings.partial;
}

const Panel& Plane::panel(const PanelKey& key) {
  if (const auto known = panels_.find(key); known != panels_.end()) return known->second;
  const Surroundings outer = step_out();
  const std::set<std::string> outer_used = used_;
  Stages outer_stages(context_, signature_);
  std::swap(outer_stages, stages_);
  Panel result;
  result.func = Func("panel" + std::to_string(panel_count_++));
  std::set<AxisId> inner;
  for (const auto& [node, inverted] : key.factors)
    for (const AxisId axis : context_.other_axes(graph_.node(node).type)) inner.insert(axis);
  result.inner.assign(inner.begin(), inner.end());

  const Var r("r"), j("j"), n("n");
  const Pieces all = walk(Expr(0), "n" + std::to_string(panels_.size()));
  std::vector<Expr> at{r, all.j, all.n};
  std::vector<Var> vars{r, j, n};
  for (const AxisId axis : result.inner) {
    at.push_back(var(axis));
    vars.push_back(var(axis));
  }
  // Where every mask holds first, then the mask over the blocks that need it.
  std::set<NodeId> conditions, seen;
  for (const auto& [node, inverted] : key.factors)
    find_masks(node, key.factors.size() == 1, conditions, seen);
  const Pieces partial = walk(clear_, "m" + std::to_string(panels_.size()));
  const auto evaluate = [&](std::map<NodeId, bool> assumed, const Pieces& blocks) {
    assumed_ = std::move(assumed);
    point_ = point(r, blocks.j, blocks.n, result.inner);
    partial_ = &blocks == &partial;
    defining_ = key.factors.size() == 1 ? key.factors[0].first : kNone;
    used_.clear();
    const Expr value = product(key);
    assumed_.clear();
    return value;
  };
  std::optional<Expr> masked;
  std::map<NodeId, bool> assumed;
  if (conditions.size() == 1) {
    const NodeId mask = *conditions.begin();
    const bool clear = *when_clear(mask);
    const Expr hidden = evaluate({{mask, !clear}}, partial);
    if (used_.empty()) masked = hidden, assumed.emplace(mask, clear);
  }
  const Expr value = evaluate(assumed, all);
  std::vector<Definition> definitions{{all.dom, used_, false}};
  Func& f = result.func;
  f(vars) = Halide::undef(value.type());
  f(at) = value;
  if (masked) {
    std::vector<Expr> there = at;
    there[1] = partial.j;
    there[2] = partial.n;
    point_ = point(r, partial.j, partial.n, result.inner);
    partial_ = true;
    used_.clear();
    Expr shown = emitter_.truth(*conditions.begin(), point_.scope);
    if (!*when_clear(*conditions.begin())) shown = !shown;
    f(there) = Halide::select(shown, f(there), Halide::cast(value.type(), *masked));
    definitions.push_back({partial.dom, used_, true});
  }
  step_back(outer);
  schedule_panel(result, definitions);
  used_ = outer_used;
  stages_ = std::move(outer_stages);
  return panels_.emplace(key, std::move(result)).first->second;
}

Expr Plane::product(const PanelKey& key) {
  double scale = key.negative ? -key.scale : key.scale;
  if (key.factors.size() == 1 && !key.factors[0].second) {
    const Node& node = graph_.node(key.factors[0].first);
    if (scale != 1) return scaled(key.factors[0].first, scale, point_.scope);
    const Expr x = emitter_.value(key.factors[0].first, point_.scope);
    return x.type().is_bool() && is_float(node.type.dtype) ? Halide::cast<float>(x) : x;
  }
  Expr result;
  for (const auto& [node, inverted] : key.factors) {
    const bool takes = scale != 1 && !inverted;
    const Expr x = Halide::cast<float>(takes ? scaled(node, scale, point_.scope)
                                             : emitter_.value(node, point_.scope));
    if (takes) scale = 1;
    // What a row is divided by is inverted once for many columns: 1 / x is exact to 22 bits if it
    // is finite, and if not, so is no result.
    const Expr inverse = inverted ? 1.f / x : x;
    result = !result.defined()            ? inverse
             : inverted && on_plane(node) ? result / x
                                          : result * inverse;
  }
  return scale == 1 ? result : result * float(scale);
}

// Conditions of `where` inside one panel that clear blocks do not need.
void Plane::find_masks(NodeId id, bool root, std::set<NodeId>& into, std::set<NodeId>& seen) const {
  if (!seen.insert(id).second || context_.source.leaves[id] || !on_plane(id)) return;
  if (!root && panel_of(id)) return;
  const Node& node = graph_.node(id);
  if (is_reduce(node)) return;
  if (is_map(node, Fn::Where) && when_clear(node.inputs[0])) into.insert(node.inputs[0]);
  for (const NodeId input : node.inputs) find_masks(input, false, into, seen);
}

std::vector<Expr> Plane::panel_arguments(const Panel& panel, const Expr& r, const Expr& j,
                                         const Expr& n, const ScopePtr& scope) {
  std::vector<Expr> at{r, j, n};
  for (const AxisId axis : panel.inner)
    at.push_back(context_.within(signature_, axis, scope->at[axis]));
  return at;
}

template <class Define>
const Contraction& Plane::contraction(NodeId id, double scale, int part, const Define& define) {
  // Its terms may hold the condition that is assumed.
  auto key = std::make_tuple(id, scale, part, partial_, assumed_);
  const auto known = contractions_.find(key);
  if (known != contractions_.end()) return known->second;
  const Node& node = graph_.node(id);
  Contraction result{Func("raw" + std::to_string(id) + "_" + std::to_string(contractions_.size())),
                     context_.other_axes(node.type)};
  const Surroundings outer = step_out();
  assumed_ = outer.assumed;
  partial_ = outer.partial;
  const Var r("r"), j("j"), n("n");
  std::vector<Var> vars{r, j, n};
  for (const AxisId axis : result.inner) vars.push_back(var(axis));
  point_ = point(r, j, n, result.inner);
  define(result, vars);
  step_back(outer);
  return contractions_.emplace(std::move(key), std::move(result)).first->second;
}

// A fold of plane terms over a feature axis, times a constant that goes into its row operand.
const Contraction& Plane::contraction(NodeId id, double scale) {
  return contraction(id, scale, 0, [&](Contraction& result, const std::vector<Var>& vars) {
    std::vector<Expr> guards;
    define_contraction(result, id, scale, vars, guards);
    if (guards.empty()) return;
    Expr all = Halide::Internal::const_true();
    for (const Expr& guard : guards) all = all && guard;
    guards_.emplace(result.func.name(), all);
  });
}

void Plane::add_summands(NodeId id, bool root, double scale, Summands& into) const {
  const Node& node = graph_.node(id);
  const bool whole = context_.source.leaves[id] || assumed_.contains(id) || !on_plane(id) ||
                     !is_float(node.type.dtype) || (!root && panel_of(id));
  if (!whole && is_reduce(node, ReduceFn::Sum)) {
    into.contractions.emplace_back(id, scale);
  } else if (!whole && is_map(node, Fn::Neg)) {
    add_summands(node.inputs[0], false, -scale, into);
  } else if (!whole && (is_map(node, Fn::Add) || is_map(node, Fn::Sub))) {
    add_summands(node.inputs[0], false, scale, into);
    add_summands(node.inputs[1], false, is_map(node, Fn::Sub) ? -scale : scale, into);
  } else {
    into.others.emplace_back(id, scale);
  }
}

// Contractions that are added up are chained: their tile stays in registers from the first to the
// last, and Halide takes time with the third power of how many there are, each in the loops of the
// one before. Not more than kLongest to a chain, whose roundings add up.
Expr Plane::chained(NodeId id, double factor, const ScopePtr& scope) {
  constexpr std::size_t kLongest = 8;
  Summands summands;
  if (chains()) add_summands(id, true, factor, summands);
  if (summands.contractions.size() < 2) return {};
  Expr sum;
  std::span<const Scaled> left = summands.contractions;
  for (int part = 1; !left.empty(); ++part) {
    const std::span<const Scaled> here = left.first(std::min(left.size(), kLongest));
    left = left.subspan(here.size());
    const Contraction& chain =
        contraction(id, factor, part, [&](Contraction& result, const std::vector<Var>& vars) {
          define_chain(result, here, vars);
        });
    const Expr value = call(chain, scope);
    sum = sum.defined() ? sum + value : value;
  }
  for (const auto& [other, scale] : summands.others) sum = sum + scaled(other, scale, scope);
  return sum;
}

// A sum's term: constants, and what it is scaled by, go into the first row operand of the product.
Expr Plane::product_term(NodeId id, double scale, std::vector<Expr>& guards) {
  // A panel is a factor as a whole, as find_contractions takes it: what it is made of has its place
  // in the panel's loops alone.
  Leaves whole = context_.source.leaves;
  for (const PanelKey& key : wanted_)
    if (key.factors.size() == 1)
      whole[key.factors[0].first] = panel_of(key.factors[0].first) != nullptr;
  const Product product = product_of(graph_, id, whole);
  if (product.negative) scale = -scale;
  std::vector<Factor> factors;
  for (const Factor& factor : product.factors) {
    if (const auto c = number_of(graph_.node(factor.node)))
      scale = factor.inverted ? scale / *c : scale * *c;
    else
      factors.push_back(factor);
  }
  if (defer_) deferred_scale_ = std::exchange(scale, 1);
  // A read outside is 0 and so is its product: one test for the whole sum.
  Expr result;
  for (const Factor& factor : factors) {
    emitter_.guards = context_.is_read(factor) ? &guards : nullptr;
    const bool takes = scale != 1 && !factor.inverted && context_.is_row_operand(factor.node);
    const Expr x = takes ? packed(factor.node, scale, point_.scope)
                         : Halide::cast<float>(emitter_.value(factor.node, point_.scope));
    if (takes) scale = 1;
    result = with_factor(result, factor, x);
  }
  emitter_.guards = nullptr;
  if (!result.defined()) return emitter_.number(scale);
  return scale == 1 ? result : result * float(scale);
}

void Plane::fold(Func f, const std::vector<Var>& vars, ReduceFn fn, const Expr& x) {
  const Halide::Type type = x.type();
  switch (fn) {
    case ReduceFn::Sum:
      f(vars) = Halide::Internal::make_zero(type);
      f(vars) += x;
      return;
    case ReduceFn::Max:
      if (type.is_bool()) {
        f(vars) = Halide::Internal::const_false();
        f(vars) = f(vars) || x;
      } else if (!type.is_float()) {
        f(vars) = type.min();
        f(vars) = Halide::max(f(vars), x);
      } else {
        f(vars) = -std::numeric_limits<float>::infinity();
        f(vars) = Halide::select(x > f(vars) || not_a_number(x), x, f(vars));
      }
      return;
    case ReduceFn::Min:
      if (type.is_bool()) {
        f(vars) = Halide::Internal::const_true();
        f(vars) = f(vars) && x;
      } else if (!type.is_float()) {
        f(vars) = type.max();
        f(vars) = Halide::min(f(vars), x);
      } else {
        f(vars) = std::numeric_limits<float>::infinity();
        f(vars) = Halide::select(x < f(vars) || not_a_number(x), x, f(vars));
      }
      return;
    case ReduceFn::ArgMax: invariant(false, "argmax is not fused");
  }
}

}  // namespace fovea::codegen
