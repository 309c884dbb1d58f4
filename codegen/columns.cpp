// Columns across the lanes: a step for few rows (codegen/plane.h).
//
// A piece is one vector of columns. Nothing is transposed and no row operand is packed that lies well
// already; keys and values are read once, at ascending addresses, and the rows at hand share each
// piece while it is in the first cache.
#include <Halide.h>

#include "codegen/plane.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "ir/error.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::Var;
using namespace ir;

constexpr int kColumnsShared = 32;  // columns of a value operand that the rows take turns at

class ColumnsAcross final : public Plane {
 public:
  ColumnsAcross(TiledContext& context, TiledFunctions& functions)
      : Plane(context, functions), pieces_(tiling_.block / tiling_.lanes) {
    counts_rows_ = true;
    signature_.steady = column_;
  }

 private:
  Expr column(const Expr& j, const Expr& n) override {
    return block(n / pieces_) * tiling_.block + n % pieces_ * tiling_.lanes + j;
  }

  Walk walk(const Expr& first, const std::string& name) override {
    RDom n(0, pieces_, first, here_ - first, name);
    n.where(n.x < (columns_of(n.y) + tiling_.lanes - 1) / tiling_.lanes);
    return {n, n.y * pieces_ + n.x};
  }

  // Row operands are scalars here, or vectors along a feature: as they lie if they lie anywhere.
  Expr packed(NodeId id, double scale, const ScopePtr& scope) override {
    const Expr value = context_.source.leaves[id] ? signature_.load(id, scope, unbounded_)
                                                  : Plane::packed(id, 1, scope);
    return scale == 1 ? value : Halide::cast<float>(value) * float(scale);
  }

  // One product per score instead of one per row operand and tile.
  Expr scaled_contraction(NodeId id, double scale, const ScopePtr& scope) override {
    const Contraction& sum = contraction(id, 1);
    scale *= deferred_.at(sum.func.name());
    const Expr value = call(sum, scope);
    return scale == 1 ? value : value * float(scale);
  }

  // --- contractions to the plane

  // Partial sums in the lanes along the contracted axis, then a tree of shuffles that turns as many
  // of them as there are lanes into one vector of columns.
  struct Tree {
    Func partial;
    RDom steps, lanes;
  };

  // How many elements along the axis a vector takes, 0 if columns lie better in the lanes.
  int width_along(NodeId term, AxisId axis) const {
    bool found = false;
    std::vector<NodeId> stack{term};
    std::set<NodeId> seen;
    while (!stack.empty()) {
      const NodeId id = stack.back();
      stack.pop_back();
      if (!seen.insert(id).second || context_.is_row_operand(id) || panel_of(id)) continue;
      if (const auto place = context_.source.places.find(id);
          context_.source.leaves[id] && place != context_.source.places.end()) {
        const std::vector<AxisId>& layout = place->second.layout;
        if (std::ranges::find(layout, axis) == layout.end()) continue;
        if (layout.back() != axis) return 0;
        found = true;
        continue;
      }
      for (const NodeId input : graph_.node(id).inputs) stack.push_back(input);
    }
    if (!found) return 0;
    const std::int64_t extent = signature_.fixed_extent(axis);
    if (extent < 0 || extent > 2 * tiling_.lanes) return tiling_.lanes;
    for (int width = tiling_.lanes; width >= 4; width /= 2)
      if (extent % width == 0) return width;
    return 0;
  }

  Expr term_at(NodeId id, AxisId axis, const Expr& at, std::vector<Expr>& guards) {
    const Node& node = graph_.node(id);
    const ScopePtr outer = point_.scope;
    point_.scope = emitter_.with(outer, axis, at);
    Expr term;
    if (std::get<Reduce>(node.op).fn == ReduceFn::Sum && is_float(node.type.dtype))
      term = product_term(node.inputs[0], 1, guards);
    else
      term = Halide::cast(emitter_.type(node.type.dtype),
                          emitter_.value(node.inputs[0], point_.scope));
    point_.scope = outer;
    return term;
  }

  void define_contraction(Contraction& result, NodeId id, double scale, const std::vector<Var>& vars,
                          std::vector<Expr>& guards) override {
    invariant(scale == 1, "scales stay outside");
    const Node& node = graph_.node(id);
    const Reduce& reduce = std::get<Reduce>(node.op);
    const std::string name = result.func.name();
    const Expr extent = signature_.extent(reduce.axis);
    const int width = reduce.fn == ReduceFn::Sum ? width_along(node.inputs[0], reduce.axis) : 0;
    const bool outer_defer = std::exchange(defer_, true);
    const double outer_scale = std::exchange(deferred_scale_, 1);
    if (width == 0) {
      const RDom d(0, extent, "d" + std::to_string(id));
      fold(result.func, vars, reduce.fn, term_at(id, reduce.axis, d.x, guards));
      serial_.emplace(name, d);
    } else {
      const Var lane("lane");
      Tree tree{Func("partial" + name), RDom(0, extent / width, "d" + std::to_string(id)),
                RDom(0, width, "l" + std::to_string(id))};
      std::vector<Var> wide{lane};
      wide.insert(wide.end(), vars.begin(), vars.end());
      fold(tree.partial, wide, reduce.fn,
           term_at(id, reduce.axis, tree.steps.x * width + lane, guards));
      std::vector<Expr> at{tree.lanes.x};
      at.insert(at.end(), vars.begin(), vars.end());
      fold(result.func, vars, reduce.fn, tree.partial(at));
      const std::int64_t fixed = signature_.fixed_extent(reduce.axis);
      if (fixed < 0 || fixed % width != 0) {
        const RDom rest(extent / width * width, extent % width, "rest" + std::to_string(id));
        std::vector<Expr> twice;  // known from the first part
        result.func(vars) += term_at(id, reduce.axis, rest.x, twice);
        serial_.emplace(name, rest);
      }
      trees_.emplace(name, tree);
    }
    deferred_.emplace(name, std::exchange(deferred_scale_, outer_scale));
    defer_ = outer_defer;
  }

  void schedule_contraction(Func raw, const Func& at, const Var& level) {
    const Var r("r"), j("j"), lane("lane");
    raw.compute_at(at, level).store_in(Halide::MemoryType::Stack);
    raw.bound_extent(j, tiling_.lanes).reorder_storage(order_of(raw)).vectorize(j);
    int stage = 0;
    if (const auto found = trees_.find(raw.name()); found != trees_.end()) {
      Tree& tree = found->second;
      const RVar l = tree.lanes.x;
      raw.update(stage++).reorder(l, j).atomic().vectorize(l).vectorize(j);
      Func& partial = tree.partial;
      partial.compute_at(at, level).store_in(Halide::MemoryType::Stack);
      std::vector<Var> order{lane};
      for (const Var& v : order_of(raw)) order.push_back(v);
      partial.reorder_storage(order).bound_extent(lane, tree_width(tree)).vectorize(lane).unroll(j);
      // All of a column, then the next one: addresses ascend.
      partial.update().reorder(lane, tree.steps.x, j).vectorize(lane);
      if (const auto steps = Halide::Internal::as_const_int(tree.steps.x.extent());
          steps && *steps <= 16)
        partial.update().unroll(tree.steps.x);
    }
    if (const auto rest = serial_.find(raw.name()); rest != serial_.end())
      raw.update(stage).reorder(j, rest->second.x).vectorize(j);
  }

  static Expr tree_width(const Tree& tree) { return tree.lanes.x.extent(); }

  // Columns fastest.
  static std::vector<Var> order_of(const Func& f) {
    const Var r("r"), j("j"), n("n");
    std::vector<Var> order{j, n, r};
    for (const Var& v : f.args())
      if (v.name() != "r" && v.name() != "j" && v.name() != "n") order.push_back(v);
    return order;
  }

  // --- panels

  void schedule_panel(Panel& panel, const RDom& all, const std::optional<RDom>& partial,
                      bool) override {
    Func& f = panel.func;
    const Var r("r"), j("j"), n("n");
    f.compute_root().bound(j, 0, tiling_.lanes).reorder_storage(order_of(f));
    f.bound_storage(n, pieces_ * tiling_.chunk).bound_storage(r, tiling_.rows);
    bool constant = true;
    for (const AxisId axis : panel.inner) {
      f.bound(var(axis), 0, signature_.extent(axis));
      constant &= signature_.fixed_extent(axis) >= 0;
    }
    static_cast<void>(constant);
    for (const RDom* dom : {&all, partial ? &*partial : nullptr}) {
      if (dom == nullptr) continue;
      std::vector<Halide::VarOrRVar> order{j, r};
      for (auto axis = panel.inner.rbegin(); axis != panel.inner.rend(); ++axis)
        order.push_back(var(*axis));
      order.insert(order.end(), {dom->x, dom->y});
      f.update(dom == &all ? 0 : 1).reorder(order).vectorize(j);
    }
    for (auto& [key, contraction] : contractions_)
      if (used_.contains(contraction.func.name())) schedule_contraction(contraction.func, f, r);
  }

  // --- folds over columns

  void over_columns(const PlaneReduction& reduction) override {
    const Split parts = split(reduction);
    const Panel& x = panel(*wanted_.find(parts.panel));
    State state{&reduction, {}, parts.features, -1};
    for (const AxisId axis : context_.other_axes(graph_.node(reduction.node).type))
      if (std::ranges::find(parts.features, axis) == parts.features.end())
        state.inner.push_back(axis);
    Func f = parts.features.empty() ? across_lanes(state, x)
                                                            : along_features(state, parts, x);
    if (followed(reduction.node)) maxima_.emplace(reduction.node, f);
    keep(std::move(state), f);
  }

  // Of (features, r, inner).
  std::vector<Var> fold_vars(const State& state) const {
    std::vector<Var> vars;
    for (auto axis = state.features.rbegin(); axis != state.features.rend(); ++axis)
      vars.push_back(var(*axis));
    vars.push_back(Var("r"));
    for (const AxisId axis : state.inner) vars.push_back(var(axis));
    return vars;
  }

  void bound_fold(Func f, const State& state) {
    f.compute_root().bound_storage(Var("r"), tiling_.rows);
    for (const std::vector<AxisId>* axes : {&state.inner, &state.features})
      for (const AxisId axis : *axes) f.bound(var(axis), 0, signature_.extent(axis));
  }

  // One fold for each lane, then one over the lanes.
  Func across_lanes(const State& state, const Panel& x) {
    const NodeId id = state.reduction->node;
    const Node& node = graph_.node(id);
    const ReduceFn fn = std::get<Reduce>(node.op).fn;
    const std::string name = std::to_string(id);
    const Var r("r"), j("j");
    const Walk all = walk(Expr(0), "c" + name);
    const Point p = point(r, j, all.n, state.inner);
    Expr value = x.func(panel_arguments(x, r, j, all.n, p.scope));
    value = Halide::cast(emitter_.type(node.type.dtype), value);
    const bool maximum = followed(id);
    const Expr identity = maximum ? Expr(kLowest) : identity_of(fn, value.type());
    value = Halide::select(Halide::likely(p.scope->at[column_] < signature_.extent(column_)), value,
                           identity);
    Func lanes("lanes" + name), f("fold" + name);
    std::vector<Var> vars = fold_vars(state), wide{j};
    wide.insert(wide.end(), vars.begin(), vars.end());
    const RDom l(0, tiling_.lanes, "l" + name);
    std::vector<Expr> at{l.x};
    at.insert(at.end(), vars.begin(), vars.end());
    if (maximum) {
      lanes(wide) = kLowest;
      lanes(wide) = Halide::max(lanes(wide), value);
      f(vars) = kLowest;
      f(vars) = Halide::max(f(vars), lanes(at));
    } else {
      fold(lanes, wide, fn, value);
      fold(f, vars, fn, lanes(at));
    }
    bound_fold(lanes, state);
    bound_fold(f, state);
    std::vector<Halide::VarOrRVar> order{j, all.dom.x, all.dom.y, r};
    for (auto axis = state.inner.rbegin(); axis != state.inner.rend(); ++axis)
      order.push_back(var(*axis));
    lanes.bound(j, 0, tiling_.lanes).vectorize(j).update().reorder(order).vectorize(j);
    order = {l.x, r};
    for (auto axis = state.inner.rbegin(); axis != state.inner.rend(); ++axis)
      order.push_back(var(*axis));
    f.update().reorder(order);
    if (maximum || (fn == ReduceFn::Sum && !value.type().is_bool()))
      f.update().atomic().vectorize(l.x);
    return f;
  }

  static Expr identity_of(ReduceFn fn, const Halide::Type& type) {
    const float infinity = std::numeric_limits<float>::infinity();
    if (fn == ReduceFn::Sum) return Halide::Internal::make_zero(type);
    const bool largest = fn == ReduceFn::Min;
    if (type.is_bool())
      return largest ? Halide::Internal::const_true() : Halide::Internal::const_false();
    if (!type.is_float()) return largest ? type.max() : type.min();
    return Expr(largest ? infinity : -infinity);
  }

  // Whole rows of the operand that brings the features, one column after the other.
  Func along_features(const State& state, const Split& parts, const Panel& x) {
    const NodeId id = state.reduction->node;
    const Node& node = graph_.node(id);
    const std::string name = std::to_string(id);
    const Var r("r");
    RDom c(0, tiling_.block, 0, here_, "c" + name);
    c.where(c.x < columns_of(c.y));
    std::vector<AxisId> axes = state.inner;
    axes.insert(axes.end(), state.features.begin(), state.features.end());
    Point p = point(r, c.x % tiling_.lanes, c.y * pieces_ + c.x / tiling_.lanes, axes);
    p.scope->at[column_] = block(c.y) * tiling_.block + c.x;
    Expr value = x.func(panel_arguments(x, r, p.j, p.n, p.scope));
    std::vector<Expr> guards;
    if (!parts.others.empty()) value = value * other_factors(parts.others, p, column_, guards);
    Func f("fold" + name);
    const std::vector<Var> vars = fold_vars(state);
    fold(f, vars, std::get<Reduce>(node.op).fn,
         Halide::cast(emitter_.type(node.type.dtype), value));
    if (!guards.empty()) {
      Expr every = Halide::Internal::const_true();
      for (const Expr& guard : guards) every = every && guard;
      guards_.emplace(f.name(), every);
    }
    bound_fold(f, state);
    std::vector<Halide::VarOrRVar> outside;
    for (auto axis = state.features.rbegin() + 1; axis != state.features.rend(); ++axis)
        outside.push_back(var(*axis));
    for (auto axis = state.inner.rbegin(); axis != state.inner.rend(); ++axis)
      outside.push_back(var(*axis));
    const RVar ci("ci"), co("co");
    const Var e = var(state.features.back()), ei("ei"), eo("eo");
    const Register width = register_of(state.features.back());
    auto update = f.update().split(c.x, co, ci, kColumnsShared);
    update.split(e, eo, ei, width.width, width.tail);
    if (width.lanes > 1) {
      f.vectorize(e, width.lanes, width.tail);
      update.vectorize(ei, width.lanes);
    }
    update.unroll(ei);
    std::vector<Halide::VarOrRVar> order{ei, ci, eo, r, co};
    order.insert(order.end(), outside.begin(), outside.end());
    order.push_back(c.y);
    update.reorder(order);
    return f;
  }

  // How many features the accumulators in registers hold: whole rows if they fit.
  struct Register {
    int width, lanes;
    Halide::TailStrategy tail;
  };

  Register register_of(AxisId feature) const {
    const std::int64_t extent = signature_.fixed_extent(feature);
    const int most = (context_.source.target.registers >= 32 ? 16 : 8) * tiling_.lanes;
    const auto exact = Halide::TailStrategy::RoundUp;
    for (int lanes = tiling_.lanes; lanes >= 2; lanes /= 2) {
      if (extent <= 0 || extent % lanes != 0) continue;
      int width = static_cast<int>(std::min<std::int64_t>(extent, most / tiling_.lanes * lanes));
      while (extent % width != 0) width -= lanes;
      return {width, lanes, exact};
    }
    if (extent > 0 && extent < tiling_.lanes) return {static_cast<int>(extent), 1, exact};
    return {tiling_.lanes, tiling_.lanes, Halide::TailStrategy::GuardWithIf};
  }

  void over_rows(const PlaneReduction&) override {
    invariant(false, "folds over rows have rows across the lanes");
  }

  const int pieces_;  // of a block
  std::map<std::string, double> deferred_;
  std::map<std::string, Tree> trees_;
  std::map<std::string, RDom> serial_;
};

}  // namespace

Function lower_columns_step(TiledContext& context, TiledFunctions& functions) {
  return ColumnsAcross(context, functions).build();
}

}  // namespace fovea::codegen
