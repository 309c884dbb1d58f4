// The step: one chunk of column blocks for one tile of rows (codegen/tiled.h).
#include <Halide.h>

#include "codegen/tiled.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "ir/error.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;
using Kind = runtime::Argument::Kind;

constexpr double kLog2E = 1.4426950408889634;
constexpr float kLowest = -std::numeric_limits<float>::max();

// A product of plane values, times a constant.
struct PanelKey {
  std::vector<std::pair<NodeId, bool>> factors;  // inverted or not
  bool negative = false;
  double scale = 1;
  auto operator<=>(const PanelKey&) const = default;
};

struct Panel {
  Func func;
  std::vector<AxisId> inner;  // slowest first
};

struct Contraction {
  Func func;
  std::vector<AxisId> inner;
};

const Map* as_map(const Node& node, Fn fn) {
  const auto* map = std::get_if<Map>(&node.op);
  return map && map->fn == fn ? map : nullptr;
}

class Step {
 public:
  Step(TiledContext& context, TiledFunctions& functions)
      : context_(context), functions_(functions), graph_(context.source.graph),
        kernel_(context.kernel), tiling_(context.tiling), signature_(graph_, context.source.places),
        emitter_(graph_, false), row_(kernel_.row), column_(kernel_.column) {
    emitter_.extent = [this](AxisId axis) { return signature_.extent(axis); };
    emitter_.checked = context.source.checked;
    emitter_.uniform = context.region.batch;
    emitter_.resolve = [this](NodeId id, const ScopePtr& scope) { return resolve(id, scope); };
    here_ = signature_.number(Kind::here, 0, "here");
    clear_ = signature_.number(Kind::clear, 0, "clear");
    first_row_ = signature_.number(Kind::row, 0, "row");
    blocks_ = signature_.buffer(0, Halide::Int(32), {-1}, Kind::blocks);
    if (kernel_.solid != kNone) conjuncts(kernel_.solid, masks_);
  }

  Function build() {
    plan();
    for (const PlaneReduction& reduction : context_.region.reductions) {
      if (reduction.over_columns)
        over_columns(reduction);
      else
        over_rows(reduction);
    }
    merge();
    Function function;
    function.name = context_.source.name;
    function.outputs = outputs_;
    function.halide = signature_.halide();
    function.arguments = signature_.runtime();
    return function;
  }

 private:
  // --- where we are: rows r, columns j of block n of the chunk

  struct Point {
    Expr r, j, n;
    ScopePtr scope;
  };

  // Halide wants to know how far a block can lie; the executor lists only blocks of the plane.
  Expr block(const Expr& n) {
    const Expr last = (signature_.extent(column_) - 1) / tiling_.block;
    return Halide::unsafe_promise_clamped(blocks_(n), 0, last);
  }

  Point point(const Expr& r, const Expr& j, const Expr& n, const std::vector<AxisId>& inner) {
    Point p{r, j, n, context_.scope(emitter_, signature_, r)};
    p.scope->at[column_] = block(n) * tiling_.block + j;
    for (const AxisId axis : inner) p.scope->at[axis] = var(axis);
    return p;
  }

  static Var var(AxisId axis) { return Var("a" + std::to_string(axis)); }

  bool on_plane(NodeId id) const {
    const Type& type = graph_.node(id).type;
    return type.has(row_) && type.has(column_);
  }

  void conjuncts(NodeId id, std::set<NodeId>& into) const {
    into.insert(id);
    if (as_map(graph_.node(id), Fn::And))
      for (const NodeId input : graph_.node(id).inputs) conjuncts(input, into);
  }

  // What a condition is in blocks that need no mask, if that is known.
  std::optional<bool> when_clear(NodeId id) const {
    if (masks_.contains(id)) return true;
    for (const NodeId mask : masks_)
      if (as_map(graph_.node(mask), Fn::Not) && graph_.node(mask).inputs[0] == id) return false;
    const Node& node = graph_.node(id);
    if (as_map(node, Fn::And) && std::ranges::all_of(node.inputs, [&](NodeId n) { return when_clear(n) == true; }))
      return true;
    return std::nullopt;
  }

  // --- what becomes a panel

  // The factors of a reduction's term: those of a panel, and those that bring features.
  struct Split {
    PanelKey panel;
    std::vector<Factor> others;
    std::vector<AxisId> features;  // slowest first
  };

  Split split(const PlaneReduction& reduction) const {
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
      if (brings)
        result.others.push_back(factor);
      else
        result.panel.factors.emplace_back(factor.node, factor.inverted);
    }
    std::ranges::sort(result.panel.factors);
    result.panel.negative = product.negative;
    if (followed(reduction.node)) result.panel.scale = base_two(reduction.node) ? 1 : kLog2E;
    return result;
  }

  bool followed(NodeId maximum) const {
    return std::ranges::any_of(context_.region.reductions,
                               [&](const PlaneReduction& r) { return r.maximum == maximum; });
  }

  bool base_two(NodeId maximum) const {
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++)
      if (const auto found = stabilised(graph_, id); found && found->maximum == maximum && found->base_two)
        return true;
    return false;
  }

  static PanelKey single(NodeId id, double scale = 1) { return {{{id, false}}, false, scale}; }

  // Contractions inside others, and those that several panels need, are panels themselves.
  void plan() {
    for (const PlaneReduction& reduction : context_.region.reductions) wanted_.insert(split(reduction).panel);
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
      for (const auto& [id, count] : users)
        if (count > 1) changed |= wanted_.insert(single(id)).second;
      for (const NodeId id : nested) changed |= wanted_.insert(single(id)).second;
    }
  }

  void find_contractions(NodeId id, bool root, std::set<NodeId>& found, std::set<NodeId>& nested,
                         std::set<NodeId>& seen, bool inside) const {
    if (!seen.insert(id).second || context_.source.leaves[id] || !on_plane(id)) return;
    if (!root && panel_of(id)) return;
    const Node& node = graph_.node(id);
    if (const auto exponent = stabilised(graph_, id); exponent && followed(exponent->maximum)) return;
    const bool fold = std::holds_alternative<Reduce>(node.op);
    if (fold && inside) {
      nested.insert(id);
      return;
    }
    if (fold) found.insert(id);
    for (const NodeId input : node.inputs) find_contractions(input, false, found, nested, seen, inside || fold);
  }

  // A wanted panel that holds this node times a constant.
  const PanelKey* panel_of(NodeId id) const {
    const PanelKey* best = nullptr;
    for (const PanelKey& key : wanted_)
      if (key.factors.size() == 1 && key.factors[0].first == id && !key.factors[0].second && !key.negative)
        if (!best || key.scale == 1) best = &key;
    return best;
  }

  // --- values

  Expr resolve(NodeId id, const ScopePtr& scope) {
    if (const auto known = assumed_.find(id); known != assumed_.end())
      return known->second ? Halide::Internal::const_true() : Halide::Internal::const_false();
    if (context_.source.leaves[id] && !scope->moved && !natural_ && context_.is_row_operand(id))
      return packed(id, 1, scope);
    if (context_.source.leaves[id]) return signature_.load(id, scope, unbounded_);
    if (scope->moved) return {};
    if (!natural_ && context_.is_row_operand(id)) return packed(id, 1, scope);
    const Node& node = graph_.node(id);
    if (as_map(node, Fn::Where)) return branch(node, scope);
    if (!on_plane(id)) return {};
    if (id != defining_)
      if (const PanelKey* key = panel_of(id)) return call(panel(*key), scope, key->scale);
    if (std::holds_alternative<Reduce>(node.op)) return call(contraction(id, 1), scope);
    if (const auto exponent = stabilised(graph_, id); exponent && followed(exponent->maximum))
      return exp2_below(stable_argument(*exponent, scope));
    if (as_map(node, Fn::Exp)) return exp2_any(scaled(node.inputs[0], kLog2E, scope));
    if (as_map(node, Fn::Exp2)) return exp2_any(scaled(node.inputs[0], 1, scope));
    if (as_map(node, Fn::Sigmoid)) return 1.f / (1.f + exp2_any(scaled(node.inputs[0], -kLog2E, scope)));
    if (as_map(node, Fn::Mul) && is_float(node.type.dtype)) return scaled(id, 1, scope);
    return {};
  }

  // A `where` whose condition is assumed has one branch only.
  Expr branch(const Node& node, const ScopePtr& scope) {
    const auto known = assumed_.find(node.inputs[0]);
    if (known == assumed_.end()) return {};
    const Expr x = emitter_.value(node.inputs[known->second ? 1 : 2], scope);
    return node.type.dtype == Dtype::Bool ? x : Halide::cast(emitter_.type(node.type.dtype), x);
  }

  Expr call(const Panel& panel, const ScopePtr& scope, double scale) {
    Expr value = panel.func(arguments(panel.inner, scope));
    return scale == 1 ? value : value * float(1 / scale);
  }

  Expr call(const Contraction& contraction, const ScopePtr& scope) {
    heavy_ = true;
    used_.insert(contraction.func.name());
    const Expr value = contraction.func(arguments(contraction.inner, scope));
    const auto guard = guards_.find(contraction.func.name());
    return guard == guards_.end() ? value : Halide::select(guard->second, value, 0.f);
  }

  std::vector<Expr> arguments(const std::vector<AxisId>& inner, const ScopePtr& scope) const {
    std::vector<Expr> at{point_.r, point_.j, point_.n};
    for (const AxisId axis : inner) at.push_back(scope->at[axis]);
    return at;
  }

  Expr stable_argument(const Stabilised& exponent, const ScopePtr& scope) {
    const PanelKey key = single(exponent.argument, exponent.base_two ? 1 : kLog2E);
    const Panel& x = panel(*wanted_.find(key));
    const Func& m = maxima_.at(exponent.maximum);
    std::vector<Expr> at{point_.r};
    for (const AxisId axis : context_.other_axes(graph_.node(exponent.maximum).type))
      at.push_back(scope->at[axis]);
    return x.func(arguments(x.inner, scope)) - m(at);
  }

  // value(id) * factor, with the factor folded into constants, packed rows and contractions.
  Expr scaled(NodeId id, double factor, const ScopePtr& scope) {
    const Node& node = graph_.node(id);
    const auto constant = [&](NodeId n) { return std::get_if<Constant>(&graph_.node(n).op); };
    const auto times = [&](const Expr& x) {
      const Expr real = Halide::cast<float>(x);
      return factor == 1 ? real : real * float(factor);
    };
    if (context_.source.leaves[id] || assumed_.contains(id)) {
      if (!natural_ && factor != 1 && context_.is_row_operand(id)) return packed(id, factor, scope);
      return times(emitter_.value(id, scope));
    }
    if (const Constant* c = constant(id)) return emitter_.number(c->value * factor);
    if (!natural_ && context_.is_row_operand(id)) return packed(id, factor, scope);
    if (!on_plane(id) || scope->moved) return times(emitter_.value(id, scope));
    if (id != defining_ && panel_of(id)) {
      if (const auto key = wanted_.find(single(id, factor)); key != wanted_.end())
        return call(panel(*key), scope, 1);
      return times(emitter_.value(id, scope));
    }
    if (const Reduce* reduce = std::get_if<Reduce>(&node.op); reduce && reduce->fn == ReduceFn::Sum &&
                                                              is_float(node.type.dtype))
      return call(contraction(id, factor), scope);
    if (as_map(node, Fn::Mul)) {
      for (const int n : {0, 1})
        if (const Constant* c = constant(node.inputs[1 - n]))
          return scaled(node.inputs[n], factor * c->value, scope);
      return Halide::cast<float>(scaled(node.inputs[0], factor, scope)) *
             Halide::cast<float>(emitter_.value(node.inputs[1], scope));
    }
    if (as_map(node, Fn::Div)) {
      if (const Constant* c = constant(node.inputs[1])) return scaled(node.inputs[0], factor / c->value, scope);
      return scaled(node.inputs[0], factor, scope) / Halide::cast<float>(emitter_.value(node.inputs[1], scope));
    }
    if (as_map(node, Fn::Neg)) return scaled(node.inputs[0], -factor, scope);
    if (as_map(node, Fn::Add)) return scaled(node.inputs[0], factor, scope) + scaled(node.inputs[1], factor, scope);
    if (as_map(node, Fn::Sub)) return scaled(node.inputs[0], factor, scope) - scaled(node.inputs[1], factor, scope);
    if (as_map(node, Fn::Where)) {
      const auto known = assumed_.find(node.inputs[0]);
      if (known != assumed_.end()) return scaled(node.inputs[known->second ? 1 : 2], factor, scope);
      return Halide::select(truth(node.inputs[0], scope), scaled(node.inputs[1], factor, scope),
                            scaled(node.inputs[2], factor, scope));
    }
    return times(emitter_.value(id, scope));
  }

  Expr truth(NodeId id, const ScopePtr& scope) {
    const Expr x = emitter_.value(id, scope);
    return x.type().is_bool() ? x : x != Halide::Internal::make_zero(x.type());
  }

  // --- operands

  Expr packed(NodeId id, double scale, const ScopePtr& scope) {
    const Scaled what{id, scale};
    auto at = std::ranges::find(context_.packed, what, &Packed::what);
    const Node& node = graph_.node(id);
    const bool truth = node.type.dtype == Dtype::Bool && scale == 1;
    const Halide::Type type = truth ? Halide::UInt(8) : scale != 1 ? Halide::Float(32) : emitter_.type(node.type.dtype);
    if (at == context_.packed.end()) {
      Packed fresh{what, context_.other_axes(node.type), -1};
      std::vector<AxisId> axes = fresh.axes;
      axes.push_back(row_);
      runtime::Buffer buffer{context_.source.name + ".packed" + std::to_string(context_.packed.size()),
                             runtime::Buffer::Role::scratch,
                             truth ? runtime::Type::boolean
                             : type.is_float() ? runtime::Type::f32 : runtime::Type::i32,
                             context_.sizes(axes)};
      fresh.buffer = context_.add(buffer);
      context_.packed.push_back(fresh);
      at = context_.packed.end() - 1;
    }
    std::vector<AxisId> axes = at->axes;
    axes.push_back(row_);
    Halide::ImageParam image = signature_.buffer(at->buffer, type, context_.extents(signature_, axes));
    std::vector<Expr> where{point_.r};
    for (auto axis = at->axes.rbegin(); axis != at->axes.rend(); ++axis) where.push_back(scope->at[*axis]);
    const Expr value = image(where);
    return truth ? value != Halide::cast<std::uint8_t>(0) : value;
  }

  // A fold of plane terms over a feature axis, times a constant that goes into its row operand.
  const Contraction& contraction(NodeId id, double scale) {
    const auto known = contractions_.find({id, scale});
    if (known != contractions_.end()) return known->second;
    const Node& node = graph_.node(id);
    const Reduce& reduce = std::get<Reduce>(node.op);
    Contraction result{Func("raw" + std::to_string(id) + "_" + std::to_string(contractions_.size())),
                       context_.other_axes(node.type)};
    const Point outer = point_;
    const NodeId outer_defining = defining_;
    const Var r("r"), j("j"), n("n");
    std::vector<Var> vars{r, j, n};
    for (const AxisId axis : result.inner) vars.push_back(var(axis));
    point_ = point(r, j, n, result.inner);
    defining_ = kNone;
    RDom d(0, signature_.extent(reduce.axis), "d" + std::to_string(id));
    point_.scope->at[reduce.axis] = d.x;
    std::vector<Expr> guards;
    Expr term;
    if (reduce.fn == ReduceFn::Sum && is_float(node.type.dtype)) {
      term = product_term(node.inputs[0], scale, guards);
    } else {
      term = Halide::cast(emitter_.type(node.type.dtype), emitter_.value(node.inputs[0], point_.scope));
      invariant(scale == 1, "only sums are scaled");
    }
    fold(result.func, vars, reduce.fn, term);
    contraction_axis_.emplace(result.func.name(), d.x);
    if (!guards.empty()) {
      Expr all = Halide::Internal::const_true();
      for (const Expr& guard : guards) all = all && guard;
      guards_.emplace(result.func.name(), all);
    }
    point_ = outer;
    defining_ = outer_defining;
    return contractions_.emplace(std::make_pair(id, scale), std::move(result)).first->second;
  }

  // A sum's term: constants, and what it is scaled by, go into the first row operand of the product.
  Expr product_term(NodeId id, double scale, std::vector<Expr>& guards) {
    const Product product = product_of(graph_, id, context_.source.leaves);
    if (product.negative) scale = -scale;
    std::vector<Factor> factors;
    for (const Factor& factor : product.factors) {
      if (const Constant* c = std::get_if<Constant>(&graph_.node(factor.node).op))
        scale = factor.inverted ? scale / c->value : scale * c->value;
      else
        factors.push_back(factor);
    }
    // A read outside is 0 and so is its product: one test for the whole sum.
    emitter_.guards = &guards;
    Expr result;
    for (const Factor& factor : factors) {
      const bool takes = scale != 1 && !factor.inverted && context_.is_row_operand(factor.node);
      const Expr x = takes ? packed(factor.node, scale, point_.scope)
                           : Halide::cast<float>(emitter_.value(factor.node, point_.scope));
      if (takes) scale = 1;
      result = !result.defined() ? (factor.inverted ? 1.f / x : x)
               : factor.inverted ? result / x : result * x;
    }
    emitter_.guards = nullptr;
    if (!result.defined()) return emitter_.number(scale);
    return scale == 1 ? result : result * float(scale);
  }

  void fold(Func f, const std::vector<Var>& vars, ReduceFn fn, const Expr& x) {
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

  // --- panels

  const Panel& panel(const PanelKey& key) {
    if (const auto known = panels_.find(key); known != panels_.end()) return known->second;
    const Point outer = point_;
    const NodeId outer_defining = defining_;
    const bool outer_heavy = heavy_;
    std::set<std::string> outer_used;
    std::swap(outer_used, used_);
    Panel result;
    result.func = Func("panel" + std::to_string(panel_count_++));
    std::set<AxisId> inner;
    for (const auto& [node, inverted] : key.factors)
      for (const AxisId axis : context_.other_axes(graph_.node(node).type)) inner.insert(axis);
    result.inner.assign(inner.begin(), inner.end());

    const Var r("r"), j("j"), n("n");
    RDom all(0, tiling_.chunk, "n" + std::to_string(panels_.size()));
    all.where(all.x < here_);
    std::vector<Expr> pure{r, j, n}, at{r, j, all.x};
    std::vector<Var> vars{r, j, n};
    for (const AxisId axis : result.inner) {
      at.push_back(var(axis));
      vars.push_back(var(axis));
    }
    // Where every mask holds first, then the mask over the blocks that need it.
    std::set<NodeId> conditions, seen;
    for (const auto& [node, inverted] : key.factors) find_masks(node, key.factors.size() == 1, conditions, seen);
    const auto evaluate = [&](std::map<NodeId, bool> assumed, const Expr& block) {
      std::swap(assumed_, assumed);
      point_ = point(r, j, block, result.inner);
      defining_ = key.factors.size() == 1 ? key.factors[0].first : kNone;
      heavy_ = false;
      const Expr value = product(key);
      std::swap(assumed_, assumed);
      return value;
    };
    RDom partial(0, tiling_.chunk, "m" + std::to_string(panels_.size()));
    partial.where(partial.x >= clear_ && partial.x < here_);
    std::optional<Expr> masked;
    Expr value;
    bool heavy = false;
    if (conditions.size() == 1) {
      const NodeId mask = *conditions.begin();
      const bool clear = *when_clear(mask);
      const Expr hidden = evaluate({{mask, !clear}}, partial.x);
      if (!heavy_) masked = hidden;
      value = evaluate(masked ? std::map<NodeId, bool>{{mask, clear}} : std::map<NodeId, bool>{}, all.x);
      heavy = heavy_;
    } else {
      value = evaluate({}, all.x);
      heavy = heavy_;
    }
    Func& f = result.func;
    f(vars) = Halide::undef(value.type());
    f(at) = value;
    if (masked) {
      std::vector<Expr> there = at;
      there[2] = partial.x;
      point_ = point(r, j, partial.x, result.inner);
      Expr shown = truth(*conditions.begin(), point_.scope);
      if (!*when_clear(*conditions.begin())) shown = !shown;
      f(there) = Halide::select(shown, f(there), Halide::cast(value.type(), *masked));
    }
    point_ = outer;
    defining_ = outer_defining;
    heavy_ = outer_heavy;
    schedule_panel(result, all.x, masked ? std::optional(partial.x) : std::nullopt, heavy);
    used_ = outer_used;
    return panels_.emplace(key, std::move(result)).first->second;
  }

  Expr product(const PanelKey& key) {
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
      result = !result.defined() ? (inverted ? 1.f / x : x) : inverted ? result / x : result * x;
    }
    return scale == 1 ? result : result * float(scale);
  }

  // Conditions of `where` inside one panel that clear blocks do not need.
  void find_masks(NodeId id, bool root, std::set<NodeId>& into, std::set<NodeId>& seen) const {
    if (!seen.insert(id).second || context_.source.leaves[id] || !on_plane(id)) return;
    if (!root && panel_of(id)) return;
    const Node& node = graph_.node(id);
    if (std::holds_alternative<Reduce>(node.op)) return;
    if (as_map(node, Fn::Where) && when_clear(node.inputs[0])) into.insert(node.inputs[0]);
    for (const NodeId input : node.inputs) find_masks(input, false, into, seen);
  }

  void schedule_panel(Panel& panel, const Halide::RVar& all, const std::optional<Halide::RVar>& partial,
                      bool heavy) {
    Func& f = panel.func;
    const Var r("r"), j("j"), ri("ri"), ro("ro"), ji("ji"), jo("jo");
    std::vector<Halide::VarOrRVar> inner;
    for (auto axis = panel.inner.rbegin(); axis != panel.inner.rend(); ++axis) inner.push_back(var(*axis));
    f.compute_root().bound_extent(r, tiling_.rows).bound_extent(j, tiling_.block);
    for (const AxisId axis : panel.inner) f.bound(var(axis), 0, signature_.extent(axis));
    const int columns = heavy ? tiling_.score_columns : 1;
    std::vector<Halide::VarOrRVar> order{ri};
    auto update = f.update(0);
    update.split(r, ro, ri, tiling_.score_rows);
    if (heavy) {
      update.split(j, jo, ji, columns);
      order.insert(order.end(), {ji, ro, jo});
    } else {
      order.insert(order.end(), {ro, j});
    }
    order.insert(order.end(), inner.begin(), inner.end());
    order.push_back(all);
    update.reorder(order).vectorize(ri, tiling_.lanes).unroll(ri);
    if (heavy) update.unroll(ji);
    // Its contractions are the head of this register tile.
    for (auto& [key, contraction] : contractions_) {
      if (!used_.contains(contraction.func.name())) continue;
      Func& raw = contraction.func;
      raw.compute_at(f, heavy ? ro : Var::outermost());
      raw.store_in(Halide::MemoryType::Stack).bound_extent(r, tiling_.score_rows).bound_extent(j, columns).vectorize(r, tiling_.lanes).unroll(r).unroll(j);
      raw.update().reorder(r, j, contraction_axis_.at(raw.name())).vectorize(r, tiling_.lanes).unroll(r).unroll(j);
    }
    if (!partial) return;
    order = {ri, ro, j};
    order.insert(order.end(), inner.begin(), inner.end());
    order.push_back(*partial);
    f.update(1).split(r, ro, ri, tiling_.score_rows).reorder(order).vectorize(ri, tiling_.lanes).unroll(ri);
  }

  // --- folds over columns

  // How many columns block n has. A Func of its own, so that Halide makes it the end of a loop and
  // needs no test inside.
  Expr columns_of(const Expr& n) {
    if (!columns_.defined()) {
      const Var x("x");
      columns_ = Func("columns");
      columns_(x) = Halide::min(signature_.extent(column_) - block(x) * tiling_.block, tiling_.block);
      columns_.compute_root();
    }
    return columns_(n);
  }

  std::vector<Expr> panel_arguments(const Panel& panel, const Expr& r, const Expr& j, const Expr& n,
                                    const ScopePtr& scope) {
    std::vector<Expr> at{r, j, n};
    for (const AxisId axis : panel.inner) at.push_back(scope->at[axis]);
    return at;
  }

  // The fold of this chunk alone, over rows of the tile.
  void over_columns(const PlaneReduction& reduction) {
    const Node& node = graph_.node(reduction.node);
    const Split parts = split(reduction);
    const Panel& x = panel(*wanted_.find(parts.panel));
    std::vector<AxisId> inner;
    for (const AxisId axis : context_.other_axes(node.type))
      if (std::ranges::find(parts.features, axis) == parts.features.end()) inner.push_back(axis);
    const std::string id = std::to_string(reduction.node);
    RDom c(0, tiling_.block, 0, tiling_.chunk, "c" + id);
    c.where(c.y < here_);
    c.where(c.x < columns_of(c.y));
    const Var r("r");
    std::vector<Var> vars;
    for (auto axis = parts.features.rbegin(); axis != parts.features.rend(); ++axis) vars.push_back(var(*axis));
    vars.push_back(r);
    for (const AxisId axis : inner) vars.push_back(var(axis));
    std::vector<AxisId> all = inner;
    all.insert(all.end(), parts.features.begin(), parts.features.end());
    const Point p = point(r, c.x, c.y, all);
    Expr value = x.func(panel_arguments(x, r, c.x, c.y, p.scope));
    std::vector<Expr> guards;
    if (!parts.others.empty()) value = value * other_factors(parts.others, p, column_, guards);
    Func f("fold" + id);
    if (followed(reduction.node)) {
      f(vars) = kLowest;
      f(vars) = Halide::max(f(vars), value);
      maxima_.emplace(reduction.node, f);
    } else {
      const Reduce& reduce = std::get<Reduce>(node.op);
      fold(f, vars, reduce.fn, Halide::cast(emitter_.type(node.type.dtype), value));
    }
    if (!guards.empty()) {
      Expr every = Halide::Internal::const_true();
      for (const Expr& guard : guards) every = every && guard;
      guards_.emplace(f.name(), every);
    }
    schedule_over_columns(f, parts.features, inner, c);
    State state{&reduction, inner, parts.features, -1};
    std::vector<AxisId> axes = inner;
    axes.push_back(row_);
    axes.insert(axes.end(), parts.features.begin(), parts.features.end());
    state.buffer = context_.add({context_.source.name + ".state" + id, runtime::Buffer::Role::scratch,
                                 node.type.dtype == Dtype::Bool ? runtime::Type::boolean
                                 : is_float(node.type.dtype)    ? runtime::Type::f32
                                                                : runtime::Type::i32,
                                 context_.sizes(axes)});
    context_.states.push_back(state);
    folds_.push_back(f);
  }

  // The loop around them ends with the axis that is folded; the other may run past its end.
  Expr other_factors(const std::vector<Factor>& factors, const Point& p, AxisId folded, std::vector<Expr>& guards) {
    const Point outer = point_;
    unbounded_ = {folded == column_ ? row_ : column_};
    point_ = p;
    natural_ = true;
    emitter_.guards = &guards;
    Expr result;
    for (const Factor& factor : factors) {
      const Expr x = Halide::cast<float>(emitter_.value(factor.node, p.scope));
      result = !result.defined() ? (factor.inverted ? 1.f / x : x) : factor.inverted ? result / x : result * x;
    }
    emitter_.guards = nullptr;
    natural_ = false;
    unbounded_ = {row_, column_};
    point_ = outer;
    return result;
  }

  void schedule_over_columns(Func f, const std::vector<AxisId>& features, const std::vector<AxisId>& inner,
                             RDom c) {
    const Var r("r"), ri("ri"), ro("ro"), ei("ei"), eo("eo");
    std::vector<Halide::VarOrRVar> outside;
    f.compute_root().bound_extent(r, tiling_.rows);
    for (const AxisId axis : inner) f.bound(var(axis), 0, signature_.extent(axis));
    for (const AxisId axis : features) f.bound(var(axis), 0, signature_.extent(axis));
    for (auto axis = inner.rbegin(); axis != inner.rend(); ++axis) outside.push_back(var(*axis));
    if (features.empty()) {
      f.vectorize(r, tiling_.lanes);
      std::vector<Halide::VarOrRVar> order{ri, c.x, ro, c.y};
      order.insert(order.end(), outside.begin(), outside.end());
      f.update().split(r, ro, ri, tiling_.score_rows).reorder(order).vectorize(ri, tiling_.lanes).unroll(ri);
      return;
    }
    const Var e = var(features.back());
    const Columns columns = value_columns(features.back());
    if (columns.lanes > 1) f.vectorize(e, columns.lanes, columns.tail);
    std::vector<Halide::VarOrRVar> order{ei, ri, c.x, eo, ro, c.y};
    for (auto axis = features.rbegin() + 1; axis != features.rend(); ++axis) order.push_back(var(*axis));
    order.insert(order.end(), outside.begin(), outside.end());
    auto update = f.update();
    update.split(r, ro, ri, tiling_.value_rows).split(e, eo, ei, columns.width, columns.tail).reorder(order);
    if (columns.lanes > 1) update.vectorize(ei, columns.lanes);
    update.unroll(ei).unroll(ri);
  }

  struct Columns {
    int width, lanes;
    Halide::TailStrategy tail;
  };

  // How many feature columns a register tile takes.
  Columns value_columns(AxisId feature) const {
    const std::int64_t extent = signature_.fixed_extent(feature);
    for (int width = tiling_.value_columns; width >= tiling_.lanes; width /= 2)
      if (extent >= 0 && extent % width == 0) return {width, tiling_.lanes, Halide::TailStrategy::RoundUp};
    if (extent > 0 && extent < tiling_.lanes && (extent & (extent - 1)) == 0)
      return {int(extent), int(extent), Halide::TailStrategy::RoundUp};
    return {tiling_.lanes, tiling_.lanes, Halide::TailStrategy::GuardWithIf};
  }

  // --- folds over rows, added to stored accumulators in place

  void over_rows(const PlaneReduction& reduction) {
    const Node& node = graph_.node(reduction.node);
    const Reduce& reduce = std::get<Reduce>(node.op);
    const Split parts = split(reduction);
    const Panel& x = panel(*wanted_.find(parts.panel));
    const Place& place = context_.source.places.at(reduction.node);
    const std::string id = std::to_string(reduction.node);
    RDom c(0, tiling_.rows, 0, tiling_.block, 0, tiling_.chunk, "c" + id);
    c.where(c.z < here_ && c.x < signature_.extent(row_) - first_row_);
    std::vector<AxisId> others = context_.other_axes(node.type);
    const Point p = point(c.x, c.y, c.z, others);
    Expr value = x.func(panel_arguments(x, c.x, c.y, c.z, p.scope));
    std::vector<Expr> guards;
    if (!parts.others.empty()) value = value * other_factors(parts.others, p, row_, guards);
    for (const Expr& guard : guards) value = Halide::select(guard, value, 0.f);
    std::vector<Var> vars;
    std::vector<Expr> at;
    for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis) {
      vars.push_back(var(*axis));
      at.push_back(*axis == column_ ? block(c.z) * tiling_.block + c.y : p.scope->at[*axis]);
    }
    Func f("onto" + id);
    value = Halide::cast(emitter_.type(node.type.dtype), value);
    f(vars) = Halide::undef(value.type());
    const double infinity = std::numeric_limits<double>::infinity();
    double initial = 0;
    switch (reduce.fn) {
      case ReduceFn::Sum: f(at) += value; break;
      case ReduceFn::Max:
        f(at) = Halide::select(value > f(at) || not_a_number(value), value, f(at));
        initial = -infinity;
        break;
      case ReduceFn::Min:
        f(at) = Halide::select(value < f(at) || not_a_number(value), value, f(at));
        initial = infinity;
        break;
      case ReduceFn::ArgMax: invariant(false, "argmax is not fused");
    }
    auto extents = signature_.fixed_extents(place);
    for (std::size_t n = 0; n < extents.size(); n++)
      if (place.layout[place.layout.size() - 1 - n] == column_) extents[n] = -1;
    promise(f.output_buffer(), extents, true);
    schedule_over_rows(f, place, parts.features, c);
    functions_.accumulators.push_back({place.buffer, static_cast<float>(initial)});
    signature_.add_result(place.buffer);
    outputs_.push_back(f);
  }

  void schedule_over_rows(Func f, const Place& place, const std::vector<AxisId>& features, RDom c) {
    if (features.empty() || place.layout.back() != features.back()) {
      f.update().reorder(c.x, c.y, c.z);
      return;
    }
    const Var ei("ei"), eo("eo"), e = var(features.back());
    const Columns columns = value_columns(features.back());
    Halide::RVar yi("yi"), yo("yo");
    std::vector<Halide::VarOrRVar> order{ei, yi, c.x, eo, yo};
    for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis)
      if (*axis != column_ && *axis != features.back() && !context_.is_batch(*axis)) order.push_back(var(*axis));
    order.push_back(c.z);
    auto update = f.update();
    update.split(c.y, yo, yi, tiling_.value_rows).split(e, eo, ei, columns.width, columns.tail).reorder(order);
    if (columns.lanes > 1) update.vectorize(ei, columns.lanes);
    update.unroll(ei).unroll(yi);
  }

  // --- the chunk's folds into the tile's state

  void merge() {
    const Var r("r");
    std::map<NodeId, std::pair<Func, Func>> rescale;  // by maximum: of the state, of the chunk
    // A maximum is read and written once, through `both`, so that the state may be one buffer.
    std::vector<Func> last;
    std::vector<int> last_buffers;
    for (std::size_t n = 0; n < context_.states.size(); n++) {
      const State& state = context_.states[n];
      const NodeId id = state.reduction->node;
      if (!followed(id)) continue;
      const std::vector<Var> vars = state_vars(state);
      Halide::ImageParam old = signature_.buffer(state.buffer, Halide::Float(32), extents(state));
      Func both("both" + std::to_string(id)), a("keep" + std::to_string(id)), b("take" + std::to_string(id));
      const Expr before = old(vars), chunk = folds_[n](fold_arguments(state));
      both(vars) = Halide::Tuple(before, Halide::max(before, chunk));
      a(vars) = exp2_below(both(vars)[0] - both(vars)[1]);
      b(vars) = exp2_below(chunk - both(vars)[1]);
      Func f("max" + std::to_string(id));
      f(vars) = both(vars)[1];
      for (Func g : {both, a, b, f}) g.compute_root().vectorize(r, tiling_.lanes);
      for (Func g : {both, a, b, f}) bind(g, state);
      promise(f.output_buffer(), extents(state), true);
      rescale.emplace(id, std::make_pair(a, b));
      last.push_back(f);
      last_buffers.push_back(state.buffer);
    }
    for (std::size_t n = 0; n < context_.states.size(); n++) {
      const State& state = context_.states[n];
      const NodeId id = state.reduction->node;
      if (followed(id)) continue;
      merge_plain(state, folds_[n], rescale);
    }
    for (std::size_t n = 0; n < last.size(); n++) {
      outputs_.push_back(last[n]);
      signature_.add_result(last_buffers[n]);
    }
  }

  void merge_plain(const State& state, const Func& fold, const std::map<NodeId, std::pair<Func, Func>>& rescale) {
    const NodeId id = state.reduction->node;
    const std::vector<Var> vars = state_vars(state);
    Expr fresh = fold(fold_arguments(state));
    if (const auto guard = guards_.find(fold.name()); guard != guards_.end())
      fresh = Halide::select(guard->second, fresh, Halide::Internal::make_zero(fresh.type()));
    const bool truth = fresh.type().is_bool();
    if (truth) fresh = Halide::cast<std::uint8_t>(fresh);
    Func f("state" + std::to_string(id));
    f(vars) = Halide::undef(fresh.type());
    if (const auto at = rescale.find(state.reduction->maximum); at != rescale.end()) {
      // The maximum may have fewer axes than what follows it.
      std::vector<Expr> where;
      const auto maximum = std::ranges::find_if(context_.states, [&](const State& s) {
        return s.reduction->node == at->first;
      });
      for (const Var& v : state_vars(*maximum)) where.push_back(v);
      f(vars) = f(vars) * at->second.first(where) + fresh * at->second.second(where);
    } else {
      switch (std::get<Reduce>(graph_.node(id).op).fn) {
        case ReduceFn::Sum: f(vars) += fresh; break;
        case ReduceFn::Max:
          f(vars) = !fresh.type().is_float() ? Halide::max(f(vars), fresh)
                                             : Halide::select(fresh > f(vars) || not_a_number(fresh), fresh, f(vars));
          break;
        case ReduceFn::Min:
          f(vars) = !fresh.type().is_float() ? Halide::min(f(vars), fresh)
                                             : Halide::select(fresh < f(vars) || not_a_number(fresh), fresh, f(vars));
          break;
        case ReduceFn::ArgMax: break;
      }
    }
    const auto sizes = extents(state);
    promise(f.output_buffer(), sizes, true);
    bind(f, state);
    const Var first = vars.front();
    if (sizes.front() < 0 || sizes.front() >= tiling_.lanes)
      f.update().vectorize(first, tiling_.lanes, Halide::TailStrategy::GuardWithIf);
    outputs_.push_back(f);
    signature_.add_result(state.buffer);
  }

  std::vector<AxisId> state_axes(const State& state) const {
    std::vector<AxisId> axes = state.inner;
    axes.push_back(row_);
    axes.insert(axes.end(), state.features.begin(), state.features.end());
    return axes;
  }

  std::vector<std::int64_t> extents(const State& state) const {
    return context_.extents(signature_, state_axes(state));
  }

  std::vector<Var> state_vars(const State& state) const {
    const std::vector<AxisId> axes = state_axes(state);
    std::vector<Var> result;
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
      result.push_back(*axis == row_ ? Var("r") : var(*axis));
    return result;
  }

  // The Func of a chunk's fold has rows before inner axes in the order of `inner`.
  std::vector<Expr> fold_arguments(const State& state) const {
    std::vector<Expr> result;
    for (auto axis = state.features.rbegin(); axis != state.features.rend(); ++axis) result.push_back(var(*axis));
    result.push_back(Var("r"));
    for (const AxisId axis : state.inner) result.push_back(var(axis));
    return result;
  }

  void bind(Func f, const State& state) {
    f.bound(Var("r"), 0, tiling_.rows);
    for (const AxisId axis : state.inner) f.bound(var(axis), 0, signature_.extent(axis));
    if (state.features.empty()) return;
    const std::vector<Var> vars = state_vars(state);
    for (const AxisId axis : state.features)
      if (std::ranges::any_of(f.args(), [&](const Var& v) { return v.name() == var(axis).name(); }))
        f.bound(var(axis), 0, signature_.extent(axis));
  }

  TiledContext& context_;
  TiledFunctions& functions_;
  const Graph& graph_;
  const Kernel& kernel_;
  const Tiling& tiling_;
  Signature signature_;
  Emitter emitter_;
  AxisId row_, column_;
  Expr here_, clear_, first_row_;
  Halide::ImageParam blocks_;
  std::set<NodeId> masks_;
  std::set<PanelKey> wanted_;
  std::map<PanelKey, Panel> panels_;
  std::map<std::pair<NodeId, double>, Contraction> contractions_;
  std::map<std::string, Halide::RVar> contraction_axis_;
  std::map<std::string, Expr> guards_;
  std::set<std::string> used_;  // contractions of the panel being defined
  std::map<NodeId, Func> maxima_;
  Func columns_;
  std::vector<Func> folds_;  // of context_.states
  std::vector<Func> outputs_;
  std::map<NodeId, bool> assumed_;
  Point point_;
  NodeId defining_ = kNone;
  int panel_count_ = 0;
  bool natural_ = false;
  std::vector<AxisId> unbounded_{row_, column_};  // axes whose coordinates loads limit
  bool heavy_ = false;
};

}  // namespace

Function lower_step(TiledContext& context, TiledFunctions& functions) {
  return Step(context, functions).build();
}

}  // namespace fovea::codegen
