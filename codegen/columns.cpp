// Columns across the lanes: a step for few rows (codegen/plane.h).
//
// A piece is one vector of columns. Nothing is transposed and no row operand is packed that lies
// well already; keys and values are read once, at ascending addresses, and the rows at hand share
// each piece while it is in the first cache.
#include <Halide.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "codegen/plane.h"
#include "ir/require.h"
#include "ir/worklist.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::Var;
using namespace ir;

constexpr int kMostSteps = 16;  // vectors of a column operand that are multiplied without a loop
constexpr int kFewSteps = 2;    // and for which a whole piece of columns stays in registers
constexpr int kTogether = 4;    // columns that members add from registers
constexpr int kSums = 8;        // independent sums hide the latency of multiply-adds

class ColumnsAcross final : public Plane {
 public:
  ColumnsAcross(TiledContext& context, TiledFunctions& functions, bool revisit)
      : Plane(context, functions, revisit), pieces_(tiling_.block / tiling_.lanes) {
    signature_.steady = column_;
  }

 private:
  Expr column(const Expr& j, const Expr& n) override {
    return block(n / pieces_) * tiling_.block + n % pieces_ * tiling_.lanes + j;
  }

  Pieces walk(const Expr& first, const std::string& name) override {
    RDom n(0, pieces_, first, blocks_from(first), name);
    n.where(n.x < pieces_of(n.y));
    return {n, n.y * pieces_ + n.x};
  }

  // A chunk of one block always has that block.
  Expr blocks_from(const Expr& first) const {
    return tiling_.chunk == 1 && Halide::Internal::is_const_zero(first) ? Expr(1) : here_ - first;
  }

  Expr pieces_of(const Expr& n) { return (columns_of(n) + tiling_.lanes - 1) / tiling_.lanes; }

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
    Worklist todo(graph_, {term});
    while (const auto id = todo.next()) {
      if (context_.is_row_operand(*id) || panel_of(*id)) continue;
      if (const auto place = context_.source.places.find(*id);
          context_.source.leaves[*id] && place != context_.source.places.end()) {
        const std::vector<AxisId>& layout = place->second.layout;
        if (std::ranges::find(layout, axis) == layout.end()) continue;
        if (layout.back() != axis) return 0;
        found = true;
        continue;
      }
      todo.add(graph_.node(*id).inputs);
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
    return term_along(at, term, graph_.node(node.inputs[0]).type.has(axis));
  }

  void define_contraction(Contraction& result, NodeId id, double scale,
                          const std::vector<Var>& vars, std::vector<Expr>& guards) override {
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
    if (has_member(raw)) raw.bound_storage(var(kernel_.shared), kernel_.members);
    raw.bound_extent(j, tiling_.lanes).reorder_storage(order_of(raw)).vectorize(j);
    int stage = 0;
    if (const auto found = trees_.find(raw.name()); found != trees_.end()) {
      Tree& tree = found->second;
      const RVar l = tree.lanes.x;
      raw.update(stage++).reorder(l, j).atomic().vectorize(l).vectorize(j);
      Func& partial = tree.partial;
      partial.compute_at(at, level).store_in(Halide::MemoryType::Stack);
      if (has_member(partial)) partial.bound_storage(var(kernel_.shared), kernel_.members);
      std::vector<Var> order{lane};
      for (const Var& v : order_of(raw)) order.push_back(v);
      partial.reorder_storage(order).bound_extent(lane, tree_width(tree)).vectorize(lane).unroll(j);
      // All of a column for every member, then the next one: addresses ascend at a steady pace.
      std::vector<Halide::VarOrRVar> ascending{lane, tree.steps.x};
      if (has_member(partial)) ascending.push_back(var(kernel_.shared));
      ascending.push_back(j);
      partial.update().reorder(ascending).vectorize(lane);
      const Expr extent = Halide::Internal::simplify(tree.steps.x.extent());
      const std::int64_t* const steps = Halide::Internal::as_const_int(extent);  // lies in it
      if (steps && *steps <= kMostSteps) partial.update().unroll(tree.steps.x);
      if (steps && *steps <= kFewSteps) partial.update().unroll(j);
    }
    if (const auto rest = serial_.find(raw.name()); rest != serial_.end())
      raw.update(stage).reorder(j, rest->second.x).vectorize(j);
  }

  bool has_member(const Func& f) const {
    return kernel_.shared != kNone && std::ranges::any_of(f.args(), [&](const Var& v) {
             return v.name() == var(kernel_.shared).name();
           });
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

  void schedule_panel(Panel& panel, std::span<const Definition> definitions) override {
    Func& f = panel.func;
    const Var r("r"), j("j"), n("n");
    f.compute_root().bound(j, 0, tiling_.lanes).reorder_storage(order_of(f));
    f.bound_storage(n, pieces_ * tiling_.chunk).bound_storage(r, tiling_.rows);
    for (const AxisId axis : panel.inner) bind_inner(f, axis);
    for (std::size_t number = 0; number < definitions.size(); ++number) {
      const Definition& definition = definitions[number];
      std::vector<Halide::VarOrRVar> order{j};
      if (has_member(f)) order.push_back(var(kernel_.shared));
      order.push_back(r);
      for (auto axis = panel.inner.rbegin(); axis != panel.inner.rend(); ++axis)
        if (*axis != kernel_.shared) order.push_back(var(*axis));
      order.insert(order.end(), {definition.dom.x, definition.dom.y});
      f.update(static_cast<int>(number)).reorder(order).vectorize(j);
      for (auto& [key, contraction] : contractions_)
        if (definition.contractions.contains(contraction.func.name()))
          schedule_contraction(contraction.func, f, r);
    }
  }

  // --- folds over columns

  void over_columns(const PlaneReduction& reduction) override {
    const Split parts = split(reduction);
    const Panel& x = panel(*wanted_.find(parts.panel));
    State state{&reduction, {}, parts.features, -1};
    for (const AxisId axis : context_.other_axes(graph_.node(reduction.node).type))
      if (std::ranges::find(parts.features, axis) == parts.features.end())
        state.inner.push_back(axis);
    Func f =
        parts.features.empty() ? across_lanes(state, parts, x) : along_features(state, parts, x);
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
      for (const AxisId axis : *axes) bind_inner(f, axis);
  }

  // One fold for each lane, then one over the lanes.
  Func across_lanes(const State& state, const Split& parts, const Panel& x) {
    const NodeId id = state.reduction->node;
    const Node& node = graph_.node(id);
    const ReduceFn fn = std::get<Reduce>(node.op).fn;
    const std::string name = std::to_string(id);
    const Var r("r"), j("j");
    const Pieces all = walk(Expr(0), "c" + name);
    const Point p = point(r, j, all.n, state.inner);
    Expr value = x.func(panel_arguments(x, r, j, all.n, p.scope));
    value = Halide::cast(emitter_.type(node.type.dtype), weighed(value, parts.others, p));
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

  // Times factors of columns. The last vector goes on past the columns that there are.
  Expr weighed(Expr value, const std::vector<Factor>& factors, const Point& p) {
    const Point outer = std::exchange(point_, p);
    for (const Factor& factor : factors)
      value = with_factor(value, factor, Halide::cast<float>(emitter_.value(factor.node, p.scope)));
    point_ = outer;
    return value;
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

  // How many features the accumulators in registers hold: whole rows if they fit.
  struct Register {
    int width, lanes;
    Halide::TailStrategy tail;
  };

  // --- folds that bring features: whole rows of their operand, one column after the other

  // Of the columns at lanes j of pieces n.
  Expr featured(const State& state, const Split& parts, const Panel& x, const Expr& j,
                const Expr& n, std::vector<Expr>& guards) {
    std::vector<AxisId> axes = state.inner;
    axes.insert(axes.end(), state.features.begin(), state.features.end());
    const Point p = point(Var("r"), j, n, axes);
    Expr value = x.func(panel_arguments(x, p.r, p.j, p.n, p.scope));
    if (!parts.others.empty()) value = value * other_factors(parts.others, p, column_, guards);
    return Halide::cast(emitter_.type(graph_.node(state.reduction->node).type.dtype), value);
  }

  Func along_features(const State& state, const Split& parts, const Panel& x) {
    const NodeId id = state.reduction->node;
    const ReduceFn fn = std::get<Reduce>(graph_.node(id).op).fn;
    const std::string name = std::to_string(id);
    const Register tile = register_of(state.features.back());
    const int sums = sums_of(tile);
    const std::vector<Var> vars = fold_vars(state);
    std::vector<Expr> guards;
    Func f("fold" + name);
    if (has_members(state) && sums == 1) {
      for_members(f, state, parts, x, tile, guards);
    } else if (sums == 1) {
      RDom c(0, tiling_.lanes, 0, pieces_, 0, blocks_from(Expr(0)), "c" + name);
      c.where(c.y < pieces_of(c.z));
      c.where(c.x < columns_of(c.z) - c.y * tiling_.lanes);
      fold(f, vars, fn, featured(state, parts, x, c.x, c.z * pieces_ + c.y, guards));
      schedule_features(f, 0, state, tile, {c.x}, {c.y, c.z});
    } else {
      // Few vectors of features: more sums side by side, or each would wait for the last.
      const Var u("u");
      std::vector<Var> wide = vars;
      wide.insert(wide.begin(), u);
      RDom c(0, tiling_.lanes / sums, 0, pieces_, 0, blocks_from(Expr(0)), "c" + name);
      c.where(c.y < columns_of(c.z) / tiling_.lanes);
      Func partial("sums" + name);
      fold(partial, wide, fn,
           featured(state, parts, x, c.x * sums + u, c.z * pieces_ + c.y, guards));
      const RDom all(0, sums, "u" + name);
      std::vector<Expr> at{all.x};
      at.insert(at.end(), vars.begin(), vars.end());
      fold(f, vars, fn, partial(at));
      const RDom rest = add_rest(f, state, parts, x);
      bound_fold(partial, state);
      partial.bound(u, 0, sums).reorder_storage(storage_of(partial));
      schedule_features(partial, 0, state, tile, {u, c.x}, {c.y, c.z});
      partial.update().unroll(u).unroll(c.x);
      schedule_features(f, 0, state, tile, {all.x}, {});
      schedule_features(f, 1, state, tile, {rest.x}, {rest.y});
    }
    if (!guards.empty()) {
      Expr every = Halide::Internal::const_true();
      for (const Expr& guard : guards) every = every && guard;
      guards_.emplace(f.name(), every);
    }
    bound_fold(f, state);
    return f;
  }

  bool has_members(const State& state) const {
    return std::ranges::find(state.inner, kernel_.shared) != state.inner.end();
  }

  // A few columns for every member, then the next few: members pass while these are in the first
  // cache, and memory never waits for long.
  void for_members(Func f, const State& state, const Split& parts, const Panel& x,
                   const Register& tile, std::vector<Expr>& guards) {
    const std::string name = std::to_string(state.reduction->node);
    RDom c(0, kTogether, 0, tiling_.lanes / kTogether, 0, pieces_, 0, blocks_from(Expr(0)),
           "c" + name);
    c.where(c.z < columns_of(c.w) / tiling_.lanes);
    const std::vector<Var> vars = fold_vars(state);
    fold(f, vars, ReduceFn::Sum,
         featured(state, parts, x, c.y * kTogether + c.x, c.w * pieces_ + c.z, guards));
    const RDom rest = add_rest(f, state, parts, x);
    schedule_features(f, 1, state, tile, {rest.x}, {rest.y});
    schedule_features(f, 0, state, tile, {c.x, var(kernel_.shared), c.y}, {c.z, c.w});
    f.update(0).unroll(c.x);
  }

  // The columns after the last whole piece of a block, as one more update; its RDom.
  RDom add_rest(Func f, const State& state, const Split& parts, const Panel& x) {
    RDom rest(0, tiling_.lanes, 0, blocks_from(Expr(0)),
              "rest" + std::to_string(state.reduction->node));
    rest.where(rest.x < columns_of(rest.y) % tiling_.lanes);
    const Expr last = Halide::min(columns_of(rest.y) / tiling_.lanes, pieces_ - 1);
    std::vector<Expr> again;  // known from the first part
    const std::vector<Var> vars = fold_vars(state);
    f(vars) += featured(state, parts, x, rest.x, rest.y * pieces_ + last, again);
    return rest;
  }

  // Features fastest.
  static std::vector<Var> storage_of(const Func& f) {
    std::vector<Var> order = f.args();
    std::rotate(order.begin(), order.begin() + 1, order.begin() + 2);
    return order;
  }

  // In registers: `within` runs inside a tile of features of one row, `around` outside of it.
  void schedule_features(Func f, int update, const State& state, const Register& tile,
                         const std::vector<Halide::VarOrRVar>& within,
                         const std::vector<Halide::VarOrRVar>& around) {
    const Var e = var(state.features.back()), ei("ei"), eo("eo"), r("r");
    if (tile.lanes > 1 && update == 0) f.vectorize(e, tile.lanes, tile.tail);
    std::vector<Halide::VarOrRVar> order{ei};
    order.insert(order.end(), within.begin(), within.end());
    order.insert(order.end(), {eo, r});
    // Members pass while a piece is in the first cache, as rows do, if they do not sooner.
    const auto is_member = [&](const Halide::VarOrRVar& v) {
      return v.name() == var(kernel_.shared).name();
    };
    if (has_members(state) && std::ranges::none_of(within, is_member))
      order.push_back(var(kernel_.shared));
    if (!around.empty()) order.push_back(around.front());
    for (auto axis = state.features.rbegin() + 1; axis != state.features.rend(); ++axis)
      order.push_back(var(*axis));
    for (auto axis = state.inner.rbegin(); axis != state.inner.rend(); ++axis)
      if (*axis != kernel_.shared) order.push_back(var(*axis));
    if (around.size() > 1) order.push_back(around.back());
    auto stage = f.update(update);
    stage.split(e, eo, ei, tile.width, tile.tail).reorder(order);
    if (tile.lanes > 1) stage.vectorize(ei, tile.lanes);
    stage.unroll(ei);
  }

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

  int sums_of(const Register& tile) const {
    int sums = 1;
    while (2 * sums * tile.width / tile.lanes <= kSums && 2 * sums <= tiling_.lanes) sums *= 2;
    return sums;
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

Function lower_columns_step(TiledContext& context, TiledFunctions& functions, bool revisit) {
  return ColumnsAcross(context, functions, revisit).build();
}

}  // namespace fovea::codegen
