// The step: one chunk of column blocks for one tile of rows (codegen/tiled.h).
#include <Halide.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "codegen/asserts.h"
#include "codegen/lengths.h"
#include "codegen/plane.h"
#include "ir/require.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;
using Kind = runtime::Argument::Kind;

class RowsAcross final : public Plane {
 public:
  using Plane::Plane;

 private:
  Expr column(const Expr& j, const Expr& n) override { return block(n) * tiling_.block + j; }

  // Columns by register tiles, no further than the last that has any.
  Pieces walk(const Expr& first, const std::string& name) override {
    const int columns = tiling_.score_columns;
    RDom n(0, columns, 0, tiling_.block / columns, 0, tiling_.chunk, name);
    n.where(n.z >= first && n.z < here_);
    n.where(n.y < walked(n.z) * (step() / columns));
    return {n, n.z, n.y * columns + n.x};
  }

  // Panels end with whole register tiles: of scores, and of sums over rows where there are any.
  int step() const {
    const bool folds_rows = std::ranges::any_of(
        context_.region.reductions, [](const PlaneReduction& each) { return !each.over_columns; });
    return folds_rows ? std::lcm(tiling_.score_columns, tiling_.value_rows) : tiling_.score_columns;
  }

  // How many such steps block n has.
  Expr walked(const Expr& n) { return (columns_of(n) + step() - 1) / step(); }

  void define_contraction(Contraction& result, NodeId id, double scale,
                          const std::vector<Var>& vars, std::vector<Expr>& guards) override {
    const Node& node = graph_.node(id);
    const Reduce& reduce = std::get<Reduce>(node.op);
    RDom d(0, signature_.extent(reduce.axis), "d" + std::to_string(id));
    point_.scope->at[reduce.axis] = d.x;
    Expr term;
    if (reduce.fn == ReduceFn::Sum && is_float(node.type.dtype)) {
      term = product_term(node.inputs[0], scale, guards);
    } else {
      term = Halide::cast(emitter_.type(node.type.dtype),
                          emitter_.value(node.inputs[0], point_.scope));
      invariant(scale == 1, "only sums are scaled");
    }
    term = term_along(d.x, term, graph_.node(node.inputs[0]).type.has(reduce.axis));
    fold(result.func, vars, reduce.fn, term);
    contraction_axes_[result.func.name()] = {d.x};
  }

  bool chains() const override { return true; }

  // An update for each.
  void define_chain(Contraction& result, std::span<const Scaled> sums,
                    const std::vector<Var>& vars) override {
    Func& f = result.func;
    f(vars) = 0.F;
    for (const auto& [id, scale] : sums) {
      const Node& node = graph_.node(id);
      const AxisId axis = std::get<Reduce>(node.op).axis;
      std::vector<Halide::RVar>& axes = contraction_axes_[f.name()];
      const std::string name = "d" + std::to_string(id) + "_" + std::to_string(axes.size());
      const RDom d(0, signature_.extent(axis), name);
      axes.push_back(d.x);
      point_ = point(vars[0], vars[1], vars[2], result.inner);
      point_.scope->at[axis] = d.x;
      std::vector<Expr> guards;
      Expr term = product_term(node.inputs[0], scale, guards);
      for (const Expr& guard : guards) term = Halide::select(guard, term, 0.F);
      f(vars) += term_along(d.x, term, graph_.node(node.inputs[0]).type.has(axis));
    }
  }

  Expr plane_input(NodeId id, const ScopePtr& scope) override {
    const Expr staged = stages_.load(id, scope, point_, blocks_, partial_);
    return staged.defined() ? staged : Plane::plane_input(id, scope);
  }

  // Rows to store. Halide's checks take it that vectors may begin at each of them.
  int room() const { return tiling_.rows + (has_asserts() ? tiling_.lanes - 1 : 0); }

  void schedule_panel(Panel& panel, std::span<const Definition> definitions) override {
    Func& f = panel.func;
    f.compute_root().bound_storage(Var("r"), room()).bound_extent(Var("j"), tiling_.block);
    for (const AxisId axis : panel.inner) f.bound(var(axis), 0, signature_.extent(axis));
    for (std::size_t n = 0; n < definitions.size(); ++n)
      schedule_definition(panel, static_cast<int>(n), definitions[n]);
  }

  // By register tiles where it has contractions, which are the head of each.
  void schedule_definition(const Panel& panel, int number, const Definition& definition) {
    Func f = panel.func;
    const Var r("r"), ri("ri"), ro("ro");
    const RDom& all = definition.dom;
    const bool heavy = definition.heavy();
    std::vector<Halide::VarOrRVar> order{ri, ro, all.x, all.y};
    if (heavy) order = {ri, all.x, all.y, ro};
    for (auto axis = panel.inner.rbegin(); axis != panel.inner.rend(); ++axis)
      order.push_back(var(*axis));
    order.push_back(all.z);
    auto update = f.update(number);
    update.split(r, ro, ri, tiling_.score_rows).reorder(order).vectorize(ri, tiling_.lanes);
    const bool repeats = !is_long(f.update_value(number));
    if (repeats) update.unroll(ri);
    if (repeats && heavy) update.unroll(all.x);
    for (auto& [key, contraction] : contractions_)
      if (definition.contractions.contains(contraction.func.name()))
        schedule_contraction(contraction.func, f, all.y);
    StageLoops loops{all.z, panel.inner, {}, {}};
    if (heavy) loops.rows = ro, loops.columns = all.y;
    stages_.schedule(f, loops, definition.partial);
  }

  void schedule_contraction(Func raw, const Func& panel, const Halide::RVar& tile) {
    const Var r("r"), j("j");
    raw.compute_at(panel, tile)
        .store_in(Halide::MemoryType::Stack)
        .bound_extent(r, tiling_.score_rows)
        .bound_extent(j, tiling_.score_columns)
        .vectorize(r, tiling_.lanes)
        .unroll(r)
        .unroll(j);
    const std::vector<Halide::RVar>& axes = contraction_axes_.at(raw.name());
    for (std::size_t n = 0; n < axes.size(); ++n)
      raw.update(static_cast<int>(n))
          .reorder(r, j, axes[n])
          .vectorize(r, tiling_.lanes)
          .unroll(r)
          .unroll(j);
  }

  // --- folds over columns

  // The fold of this chunk alone, over rows of the tile.
  void over_columns(const PlaneReduction& reduction) override {
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
    for (auto axis = parts.features.rbegin(); axis != parts.features.rend(); ++axis)
      vars.push_back(var(*axis));
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
    keep({&reduction, inner, parts.features, -1}, f);
  }

  void schedule_over_columns(Func f, const std::vector<AxisId>& features,
                             const std::vector<AxisId>& inner, RDom c) {
    const Var r("r"), ri("ri"), ro("ro"), ei("ei"), eo("eo");
    std::vector<Halide::VarOrRVar> outside;
    f.compute_root().bound_storage(r, room());
    for (const AxisId axis : inner) f.bound(var(axis), 0, signature_.extent(axis));
    for (const AxisId axis : features) f.bound(var(axis), 0, signature_.extent(axis));
    for (auto axis = inner.rbegin(); axis != inner.rend(); ++axis) outside.push_back(var(*axis));
    if (features.empty()) {
      f.vectorize(r, tiling_.lanes);
      std::vector<Halide::VarOrRVar> order{ri, c.x, ro, c.y};
      order.insert(order.end(), outside.begin(), outside.end());
      f.update()
          .split(r, ro, ri, tiling_.fold_rows)
          .reorder(order)
          .vectorize(ri, tiling_.lanes)
          .unroll(ri);
      return;
    }
    const Var e = var(features.back());
    const Columns columns = value_columns(features.back());
    if (columns.lanes > 1) f.vectorize(e, columns.lanes, columns.tail);
    std::vector<Halide::VarOrRVar> order{ei, ri, c.x, c.y, ro, eo};
    for (auto axis = features.rbegin() + 1; axis != features.rend(); ++axis)
      order.push_back(var(*axis));
    order.insert(order.end(), outside.begin(), outside.end());
    auto update = f.update();
    update.split(r, ro, ri, tiling_.value_rows)
        .split(e, eo, ei, columns.width, columns.tail)
        .reorder(order);
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
      if (extent >= 0 && extent % width == 0)
        return {width, tiling_.lanes, Halide::TailStrategy::RoundUp};
    if (extent > 0 && extent < tiling_.lanes && (extent & (extent - 1)) == 0)
      return {int(extent), int(extent), Halide::TailStrategy::RoundUp};
    return {tiling_.lanes, tiling_.lanes, Halide::TailStrategy::GuardWithIf};
  }

  // --- folds over rows, added to stored accumulators in place

  void over_rows(const PlaneReduction& reduction) override {
    const Node& node = graph_.node(reduction.node);
    const Reduce& reduce = std::get<Reduce>(node.op);
    const Split parts = split(reduction);
    const Panel& x = panel(*wanted_.find(parts.panel));
    const Place& place = context_.source.places.at(reduction.node);
    const std::string id = std::to_string(reduction.node);
    const int height = tiling_.value_rows;
    RDom c(0, tiling_.rows, 0, height, 0, tiling_.block / height, 0, tiling_.chunk, "c" + id);
    c.where(c.w < here_ && c.x < signature_.extent(row_) - first_row_);
    c.where(c.z < walked(c.w) * (step() / height));
    const Expr column = c.z * height + c.y;
    std::vector<AxisId> others = context_.other_axes(node.type);
    const Point p = point(c.x, column, c.w, others);
    Expr value = x.func(panel_arguments(x, c.x, column, c.w, p.scope));
    std::vector<Expr> guards;
    if (!parts.others.empty()) value = value * other_factors(parts.others, p, row_, guards);
    for (const Expr& guard : guards) value = Halide::select(guard, value, 0.f);
    std::vector<Var> vars;
    std::vector<Expr> at;
    for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis) {
      vars.push_back(var(*axis));
      at.push_back(p.scope->at[*axis]);
    }
    Func f("onto" + id);
    value = Halide::cast(emitter_.type(node.type.dtype), value);
    if (value.type().is_bool()) value = Halide::cast<std::uint8_t>(value);
    f(vars) = Halide::undef(value.type());
    const bool real = value.type().is_float();
    const double infinity = std::numeric_limits<double>::infinity();
    double initial = 0;
    switch (reduce.fn) {
      case ReduceFn::Sum: f(at) += value; break;
      case ReduceFn::Max:
        f(at) = real ? Halide::select(value > f(at) || not_a_number(value), value, f(at))
                     : Halide::max(f(at), value);
        initial = -infinity;
        break;
      case ReduceFn::Min:
        f(at) = real ? Halide::select(value < f(at) || not_a_number(value), value, f(at))
                     : Halide::min(f(at), value);
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
      f.update().reorder(c.x, c.y, c.z, c.w);
      return;
    }
    const Var ei("ei"), eo("eo"), e = var(features.back());
    const Columns columns = value_columns(features.back());
    std::vector<Halide::VarOrRVar> order{ei, c.y, c.x, eo, c.z};
    for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis)
      if (*axis != column_ && *axis != features.back() && !context_.is_batch(*axis))
        order.push_back(var(*axis));
    order.push_back(c.w);
    auto update = f.update();
    update.split(e, eo, ei, columns.width, columns.tail).reorder(order);
    if (columns.lanes > 1) update.vectorize(ei, columns.lanes);
    update.unroll(ei).unroll(c.y);
  }

  std::map<std::string, std::vector<Halide::RVar>> contraction_axes_;  // by update
};

}  // namespace

Function lower_step(TiledContext& context, TiledFunctions& functions, bool revisit) {
  return context.kernel.lanes == Lanes::Columns ? lower_columns_step(context, functions, revisit)
                                                : RowsAcross(context, functions, revisit).build();
}

}  // namespace fovea::codegen
