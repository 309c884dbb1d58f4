#include <Halide.h>

#include "codegen/tiled.h"

#include <algorithm>
#include <limits>

#include "ir/error.h"

namespace fovea::codegen {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;
using Kind = runtime::Argument::Kind;

Tiling tiling_of(const Kernel& kernel, const Target& target) {
  const bool many = target.registers >= 32;
  Tiling tiling{kernel.row_tile, kernel.column_block, kernel.chunk, target.lanes, 0, 0, 0, 0, 0};
  // Accumulators fill the registers but for what the operands of one multiply-add need.
  tiling.score_rows = (many ? 3 : 2) * target.lanes;
  tiling.score_columns = many ? 8 : 6;
  tiling.value_rows = 6;
  tiling.value_columns = (many ? 4 : 2) * target.lanes;
  // Enough independent sums to hide the latency of an addition.
  tiling.fold_rows = tiling.rows % (6 * target.lanes) == 0 ? 6 * target.lanes : tiling.score_rows;
  return tiling;
}

bool TiledContext::is_batch(AxisId axis) const {
  return axis != kernel.shared && std::ranges::find(region.batch, axis) != region.batch.end();
}

std::vector<AxisId> TiledContext::other_axes(const Type& type) const {
  std::vector<AxisId> result;
  for (AxisId a = 0; a < static_cast<AxisId>(source.graph.axes.size()); a++)
    if (type.has(a) && a != kernel.row && a != kernel.column && !is_batch(a)) result.push_back(a);
  return result;
}

std::vector<std::int64_t> TiledContext::extents(const Signature& signature,
                                                const std::vector<AxisId>& axes) const {
  std::vector<std::int64_t> result;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
    result.push_back(*axis == kernel.row      ? tiling.rows
                     : *axis == kernel.shared ? kernel.members
                                              : signature.fixed_extent(*axis));
  return result;
}

std::vector<runtime::Size> TiledContext::sizes(const std::vector<AxisId>& axes) const {
  const auto number = [](int count) {
    return runtime::Size{{runtime::SizeTerm::Kind::number, count}};
  };
  std::vector<runtime::Size> result;
  for (const AxisId axis : axes)
    result.push_back(axis == kernel.row      ? number(tiling.rows)
                     : axis == kernel.shared ? number(kernel.members)
                                             : extent_size(axis));
  return result;
}

Halide::Type TiledContext::packed_type(const Node& node, double scale) {
  if (scale != 1 || is_float(node.type.dtype)) return Halide::Float(32);
  return node.type.dtype == Dtype::Bool ? Halide::UInt(8) : Halide::Int(32);
}

const Packed& TiledContext::pack(NodeId id, double scale) {
  const Scaled what{id, scale};
  const auto known = std::ranges::find(packed, what, &Packed::what);
  if (known != packed.end()) return *known;
  const Node& node = source.graph.node(id);
  const Halide::Type type = packed_type(node, scale);
  Packed fresh{what, other_axes(node.type), -1};
  fresh.buffer = add({source.name + ".packed" + std::to_string(packed.size()),
                      runtime::Buffer::Role::scratch,
                      type.is_uint()    ? runtime::Type::boolean
                      : type.is_float() ? runtime::Type::f32
                                        : runtime::Type::i32,
                      sizes(packed_axes(fresh))});
  packed.push_back(std::move(fresh));
  return packed.back();
}

std::vector<AxisId> TiledContext::packed_axes(const Packed& operand) const {
  std::vector<AxisId> axes = operand.axes;
  axes.insert(kernel.lanes == Lanes::Rows ? axes.end() : axes.begin(), kernel.row);
  return axes;
}

bool TiledContext::touches_memory(NodeId id) const {
  std::vector<NodeId> stack{id};
  std::set<NodeId> seen;
  while (!stack.empty()) {
    const NodeId at = stack.back();
    stack.pop_back();
    if (!seen.insert(at).second) continue;
    if (source.leaves[at]) return true;
    for (const NodeId input : source.graph.node(at).inputs) stack.push_back(input);
  }
  return false;
}

bool TiledContext::is_row_operand(NodeId id) const {
  const Type& type = source.graph.node(id).type;
  if (!type.has(kernel.row) || type.has(kernel.column) || !touches_memory(id)) return false;
  return plane_reductions_of(source.graph, id, kernel.row, kernel.column, source.leaves).empty();
}

ScopePtr TiledContext::scope(Emitter& emitter, Signature& signature, const Expr& row) const {
  ScopePtr scope = emitter.scope();
  for (std::size_t n = 0; n < region.batch.size(); n++)
    scope->at[region.batch[n]] = signature.number(Kind::batch, static_cast<int>(n),
                                                  "at_" + source.graph.axis(region.batch[n]).name);
  scope->at[kernel.row] = signature.number(Kind::row, 0, "row") + row;
  return scope;
}

Expr TiledContext::first_member(Signature& signature) const {
  const auto at = std::ranges::find(region.batch, kernel.shared);
  invariant(at != region.batch.end(), "a shared axis is one of the batch");
  return signature.number(Kind::batch, static_cast<int>(at - region.batch.begin()),
                          "at_" + source.graph.axis(kernel.shared).name);
}

Expr TiledContext::coordinate(Signature& signature, AxisId axis, const Expr& n) const {
  return axis == kernel.shared ? first_member(signature) + n : n;
}

Expr TiledContext::within(Signature& signature, AxisId axis, const Expr& at) const {
  return axis == kernel.shared ? Halide::Internal::simplify(at - first_member(signature)) : at;
}

RDom TiledContext::present(Signature& signature, const std::string& name) const {
  const auto left = [&](AxisId axis, const Expr& first, int most) {
    return most == 1 ? Expr(1) : Halide::min(signature.extent(axis) - first, most);
  };
  const Expr rows = left(kernel.row, signature.number(Kind::row, 0, "row"), tiling.rows);
  if (kernel.shared == kNone) return RDom(0, rows, name);
  return RDom(0, rows, 0, left(kernel.shared, first_member(signature), kernel.members), name);
}

bool TiledContext::is_followed(NodeId maximum) const {
  return std::ranges::any_of(region.reductions,
                             [&](const PlaneReduction& other) { return other.maximum == maximum; });
}

bool TiledContext::is_base_two(NodeId maximum) const {
  for (NodeId id = 0; id < static_cast<NodeId>(source.graph.nodes.size()); id++)
    if (const auto found = stabilised(source.graph, id);
        found && found->maximum == maximum && found->base_two)
      return true;
  return false;
}

Expr TiledContext::state_at(const State& state, Signature& signature, const Emitter& emitter,
                            const ScopePtr& scope, const Expr& r) const {
  std::vector<AxisId> axes = state.inner;
  axes.push_back(kernel.row);
  axes.insert(axes.end(), state.features.begin(), state.features.end());
  const Dtype dtype = source.graph.node(state.reduction->node).type.dtype;
  const Halide::Type type = dtype == Dtype::Bool ? Halide::UInt(8) : emitter.type(dtype);
  Halide::ImageParam image = signature.buffer(state.buffer, type, extents(signature, axes));
  std::vector<Expr> at;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
    at.push_back(*axis == kernel.row ? r : within(signature, *axis, scope->at[*axis]));
  return image(at);
}

Expr TiledContext::state_value(const State& state, Signature& signature, const Emitter& emitter,
                               const ScopePtr& scope, const Expr& r) const {
  const NodeId id = state.reduction->node;
  const Expr kept = state_at(state, signature, emitter, scope, r);
  if (is_followed(id)) {
    const Expr value = is_base_two(id) ? kept : kept * 0.69314718056f;
    return Halide::select(kept <= -std::numeric_limits<float>::max(),
                          -std::numeric_limits<float>::infinity(), value);
  }
  const bool truth = source.graph.node(id).type.dtype == Dtype::Bool;
  return truth ? kept != Halide::cast<std::uint8_t>(0) : kept;
}

std::vector<NodeId> TiledContext::plane_results(bool late) const {
  std::vector<NodeId> found;
  for (const NodeId id : kernel.results)
    if (is_on_plane(source.graph, kernel, id) &&
        late !=
            plane_reductions_of(source.graph, id, kernel.row, kernel.column, source.leaves).empty())
      found.push_back(id);
  return found;
}

namespace {

Var var(AxisId axis) { return Var("a" + std::to_string(axis)); }

void setup(Emitter& emitter, Signature& signature, const Source& source) {
  emitter.extent = [&signature](AxisId axis) { return signature.extent(axis); };
  emitter.checked = source.checked;
}

// Dimensions of a buffer as Vars, fastest first.
std::vector<Var> vars_of(const std::vector<AxisId>& axes, AxisId row, const Var& r) {
  std::vector<Var> result;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
    result.push_back(*axis == row ? r : var(*axis));
  return result;
}

// Zeros in all columns of the tile's rows.
Func zeros(TiledContext& context, Signature& signature, Emitter& emitter, NodeId result) {
  const AxisId row = context.kernel.row;
  const Place& place = context.source.places.at(result);
  RDom r(0, context.tiling.rows, "zeros" + std::to_string(result));
  r.where(r.x < signature.extent(row) - signature.number(Kind::row, 0, "row"));
  const ScopePtr scope = context.scope(emitter, signature, r.x);
  std::vector<Var> pure;
  std::vector<Expr> at;
  std::vector<Halide::VarOrRVar> order;
  for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis) {
    const bool given = *axis == row || context.is_batch(*axis);
    pure.push_back(var(*axis));
    at.push_back(given ? scope->at[*axis] : Expr(pure.back()));
    if (!given) order.push_back(pure.back());
  }
  order.push_back(r.x);
  Func f("empty" + std::to_string(result));
  const Dtype dtype = context.source.graph.node(result).type.dtype;
  const Expr zero = encode(place.dtype, Halide::Internal::make_zero(emitter.type(dtype)));
  f(pure) = Halide::undef(zero.type());
  f(at) = zero;
  promise(f.output_buffer(), signature.fixed_extents(place), true);
  f.update().reorder(order);
  const AxisId last = place.layout.back();
  if (last != row && !context.is_batch(last))
    f.update().vectorize(var(last), context.tiling.lanes, Halide::TailStrategy::GuardWithIf);
  return f;
}

}  // namespace

Function lower_prepare(TiledContext& context, const std::map<NodeId, double>& initial) {
  Signature signature(context.source.graph, context.source.places);
  Emitter emitter(context.source.graph, false);
  setup(emitter, signature, context.source);
  emitter.resolve = [&](NodeId id, const ScopePtr& scope) {
    return context.source.leaves[id]
               ? signature.load(id, scope, {context.kernel.row, context.kernel.shared})
               : Expr();
  };
  Function function;
  function.name = context.source.name + "_prepare";
  const AxisId row = context.kernel.row;
  const int lanes = context.tiling.lanes;
  const Expr there = Halide::min(signature.extent(row) - signature.number(Kind::row, 0, "row"),
                                 context.tiling.rows);
  // Only the rows that there are: by whole vectors where rows lie fastest.
  const auto fill = [&](Func f, const std::vector<AxisId>& axes, int buffer, auto value_at) {
    const bool in_lanes = axes.back() == row && context.tiling.rows % lanes == 0;
    const RDom rows(0, in_lanes ? lanes : 1, 0, in_lanes ? (there + lanes - 1) / lanes : there,
                    "rows_" + f.name());
    const Expr r = in_lanes ? rows.y * lanes + rows.x : Expr(rows.y);
    const std::vector<Var> vars = vars_of(axes, row, Var("r"));
    std::vector<Expr> at;
    std::vector<Halide::VarOrRVar> order;
    for (const Var& v : vars) {
      at.push_back(v.name() == "r" ? r : Expr(v));
      if (v.name() == "r")
        order.insert(order.end(), {rows.x, rows.y});
      else
        order.push_back(v);
    }
    const Expr value = value_at(r);
    f(vars) = Halide::undef(value.type());
    f(at) = value;
    f.update().reorder(order);
    const auto extents = context.extents(signature, axes);
    promise(f.output_buffer(), extents, true);
    if (in_lanes)
      f.update().allow_race_conditions().vectorize(rows.x);
    else if (extents[0] >= lanes && axes.back() != row)
      f.update().vectorize(vars[0], lanes, Halide::TailStrategy::GuardWithIf);
    signature.add_result(buffer);
    function.outputs.push_back(f);
  };
  for (std::size_t n = 0; n < context.packed.size(); n++) {
    const Packed& packed = context.packed[n];
    const auto value = [&](const Expr& r) {
      const ScopePtr scope = context.scope(emitter, signature, r);
      for (const AxisId axis : packed.axes)
        scope->at[axis] = context.coordinate(signature, axis, var(axis));
      Expr x = emitter.value(packed.what.first, scope);
      if (packed.what.second != 1) x = Halide::cast<float>(x) * float(packed.what.second);
      return x.type().is_bool() ? Halide::cast<std::uint8_t>(x) : x;
    };
    fill(Func("packed" + std::to_string(n)), context.packed_axes(packed), packed.buffer, value);
  }
  for (const State& state : context.states) {
    std::vector<AxisId> axes = state.inner;
    axes.push_back(row);
    axes.insert(axes.end(), state.features.begin(), state.features.end());
    const Node& node = context.source.graph.node(state.reduction->node);
    const Halide::Type type =
        node.type.dtype == Dtype::Bool ? Halide::UInt(8) : emitter.type(node.type.dtype);
    const auto value = [&](const Expr&) {
      return Halide::Internal::make_const(type, initial.at(state.reduction->node));
    };
    fill(Func("begin" + std::to_string(state.reduction->node)), axes, state.buffer, value);
  }
  // What no block is visited for.
  if (context.kernel.visible != kNone)
    for (const bool late : {false, true})
      for (const NodeId id : context.plane_results(late)) {
        function.outputs.push_back(zeros(context, signature, emitter, id));
        signature.add_result(context.source.places.at(id).buffer);
      }
  function.halide = signature.halide();
  function.arguments = signature.runtime();
  return function;
}

Function lower_finish(TiledContext& context, int& doubt) {
  const Graph& graph = context.source.graph;
  const AxisId row = context.kernel.row;
  Signature signature(graph, context.source.places);
  Emitter emitter(graph, false);
  setup(emitter, signature, context.source);
  const Expr first = signature.number(Kind::row, 0, "row");
  const AxisId shared = context.kernel.shared;
  const Expr first_member = shared == kNone ? Expr(0) : context.first_member(signature);
  emitter.resolve = [&](NodeId id, const ScopePtr& scope) -> Expr {
    if (context.source.leaves[id]) return signature.load(id, scope, {row});
    for (const State& state : context.states)
      if (state.reduction->node == id)
        return context.state_value(state, signature, emitter, scope, scope->at[row] - first);
    return {};
  };
  const auto is_walked = [&](AxisId axis) {
    return axis == row || axis == shared || context.is_batch(axis);
  };
  Function function;
  function.name = context.source.name + "_finish";
  for (const NodeId result : context.kernel.results) {
    const auto* reduction = context.region.find(result);
    const bool on_plane = is_on_plane(graph, context.kernel, result);
    if (on_plane || (reduction && !reduction->over_columns)) continue;  // already where it belongs
    const Place& place = context.source.places.at(result);
    const RDom r = context.present(signature, "r" + std::to_string(result));
    const ScopePtr scope = context.scope(emitter, signature, r.x);
    if (shared != kNone) scope->at[shared] = first_member + r.y;
    std::vector<Var> pure;
    std::vector<Expr> at;
    for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis) {
      pure.push_back(var(*axis));
      if (is_walked(*axis)) {
        at.push_back(scope->at[*axis]);
      } else {
        scope->at[*axis] = pure.back();
        at.push_back(pure.back());
      }
    }
    Func f("result" + std::to_string(result));
    const Expr value = encode(place.dtype, emitter.value(result, scope));
    f(pure) = Halide::undef(value.type());
    f(at) = value;
    promise(f.output_buffer(), signature.fixed_extents(place), true);
    const AxisId last = place.layout.back();
    std::vector<Halide::VarOrRVar> order;
    for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis)
      if (!is_walked(*axis)) order.push_back(var(*axis));
    order.push_back(r.x);
    if (shared != kNone) order.push_back(r.y);
    if (order.size() > 1) f.update().reorder(order);
    const std::int64_t width = signature.fixed_extent(last);
    if (!is_walked(last) && (width < 0 || width >= context.tiling.lanes))
      f.update().vectorize(var(last), context.tiling.lanes, Halide::TailStrategy::GuardWithIf);
    signature.add_result(place.buffer);
    function.outputs.push_back(f);
  }
  // Rows whose scores all fell to -inf: masked, or too large for f32.
  std::vector<const State*> maxima;
  for (const State& state : context.states)
    if (context.is_followed(state.reduction->node) &&
        std::ranges::all_of(state.inner, [&](AxisId axis) { return axis == shared; }))
      maxima.push_back(&state);
  if (!maxima.empty()) {
    const std::vector<AxisId> axes =
        shared == kNone ? std::vector<AxisId>{row} : std::vector<AxisId>{shared, row};
    runtime::Buffer buffer{context.source.name + ".doubt", runtime::Buffer::Role::scratch,
                           runtime::Type::i32, context.sizes(axes)};
    doubt = context.add(buffer);
    const Var r("r"), m("m");
    const ScopePtr scope = context.scope(emitter, signature, r);
    if (shared != kNone) scope->at[shared] = first_member + m;
    Expr fell = Halide::Internal::const_false();
    for (const State* state : maxima)
      fell = fell || context.state_at(*state, signature, emitter, scope, r) ==
                         -std::numeric_limits<float>::max();
    for (const AxisId axis : axes) fell = fell && scope->at[axis] < signature.extent(axis);
    Func f("doubt");
    f(shared == kNone ? std::vector<Var>{r} : std::vector<Var>{r, m}) = Halide::select(fell, 1, 0);
    f.vectorize(r, std::min(context.tiling.lanes, context.tiling.rows),
                Halide::TailStrategy::GuardWithIf);
    promise(f.output_buffer(), context.extents(signature, axes), true);
    signature.add_result(doubt);
    function.outputs.push_back(f);
  }
  function.halide = signature.halide();
  function.arguments = signature.runtime();
  return function;
}

// Of a mask that not every head has, `all` or `any` over those that have it.
static Expr inline_fold(Emitter& emitter, NodeId id, const Reduce& reduce, const Graph& graph,
                        const ScopePtr& scope) {
  const bool truth = graph.node(id).type.dtype == Dtype::Bool;
  const RDom r(0, emitter.extent(reduce.axis), "over" + std::to_string(id));
  Expr x = emitter.value(graph.node(id).inputs[0], emitter.with(scope, reduce.axis, r.x));
  if (truth) x = Halide::cast<std::uint8_t>(x);
  switch (reduce.fn) {
    case ReduceFn::Sum: return Halide::sum(r, x);
    case ReduceFn::Max: x = Halide::maximum(r, x); break;
    case ReduceFn::Min: x = Halide::minimum(r, x); break;
    case ReduceFn::ArgMax: invariant(false, "a mask does not hold an argmax");
  }
  return truth ? x != Halide::cast<std::uint8_t>(0) : x;
}

Function lower_evaluate(TiledContext& context) {
  const Graph& graph = context.source.graph;
  const Kernel& kernel = context.kernel;
  Signature signature(graph, context.source.places);
  Emitter emitter(graph, false);
  setup(emitter, signature, context.source);
  emitter.resolve = [&](NodeId id, const ScopePtr& scope) {
    if (context.source.leaves[id]) return signature.load(id, scope, {kernel.row, kernel.column});
    const Reduce* reduce = std::get_if<Reduce>(&graph.node(id).op);
    if (!reduce || is_multiple(graph, id)) return Expr();
    return inline_fold(emitter, id, *reduce, graph, scope);
  };
  Function function;
  function.name = context.source.name + "_evaluate";
  const int lanes = context.tiling.lanes, block = context.tiling.block;
  for (const bool any : {true, false}) {
    const NodeId condition = any ? kernel.visible : kernel.solid;
    const Var x("x"), n("n");
    // Lanes of columns first, then their fold.
    Func wide(any ? "any_wide" : "all_wide"), f(any ? "any" : "all");
    RDom r(0, context.tiling.rows, 0, block / lanes, any ? "rany" : "rall");
    r.where(r.x < signature.extent(kernel.row) - signature.number(Kind::row, 0, "row"));
    const ScopePtr scope = context.scope(emitter, signature, r.x);
    const Expr column = n * block + r.y * lanes + x;
    scope->at[kernel.column] = column;
    Expr holds = condition == kNone ? Halide::Internal::const_true()
                                    : emitter.value(condition, scope);
    const Expr inside = column < signature.extent(kernel.column);
    holds = Halide::cast<std::uint8_t>(any ? holds && inside : holds || !inside);
    const Expr one = Halide::cast<std::uint8_t>(1), zero = Halide::cast<std::uint8_t>(0);
    wide(x, n) = any ? zero : one;
    wide(x, n) = any ? wide(x, n) | holds : wide(x, n) & holds;
    RDom l(0, lanes, any ? "lany" : "lall");
    f(n) = any ? zero : one;
    f(n) = any ? f(n) | wide(l, n) : f(n) & wide(l, n);
    wide.compute_at(f, n).bound_extent(x, lanes).vectorize(x).update().reorder(x, r.x, r.y).vectorize(x);
    Var outer("no"), inner("ni");
    f.compute_root();
    Func out(any ? "any_out" : "all_out");
    out(n) = f(n);
    f.compute_at(out, n);
    promise(out.output_buffer(), {-1}, true);
    function.outputs.push_back(out);
  }
  function.halide = signature.halide();
  function.arguments = signature.runtime();
  function.arguments.push_back({Kind::any, 0});
  function.arguments.push_back({Kind::all, 0});
  return function;
}

Function lower_mask(const Source& source, const Kernel& kernel, const Region& region) {
  TiledContext context{source, kernel, region, tiling_of(kernel, source.target), {}, {}, {}};
  return lower_evaluate(context);
}

// How the states of two parts of a tile become one.
static std::vector<runtime::Tiled::State> state_rules(const TiledContext& context) {
  const auto axes_of = [&](const State& state) {
    std::vector<AxisId> axes = state.inner;
    axes.push_back(context.kernel.row);
    axes.insert(axes.end(), state.features.begin(), state.features.end());
    return axes;
  };
  using Rule = runtime::Tiled::State;
  std::vector<Rule> rules;
  for (const State& state : context.states) {
    const ReduceFn fn = std::get<Reduce>(context.source.graph.node(state.reduction->node).op).fn;
    Rule rule{state.buffer, Rule::Fold::sum, -1, {}};
    if (fn == ReduceFn::Max) rule.fold = Rule::Fold::max;
    if (fn == ReduceFn::Min) rule.fold = Rule::Fold::min;
    const std::vector<AxisId> axes = axes_of(state);
    for (std::size_t n = 0; n < context.states.size(); n++) {
      if (context.states[n].reduction->node != state.reduction->maximum) continue;
      rule.follows = static_cast<int>(n);
      for (const AxisId axis : axes_of(context.states[n]))
        rule.along.push_back(static_cast<int>(std::ranges::find(axes, axis) - axes.begin()));
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

// Cycles or so of one element of the plane: a vector of multiply-adds each, and a column's operands
// come once to a tile.
static double pair_work(const TiledContext& context, const Signature& signature) {
  constexpr double kOpenFeature = 64, kPerCycle = 32, kOfReading = 8;
  const Graph& graph = context.source.graph;
  const auto extent_of = [&](AxisId axis) {
    const std::int64_t fixed = signature.fixed_extent(axis);
    return fixed < 0 ? kOpenFeature : static_cast<double>(fixed);
  };
  const auto copies = [&](const Type& type) {
    double all = 1;
    for (const AxisId axis : context.other_axes(type))
      if (axis != context.kernel.shared) all *= extent_of(axis);
    return all;
  };
  double products = 1;
  std::set<NodeId> seen;
  std::vector<NodeId> stack;
  for (const PlaneReduction& reduction : context.region.reductions) {
    if (const double features = copies(graph.node(reduction.node).type); features > 1)
      products += features;
    stack.push_back(graph.node(reduction.node).inputs[0]);
  }
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    const Node& node = graph.node(id);
    if (context.source.leaves[id] || !seen.insert(id).second) continue;
    if (const Reduce* reduce = std::get_if<Reduce>(&node.op);
        reduce && node.type.has(context.kernel.row) && node.type.has(context.kernel.column))
      products += extent_of(reduce->axis) * copies(node.type);
    for (const NodeId input : node.inputs) stack.push_back(input);
  }
  const double rows = context.tiling.rows * std::max(context.kernel.members, 1);
  return products * (1 + kOfReading / rows) / kPerCycle;
}

TiledFunctions lower_tiled(const Source& source, const Kernel& kernel, const Region& region,
                           const std::function<int(runtime::Buffer)>& add) {
  TiledContext context{source, kernel, region, tiling_of(kernel, source.target), add, {}, {}};
  TiledFunctions functions;
  functions.step = lower_step(context, functions, false);
  if (!context.plane_results(true).empty())
    functions.revisit = lower_step(context, functions, true);
  if (kernel.carries) functions.carried = lower_carry(context);
  std::map<NodeId, double> initial;
  for (const State& state : context.states) {
    const Node& node = source.graph.node(state.reduction->node);
    const Reduce& reduce = std::get<Reduce>(node.op);
    const double infinity = std::numeric_limits<double>::infinity();
    const bool real = is_float(node.type.dtype), truth = node.type.dtype == Dtype::Bool;
    double value = 0;
    if (reduce.fn == ReduceFn::Max) value = truth ? 0 : real ? -infinity : -2147483648.0;
    if (reduce.fn == ReduceFn::Min) value = truth ? 1 : real ? infinity : 2147483647.0;
    initial[state.reduction->node] = value;
  }
  functions.prepare = lower_prepare(context, initial);
  functions.finish = lower_finish(context, functions.doubt);
  functions.states = state_rules(context);
  for (const Packed& packed : context.packed) functions.packed.push_back(packed.buffer);
  functions.pair_work = pair_work(context, Signature(source.graph, source.places));
  return functions;
}

}  // namespace fovea::codegen
