// Kernels off the plane, and the exact form of every kernel: one loop nest per result, in which
// every fold is a Func computed where it is used.
#include <Halide.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <set>

#include "codegen/column_fold.h"
#include "codegen/lower.h"
#include "codegen/row_sum.h"
#include "ir/query.h"
#include "ir/require.h"
#include "ir/worklist.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;

Expr lowest(const Halide::Type& type) {
  return type.is_float()
             ? Halide::Internal::make_const(type, -std::numeric_limits<double>::infinity())
             : type.min();
}

Expr highest(const Halide::Type& type) {
  return type.is_float()
             ? Halide::Internal::make_const(type, std::numeric_limits<double>::infinity())
             : type.max();
}

// One result and the folds that it needs.
class Nest {
 public:
  Nest(const Source& source, Signature& signature, const Result& result, bool exact, int number)
      : source_(source),
        graph_(source.graph),
        signature_(signature),
        result_(result.node),
        place_(result.place),
        emitter_(source.graph, exact),
        suffix_("_" + std::to_string(number)) {
    emitter_.extent = [&](AxisId axis) { return signature_.extent(axis); };
    emitter_.checked = source.checked;
    emitter_.resolve = [this](NodeId id, const ScopePtr& scope) { return resolve(id, scope); };
  }

  Func build() {
    const Place& place = place_;
    std::vector<Var> vars;
    const ScopePtr scope = emitter_.scope();
    for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis) {
      vars.push_back(var(*axis));
      scope->at[*axis] = vars.back();
    }
    Func out(source_.name + suffix_);
    if (place.dtype == Dtype::I4 && !vars.empty()) {
      // Two elements to a byte; past an odd end the last one again, which nobody reads.
      scope->at[place.layout.back()] = vars[0] * 2;
      const ScopePtr odd =
          emitter_.with(scope, place.layout.back(),
                        Halide::min(vars[0] * 2 + 1, signature_.extent(place.layout.back()) - 1));
      out(vars) =
          encode(place.dtype, emitter_.value(result_, scope)) |
          (encode(place.dtype, emitter_.value(result_, odd)) << Halide::cast<std::uint8_t>(4));
    } else {
      const Expr value = emitter_.value(result_, scope);
      out(vars) = encode(place.dtype, emitter_.marked(result_, source_.leaves, value, scope));
    }
    promise(out.output_buffer(), signature_.fixed_extents(place), false);
    schedule(out, place);
    signature_.add_result(place.buffer);
    return out;
  }

 private:
  struct Fold {
    NodeId id;
    Func func;
    std::vector<AxisId> axes;  // of the Func's arguments, fastest first
    Halide::RVar r;
    std::set<NodeId> inner;     // folds that its update calls
    std::vector<Func> helpers;  // computed where it is, for it alone
    bool plain_sum = false;
  };

  Expr resolve(NodeId id, const ScopePtr& scope) {
    if (source_.leaves[id]) return signature_.load(id, scope, {});
    const Node& node = graph_.node(id);
    if (!is_single_fold(graph_, id)) return {};
    if (!users_.empty())
      users_.back()->insert(id);
    else
      direct_.insert(id);
    const Fold& fold = folds_.contains(id) ? folds_.at(id) : define(id);
    std::vector<Expr> at;
    for (const AxisId axis : fold.axes) at.push_back(scope->at[axis]);
    const Func& func = fold.func;
    const bool indices = !is_scan(node) && func.outputs() > 1;
    return indices ? Expr(func(at)[1]) : Expr(func(at));
  }

  const Fold& define(NodeId id) {
    const Node& node = graph_.node(id);
    Fold fold{id, Func("f" + std::to_string(id) + suffix_), {}, {}, {}, {}, false};
    const ScopePtr scope = emitter_.scope();
    std::vector<Expr> pure;
    std::vector<Var> vars;
    for (auto axis = node.type.axes.rbegin(); axis != node.type.axes.rend(); ++axis) {
      fold.axes.push_back(*axis);
      vars.push_back(var(*axis));
      scope->at[*axis] = vars.back();
    }
    pure.assign(vars.begin(), vars.end());
    users_.push_back(&fold.inner);
    match(
        node.op, [&](const Reduce& op) { reduce(fold, node, op, scope, vars); },
        [&](const Scan& op) { scan(fold, node, op, scope, vars); },
        [&](const TopK& op) { topk(fold, node, op, scope, vars); },
        [&](const Input&) { invariant(false, "an input is not a fold"); },
        [&](const Constant&) { invariant(false, "a constant is not a fold"); },
        [&](const Index&) { invariant(false, "an index is not a fold"); },
        [&](const Map&) { invariant(false, "a map is not a fold"); },
        [&](const Read&) { invariant(false, "a read is not a fold"); });
    users_.pop_back();
    return folds_.emplace(id, std::move(fold)).first->second;
  }

  // The loop over an axis, ended by the degree if it is ragged.
  RDom domain(AxisId axis, const ScopePtr& scope, int extra = 0) {
    RDom r(0, signature_.extent(axis) + extra, "r" + std::to_string(axis) + suffix_);
    if (const NodeId degree = graph_.axis(axis).degree; degree != kNone)
      r.where(r.x < emitter_.value(degree, scope));
    return r;
  }

  Expr term(const Node& node, const ScopePtr& scope, AxisId axis, const Expr& at, bool sum) {
    const Dtype dtype = is_reduce(node, ReduceFn::ArgMax) ? graph_.node(node.inputs[0]).type.dtype
                                                          : node.type.dtype;
    const Halide::Type type = emitter_.type(dtype);
    const Expr x =
        Halide::cast(type, emitter_.value(node.inputs[0], emitter_.with(scope, axis, at), sum));
    return term_along(at, x, graph_.node(node.inputs[0]).type.has(axis));
  }

  void reduce(Fold& fold, const Node& node, const Reduce& op, const ScopePtr& scope,
              const std::vector<Var>& vars) {
    const RDom r = domain(op.axis, scope);
    fold.r = r.x;
    Func& f = fold.func;
    const Expr x = term(node, scope, op.axis, r.x, op.fn == ReduceFn::Sum);
    const Halide::Type type = x.type();
    switch (op.fn) {
      case ReduceFn::Sum:
      case ReduceFn::Max:
      case ReduceFn::Min:
        f(vars) = identity(op.fn, type);
        f(vars) = combine(op.fn, f(vars), x);
        fold.plain_sum = op.fn == ReduceFn::Sum;
        break;
      case ReduceFn::ArgMax: {
        f(vars) = Halide::Tuple(lowest(type), Expr(-1));
        const Expr best = f(vars)[0], index = f(vars)[1];
        // -inf and NaN are never chosen; any integer may be.
        const Expr better = type.is_float() ? x > best : x > best || index < 0;
        f(vars) =
            Halide::Tuple(Halide::select(better, x, best), Halide::select(better, r.x, index));
        break;
      }
    }
  }

  void scan(Fold& fold, const Node& node, const Scan& op, const ScopePtr& scope,
            const std::vector<Var>& vars) {
    const RDom r = domain(op.axis, scope);
    fold.r = r.x;
    const Expr x = term(node, scope, op.axis, r.x, true);
    std::vector<Expr> here(vars.begin(), vars.end()), before = here;
    const auto at = std::ranges::find(fold.axes, op.axis) - fold.axes.begin();
    here[at] = r.x;
    before[at] = Halide::max(r.x - 1, 0);
    Func& f = fold.func;
    f(vars) = Halide::undef(x.type());
    f(here) = Halide::select(r.x == 0, Halide::Internal::make_zero(x.type()), f(before)) + x;
    whole_.insert(fold.id);
  }

  // One pass that keeps the best so far in order, and looks at few: of as many groups as there are
  // places, the least of the greatest bounds what can be among the best.
  void topk(Fold& fold, const Node& node, const TopK& op, const ScopePtr& scope,
            const std::vector<Var>& vars) {
    const NodeId degree = graph_.axis(op.axis).degree;
    const Expr places = signature_.extent(op.into), extent = signature_.extent(op.axis);
    const Expr size =
        degree == kNone ? extent : Halide::clamp(emitter_.value(degree, scope), 0, extent);
    const Dtype dtype = graph_.node(node.inputs[0]).type.dtype;
    const Halide::Type type = emitter_.type(dtype == Dtype::Bool ? Dtype::I32 : dtype);
    const auto at = std::ranges::find(fold.axes, op.into) - fold.axes.begin();
    std::vector<Var> others = vars;
    others.erase(others.begin() + at);
    const auto value = [&](const Expr& j) {
      return Halide::cast(type, emitter_.value(node.inputs[0], emitter_.with(scope, op.axis, j)));
    };
    const bool stored = source_.leaves[node.inputs[0]];
    const Func row = stored ? Func() : row_of(fold, value, extent, others, node.inputs[0], op);
    const auto x = [&](const Expr& j) {
      if (stored) return value(j);
      std::vector<Expr> arguments{j};
      arguments.insert(arguments.end(), others.begin(), others.end());
      return Expr(row(arguments));
    };
    const Func bound =
        bound_of_best(fold, x, type, {places, extent, size}, others, node.inputs[0], op);

    RDom r(0, places, 0, extent, "top" + suffix_);
    if (degree != kNone) r.where(r.y < size);
    r.where(x(r.y) >= bound(others));
    const Expr place = places - 1 - r.x;
    std::vector<Expr> here(vars.begin(), vars.end()), before = here;
    here[at] = place;
    before[at] = Halide::max(place - 1, 0);
    Func& f = fold.func;
    f(vars) = Halide::Tuple(lowest(type), Expr(-1));
    // Excluded elements and NaN beat nothing; any integer beats an empty place.
    const auto beats = [&](const std::vector<Expr>& other) {
      const Expr greater = x(r.y) > f(other)[0];
      return type.is_float() ? greater : greater || f(other)[1] < 0;
    };
    const Expr moves = place > 0 && beats(before);
    const auto next = [&](int part, const Expr& mine) {
      return Halide::select(!beats(here), f(here)[part], moves, f(before)[part], mine);
    };
    f(here) = Halide::Tuple(next(0, x(r.y)), next(1, r.y));
    fold.r = r.x;
    whole_.insert(fold.id);
  }

  struct Extents {
    Expr places, extent, size;
  };

  // What is chosen from, where it is computed: once, for its last bit decides what is equal.
  Func row_of(Fold& fold, const std::function<Expr(const Expr&)>& value, const Expr& extent,
              const std::vector<Var>& others, NodeId elements, const TopK& op) {
    Func row("row" + fold.func.name());
    const Var at("at");
    std::vector<Var> arguments{at};
    arguments.insert(arguments.end(), others.begin(), others.end());
    row(arguments) = value(at);
    row.bound(at, 0, extent);
    if (!emitter_.exact() && friendly(elements, op.axis))
      row.vectorize(at, source_.target.lanes, Halide::TailStrategy::GuardWithIf);
    fold.helpers.push_back(row);
    return row;
  }

  // At least as many elements as there are places are no less than this.
  Func bound_of_best(Fold& fold, const std::function<Expr(const Expr&)>& x,
                     const Halide::Type& type, const Extents& of, const std::vector<Var>& others,
                     NodeId elements, const TopK& op) {
    Func greatest("greatest" + fold.func.name()), bound("bound" + fold.func.name());
    const Var group("group");
    std::vector<Var> groups{group};
    groups.insert(groups.end(), others.begin(), others.end());
    const Expr count = Halide::max(of.places, 1);
    const RDom turn(0, of.extent / count, "turn" + suffix_), each(0, of.places, "each" + suffix_);
    RDom turns = turn;
    if (graph_.axis(op.axis).degree != kNone) turns.where(turn.x < of.size / count);
    greatest(groups) = lowest(type);
    const Expr element = x(turns.x * count + group);
    greatest(groups) = Halide::select(element > greatest(groups), element, greatest(groups));
    bound(others) = highest(type);
    std::vector<Expr> at(groups.begin(), groups.end());
    at[0] = each.x;
    bound(others) = Halide::min(bound(others), greatest(at));
    const std::int64_t places = signature_.fixed_extent(op.into);
    greatest.update().reorder(group, turns.x);
    if (!emitter_.exact() && places >= source_.target.lanes && friendly(elements, op.axis))
      for (Halide::Stage stage : {Halide::Stage(greatest), Halide::Stage(greatest.update())})
        stage.vectorize(group, source_.target.lanes, Halide::TailStrategy::GuardWithIf);
    fold.helpers.insert(fold.helpers.end(), {greatest, bound});
    return bound;
  }

  // --- schedule

  // A fold that one other fold calls along its own loop is computed in that loop; the others once per
  // coordinate of the axes that all of them share.
  void schedule(Func out, const Place& place) {
    std::map<NodeId, std::set<NodeId>> users;
    for (const auto& [id, fold] : folds_)
      for (const NodeId inner : fold.inner) users[inner].insert(id);
    std::set<NodeId> in_loop;
    for (const auto& [id, by] : users) {
      if (by.size() != 1 || direct_.contains(id) || whole_.contains(id)) continue;
      const Node& user = graph_.node(*by.begin());
      const Reduce* reduce = reduce_of(user);
      if (reduce && graph_.node(id).type.has(reduce->axis)) in_loop.insert(id);
    }
    std::vector<AxisId> shared(place.layout.rbegin(), place.layout.rend());
    bool any = false;
    for (const auto& [id, fold] : folds_) {
      if (in_loop.contains(id)) continue;
      any = true;
      std::erase_if(shared, [&](AxisId a) {
        return std::ranges::find(fold.axes, a) == fold.axes.end() || is_walked(id, a);
      });
    }
    const bool single =
        folds_.size() == 1 &&
        graph_.node(result_).type.axes.size() == folds_.begin()->second.axes.size() &&
        direct_.contains(result_) && !is_topk(graph_.node(result_));
    if (!single) order_out(out, place, shared);
    for (auto& [id, fold] : folds_) {
      if (in_loop.contains(id)) {
        Fold& user = folds_.at(*users[id].begin());
        fold.func.compute_at(user.func, user.r);
      } else if (single) {
        tile(out, place, fold);
        return;
      } else if (any && !shared.empty()) {
        fold.func.compute_at(out, var(shared.front()));
        for (Func helper : fold.helpers) helper.compute_at(out, var(shared.front()));
      } else {
        fold.func.compute_root();
        for (Func helper : fold.helpers) helper.compute_root();
      }
      arrange(fold, in_loop, users);
    }
  }

  // Whether the fold runs along the axis itself, so that a piece of it cannot be computed alone.
  bool is_walked(NodeId id, AxisId axis) const { return ordered_axis(graph_.node(id)) == axis; }

  void order_out(Func out, const Place& place, const std::vector<AxisId>& shared) const {
    std::vector<Halide::VarOrRVar> order;
    for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis)
      if (std::ranges::find(shared, *axis) == shared.end()) order.push_back(var(*axis));
    const bool inner = !order.empty();
    for (const AxisId axis : shared) order.push_back(var(axis));
    if (order.size() > 1) out.reorder(order);
    if (!place.layout.empty() && place.dtype != Dtype::I4 &&
        (folds_.empty() ||
         (inner && std::ranges::find(shared, place.layout.back()) == shared.end())))
      vectorize_last(out, place);
  }

  void vectorize_last(Func out, const Place& place) const {
    const AxisId last = place.layout.back();
    if (!friendly(result_, last) && (emitter_.exact() || !is_costly(result_, last))) return;
    const std::int64_t fixed = signature_.fixed_extent(last);
    if (fixed >= 0 && fixed < source_.target.lanes) return;
    out.vectorize(var(last), source_.target.lanes, Halide::TailStrategy::GuardWithIf);
  }

  // Loops of a fold: what its inner folds lack innermost, then its own loop, then the rest.
  void arrange(Fold& fold, const std::set<NodeId>& in_loop,
               const std::map<NodeId, std::set<NodeId>>&) {
    if (whole_.contains(fold.id)) {
      run(fold);
      return;
    }
    std::vector<Halide::VarOrRVar> inside, outside;
    for (const AxisId axis : fold.axes) {
      const bool needed = std::ranges::any_of(fold.inner, [&](NodeId id) {
        return in_loop.contains(id) && graph_.node(id).type.has(axis);
      });
      (needed ? outside : inside).push_back(var(axis));
    }
    if (fold.inner.empty() || inside.empty()) {
      dot(fold);
      return;
    }
    std::vector<Halide::VarOrRVar> order = inside;
    order.push_back(fold.r);
    order.insert(order.end(), outside.begin(), outside.end());
    fold.func.update().reorder(order);
    if (fold.plain_sum && friendly(fold.id, fold.axes.front()) &&
        inside.front().name() == var(fold.axes.front()).name())
      fold.func.update().vectorize(var(fold.axes.front()), source_.target.lanes,
                                   Halide::TailStrategy::GuardWithIf);
  }

  // A running sum goes from row to row, not down one column of them after the other.
  void run(Fold& fold) {
    const Scan* scan = scan_of(graph_.node(fold.id));
    if (!scan || fold.axes.front() == scan->axis) return;
    fold.func.update().reorder(std::vector<Halide::VarOrRVar>{var(fold.axes.front()), fold.r});
  }

  void dot(Fold& fold) {
    if (fold.axes.empty() || !fold.plain_sum || emitter_.exact()) return;
    const AxisId first = fold.axes.front();
    if (!friendly(fold.id, first)) return;
    fold.func.update().reorder(std::vector<Halide::VarOrRVar>{var(first), fold.r});
    fold.func.update().vectorize(var(first), source_.target.lanes,
                                 Halide::TailStrategy::GuardWithIf);
  }

  // A sum that is the result: a tile of accumulators in registers.
  void tile(Func out, const Place& place, Fold& fold) {
    if (place.layout.empty() || whole_.contains(fold.id) || place.dtype == Dtype::I4) {
      fold.func.compute_root();
      for (Func helper : fold.helpers) helper.compute_root();
      return;
    }
    const AxisId x = place.layout.back();
    const bool vector =
        friendly(fold.id, x) && !emitter_.exact() && fold.func.outputs() == 1 && wide_enough(x);
    Var outer("xo"), inner("xi");
    // The fold has all of the tile's width: it must divide the axis, or it would read beyond.
    const int lanes = source_.target.lanes;
    const int width = !vector                                         ? 1
                      : signature_.fixed_extent(x) % (2 * lanes) == 0 ? 2 * lanes
                                                                      : lanes;
    out.split(var(x), outer, inner, width, Halide::TailStrategy::GuardWithIf);
    if (vector) out.vectorize(inner, source_.target.lanes);
    Var rows("yo"), row("yi");
    const bool two = vector && place.layout.size() > 1;
    if (two) {
      const AxisId y = place.layout[place.layout.size() - 2];
      out.split(var(y), rows, row, 4, Halide::TailStrategy::GuardWithIf);
      out.reorder(inner, row, outer, rows);
    }
    fold.func.compute_at(out, outer);
    if (!vector) return;
    fold.func.bound_extent(var(x), width).vectorize(var(x), source_.target.lanes);
    if (two) {
      const AxisId y = place.layout[place.layout.size() - 2];
      fold.func.update().reorder(std::vector<Halide::VarOrRVar>{var(x), var(y), fold.r});
    } else {
      fold.func.update().reorder(std::vector<Halide::VarOrRVar>{var(x), fold.r});
    }
    fold.func.update().vectorize(var(x), source_.target.lanes).unroll(var(x));
  }

  bool wide_enough(AxisId axis) const {
    const std::int64_t fixed = signature_.fixed_extent(axis);
    return fixed < 0 ? false : fixed >= source_.target.lanes && fixed % source_.target.lanes == 0;
  }

  // Whether arithmetic along the axis outweighs loads one by one.
  bool is_costly(NodeId root, AxisId axis) const {
    Worklist todo(graph_, {root});
    while (const auto id = todo.next()) {
      const Node& node = graph_.node(*id);
      if (source_.leaves[*id] || !node.type.has(axis)) continue;
      if (is_fold(node)) return false;
      if (const Map* map = map_of(node); map && is_transcendental(map->fn)) return true;
      todo.add(node.inputs);
    }
    return false;
  }

  // Whether consecutive coordinates of the axis are neighbours in memory, in all that the node loads.
  bool friendly(NodeId root, AxisId axis) const {
    Worklist todo(graph_, {root});
    while (const auto id = todo.next()) {
      const Node& node = graph_.node(*id);
      if (source_.leaves[*id]) {
        const Place& place = source_.places.at(*id);
        const auto& layout = place.layout;
        if (place.dtype == Dtype::I4) return false;
        if (std::ranges::find(layout, axis) != layout.end() && layout.back() != axis) return false;
        continue;
      }
      if (is_read(node)) {
        for (std::size_t n = 1; n < node.inputs.size(); n++)
          if (graph_.node(node.inputs[n]).type.has(axis)) return false;
      }
      if (is_fold(node) && *id != root) {
        if (node.type.has(axis) && node.type.axes.back() != axis) return false;
        continue;
      }
      todo.add(node.inputs);
    }
    return true;
  }

  const Source& source_;
  const Graph& graph_;
  Signature& signature_;
  NodeId result_;
  Place place_;
  Emitter emitter_;
  std::string suffix_;
  std::map<NodeId, Fold> folds_;
  std::vector<std::set<NodeId>*> users_;
  std::set<NodeId> direct_, whole_;
};

}  // namespace

Expr identity(ReduceFn fn, const Halide::Type& type) {
  const bool max = fn == ReduceFn::Max;
  if (fn == ReduceFn::Sum) return Halide::Internal::make_zero(type);
  if (type.is_bool()) return max ? Halide::Internal::const_false() : Halide::Internal::const_true();
  return max ? lowest(type) : highest(type);
}

Expr combine(ReduceFn fn, const Expr& so_far, const Expr& x) {
  const bool max = fn == ReduceFn::Max;
  if (fn == ReduceFn::Sum) return so_far + x;
  if (x.type().is_bool()) return max ? so_far || x : so_far && x;
  const Expr better = max ? x > so_far : x < so_far;
  return Halide::select(x.type().is_float() ? better || not_a_number(x) : better, x, so_far);
}

Expr term_along(const Expr& at, const Expr& x, bool varies) {
  return varies ? x : Halide::select(at >= 0, x, Halide::Internal::make_zero(x.type()));
}

Function lower_plain(const Source& source, const std::vector<Result>& results, bool exact) {
  Signature signature(source.graph, source.places);
  Function function;
  function.name = source.name;
  for (const Result& result : results) {
    const int number = static_cast<int>(function.outputs.size());
    std::optional<Special> special;
    if (!exact) special = lower_contraction(source, signature, result, number);
    if (!exact && !special) special = lower_row_sum(source, signature, result, number);
    if (!exact && !special) special = lower_column_fold(source, signature, result, number);
    function.outputs.push_back(special ? special->func
                                       : Nest(source, signature, result, exact, number).build());
    if (special) function.cuttable = std::min(function.cuttable, special->cuttable);
  }
  function.halide = signature.halide();
  function.arguments = signature.runtime();
  return function;
}

}  // namespace fovea::codegen
