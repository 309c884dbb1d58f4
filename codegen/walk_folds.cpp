// What a walk folds block by block, and the terms of sums.
#include <Halide.h>

#include <algorithm>
#include <limits>

#include "codegen/walk.h"
#include "ir/worklist.h"

namespace fovea::codegen {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;

namespace {

constexpr int kUnrolled = 8;  // vectors
constexpr std::uint32_t kSign = 0x80000000;

// An integer as one without sign, in the same order, and back. Halide asks which places of a loop
// can improve on an extreme: of what it sees through, by differences from the first, least integer,
// which wrap around.
Expr ordered(const Expr& x) { return Halide::reinterpret<std::uint32_t>(x) ^ Expr(kSign); }
Expr disordered(const Expr& x) { return Halide::reinterpret<std::int32_t>(x ^ Expr(kSign)); }

}  // namespace

RDom Walk::blocks(const std::string& name, int block) {
  if (now_.chunk > 0) {
    RDom r(0, block, 0, now_.chunk / block, name);
    r.where(position(r.y * block) < degree());
    return r;
  }
  RDom r(0, block, 0, (signature_.extent(axis_) + (block - 1)) / block, name);
  r.where(r.y * block < degree());
  return r;
}

Expr Walk::folded(const PlaneReduction& reduction, const ScopePtr& scope) {
  if (!folds_.contains(reduction.node)) {
    const Along saved = now_;
    now_ = {};
    fold(reduction);
    now_ = saved;
  }
  const Folded& made = folds_.at(reduction.node);
  Func func = made.func;
  const std::vector<Expr> at = arguments(made.dims, scope, {}, {});
  if (made.index < 0) return func(at);
  const Expr largest = func(at)[0];
  if (made.index == 0)
    return Halide::select(largest <= kLowest, -std::numeric_limits<float>::infinity(), largest);
  // Scores that all fell to -inf are excluded, or too large for f32: which, the exact form tells.
  return Halide::select(largest <= kLowest && degree() > 0, not_trusted(), func(at)[made.index]);
}

void Walk::fold(const PlaneReduction& reduction) {
  const bool is_followed =
      std::ranges::any_of(region_.reductions, [&](const PlaneReduction& other) {
        return other.maximum == reduction.node && base_of(other) != Base::none;
      });
  if (is_followed)
    follow(reduction.node);
  else if (base_of(reduction) != Base::none)
    follow(reduction.maximum);
  else if (is_chunked_sum(reduction.node))
    sum_chunks(reduction);
  else if (is_bound(reduction.node))
    find_bound(reduction);
  else
    accumulate_alone(reduction);
}

// Of the exponentials in which a sum is linear; none for a sum that follows no maximum.
Walk::Base Walk::base_of(const PlaneReduction& reduction) {
  if (reduction.maximum == kNone) return Base::none;
  return reduction.base_two ? Base::two : Base::natural;
}

bool Walk::is_chunked_sum(NodeId reduction) const {
  const Node& node = graph_.node(reduction);
  return node.type.dtype == Dtype::F32 && std::get<Reduce>(node.op).fn == ReduceFn::Sum;
}

// --- terms

// A sum's term is cut in two where weights without features multiply values that have them.
Walk::Term Walk::term_of(NodeId reduction) const {
  const Node& node = graph_.node(reduction);
  const Dims dims = dims_of(node.type);
  Term term;
  const Product product = product_of(graph_, node.inputs[0], source_.leaves);
  term.negative = product.negative;
  for (const Factor& factor : product.factors) {
    const bool features = !dims.empty() && graph_.node(factor.node).type.has(dims.front());
    (features ? term.values : term.weights).push_back(factor);
  }
  return term;
}

Expr Walk::product(const std::vector<Factor>& factors, bool negative, const ScopePtr& scope) {
  Expr all;
  for (const Factor& factor : factors) {
    const Expr value = Halide::cast<float>(emitter_.value(factor.node, scope, true));
    if (!all.defined())
      all = factor.inverted ? 1.f / value : value;
    else
      all = factor.inverted ? all / value : all * value;
  }
  if (!all.defined()) return negative ? -1.f : 1.f;
  return negative ? all * -1.f : all;
}

// The weights of a term at a place, from a Func that holds those of a chunk; 0 beyond the walk's
// end.
Expr Walk::staged(NodeId reduction, const Term& term, const Expr& local, const ScopePtr& scope,
                  std::vector<Func>& stages) {
  const auto is_weight = [&](NodeId id) {
    const auto found = stabilised(graph_, id);
    return now_.weight.defined() && found && found->maximum == now_.maximum;
  };
  if (term.weights.size() == 1 && is_weight(term.weights[0].node) && !term.negative)
    return emitter_.value(term.weights[0].node, scope);
  Type type;
  for (const Factor& factor : term.weights)
    for (const AxisId axis : graph_.node(factor.node).type.axes) type.axes.push_back(axis);
  const Dims dims = dims_of(type);
  Func weights(name("weights", reduction));
  const Along saved = now_;
  Site site;
  now_.site = &site;
  const RDom r = blocks(name("rw", reduction), now_.block);
  const Expr at = r.y * now_.block + r.x;
  now_.local = at;
  const Expr value = product(term.weights, term.negative, scope_at(dims, at));
  const std::vector<Expr> here = arguments(dims, scope_of(dims), at, chunk());
  weights(vars(dims, true, true)) = Halide::undef(Halide::Float(32));
  weights(here) = Halide::select(position(at) < degree(), value, 0.f);
  across_block(weights.update(), dims, r, are_friendly(term.weights, dims), false);
  finish(site, weights, r.y);
  weights.bound_extent(Var("n"), now_.chunk);
  stages.push_back(weights);
  now_ = saved;
  bound(weights, dims);
  return weights(arguments(dims, scope, local, chunk()));
}

// --- loops

// A stage over a block: the fastest dimension, then the places of the block, then the rest.
void Walk::across_block(Halide::Stage stage, const Dims& dims, const RDom& r, bool lanes,
                        bool block) {
  std::vector<Halide::VarOrRVar> order;
  if (!dims.empty()) order.push_back(var(dims.front()));
  order.push_back(r.x);
  for (std::size_t n = 1; n < dims.size(); n++) order.push_back(var(dims[n]));
  order.push_back(r.y);
  stage.reorder(order);
  const bool few = dims.empty() || (dims.size() == 1 && signature_.fixed_extent(dims[0]) >= 0 &&
                                    signature_.fixed_extent(dims[0]) <= source_.target.lanes);
  if (lanes && !dims.empty()) across_lanes(stage, dims.front());
  if (block && few)
    stage.allow_race_conditions().vectorize(r.x);  // places of a block differ: there are none
  else
    stage.unroll(r.x);
}

// Accumulators of the fastest dimension in registers, while the neighbours of a block pass.
void Walk::accumulate(Func& func, const Dims& dims, const RDom& r, bool friendly) {
  Halide::Stage stage = func.update();
  if (dims.empty()) {
    stage.reorder(r.x, r.y).unroll(r.x);
    return;
  }
  const Var x = var(dims.front());
  const std::int64_t extent = signature_.fixed_extent(dims.front());
  const int lanes = width(dims.front());
  const bool whole = friendly && extent >= 0 && extent % lanes == 0;
  const std::int64_t vectors = whole ? extent / lanes : 0;
  std::vector<Halide::VarOrRVar> order{x, r.x};
  const Var panel("panel");
  if (vectors > kUnrolled && vectors % kUnrolled == 0) {
    stage.split(x, panel, x, lanes * kUnrolled);
    order.push_back(panel);
  }
  for (std::size_t n = 1; n < dims.size(); n++) order.push_back(var(dims[n]));
  order.push_back(r.y);
  stage.reorder(order).unroll(r.x);
  if (friendly) {
    across_lanes(func, dims.front());
    across_lanes(stage, dims.front());
  }
  const bool panelled = vectors > kUnrolled && vectors % kUnrolled == 0;
  if (vectors > 1 && (vectors <= kUnrolled || panelled)) stage.unroll(x);
  if (dims.size() == 2 && vectors >= 1 && signature_.fixed_extent(dims[1]) >= 1 &&
      vectors * signature_.fixed_extent(dims[1]) <= kUnrolled)
    stage.unroll(var(dims[1]));
}

// --- folds by blocks

// What no order of folding changes: maxima, integers. They do not mind the last neighbour once
// more, but for sums.
void Walk::accumulate_alone(const PlaneReduction& reduction) {
  const Node& node = graph_.node(reduction.node);
  const ReduceFn fn = std::get<Reduce>(node.op).fn;
  const Halide::Type type = emitter_.type(node.type.dtype);
  const Dims dims = dims_of(node.type);
  Site site;
  now_.site = &site;
  now_.block = kStreams;
  const RDom r = blocks(name("ra", reduction.node), now_.block);
  const Expr at = r.y * now_.block + r.x;
  now_.local = at;
  const ScopePtr scope = scope_at(dims, at);
  Func func(name("walked", reduction.node));
  const Vars pure = vars(dims, false, false);
  Expr value = Halide::cast(type, emitter_.value(node.inputs[0], scope, true));
  if (fn == ReduceFn::Sum)
    value = Halide::select(at < degree(), value, Halide::Internal::make_zero(type));
  func(pure) = identity(fn, type);
  func(pure) = combine(fn, func(pure), value);
  accumulate(func, dims, r, dims.empty() || is_friendly(node.inputs[0], dims.front()));
  finish(site, func, r.y);
  bound(func, dims);
  place_in_row(func);
  folds_[reduction.node] = {func, dims, -1};
}

// The least or the largest integer of a walk, as checks of coordinates want it.
bool Walk::is_bound(NodeId reduction) const {
  const Node& node = graph_.node(reduction);
  return node.type.dtype == Dtype::I32 && std::get<Reduce>(node.op).fn != ReduceFn::Sum &&
         dims_of(node.type).empty();
}

// Whole blocks lie across the lanes; then comes the rest, one by one.
void Walk::find_bound(const PlaneReduction& reduction) {
  const Node& node = graph_.node(reduction.node);
  const bool max = std::get<Reduce>(node.op).fn == ReduceFn::Max;
  Func func(name("bound", reduction.node));
  const Vars pure = vars({}, false, false);
  func(pure) = Expr(max ? std::uint32_t{0} : ~std::uint32_t{0});
  const auto better = [&](const Expr& x) {
    return max ? Halide::max(func(pure), ordered(x)) : Halide::min(func(pure), ordered(x));
  };
  Site blocks, rest;
  const int lanes = source_.target.lanes;
  RDom whole(0, lanes, 0, signature_.extent(axis_) / lanes, name("rb", reduction.node));
  whole.where(whole.y * lanes + lanes <= degree());
  now_.site = &blocks;
  now_.block = lanes;
  now_.whole = true;
  now_.local = whole.y * lanes + whole.x;
  const auto term = [&] { return emitter_.value(node.inputs[0], scope_at({}, now_.local)); };
  const Expr x = term();
  func(pure) = better(x);
  func.update(0).atomic().reorder(whole.x, whole.y).vectorize(whole.x);
  finish(blocks, func, whole.y);
  RDom last(0, lanes, name("rl", reduction.node));
  now_.first = Halide::max(degree(), 0) / lanes * lanes;
  last.where(now_.first + last.x < degree());
  now_.site = &rest;
  now_.block = 1;
  now_.local = last.x;
  const Expr y = term();
  func(pure) = better(y);
  func.update(1).unscheduled();
  finish(rest, func, last.x);
  place_in_row(func);
  Func signed_again(name("signed", reduction.node));
  signed_again(pure) = disordered(func(pure));
  folds_[reduction.node] = {signed_again, {}, -1};
}

}  // namespace fovea::codegen
