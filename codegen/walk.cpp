// Kernels that walk one axis for each point of their result: the neighbours of a node, ragged or
// gathered. Features and heads lie across the lanes; nothing is stored along the axis but what a
// block, or a chunk of one row, holds.
#include <Halide.h>

#include <algorithm>

#include "codegen/walk.h"
#include "ir/query.h"
#include "ir/worklist.h"

namespace fovea::codegen {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::Var;
using namespace ir;

namespace {

constexpr int kUnrolled = 8;   // vectors
constexpr int kStep = 8;       // features of a sum that share the arithmetic of addresses
constexpr int kFewHeads = 16;  // whose sums across lanes are made at once

}  // namespace

Walk::Walk(const Source& source, const Region& region, Signature& signature, const Result& result)
    : source_(source),
      graph_(source.graph),
      region_(region),
      signature_(signature),
      result_(result.node),
      place_(result.place),
      axis_(region.column),
      emitter_(source.graph, false) {
  emitter_.extent = [this](AxisId axis) { return signature_.extent(axis); };
  emitter_.checked = source.checked;
  emitter_.resolve = [this](NodeId id, const ScopePtr& scope) { return resolve(id, scope); };
  find_inner();
}

// --- axes

// Features are the fastest axes of the result along which neither the end of the walk nor what it
// gathers differs; all but the last of a size that is known.
void Walk::find_inner() {
  std::set<AxisId> dependent;
  const auto add = [&](const Type& type) { dependent.insert(type.axes.begin(), type.axes.end()); };
  if (const NodeId degree = graph_.axis(axis_).degree; degree != kNone)
    add(graph_.node(degree).type);
  for (const Node& node : graph_.nodes) {
    if (!is_read(node)) continue;
    for (std::size_t n = 1; n < node.inputs.size(); n++)
      if (graph_.node(node.inputs[n]).type.has(axis_)) add(graph_.node(node.inputs[n]).type);
  }
  std::size_t count = place_.layout.size();
  while (count > 0 && !dependent.contains(place_.layout[count - 1]) &&
         (inner_.empty() || signature_.fixed_extent(place_.layout[count - 1]) >= 0))
    inner_.push_back(place_.layout[--count]);
  for (std::size_t n = count; n > 0; n--) outer_.push_back(place_.layout[n - 1]);
}

Walk::Dims Walk::dims_of(const Type& type) const {
  Dims own, shared;
  const auto has = [](const Dims& dims, AxisId axis) {
    return std::ranges::find(dims, axis) != dims.end();
  };
  for (auto axis = static_cast<AxisId>(graph_.axes.size()); axis-- > 0;)
    if (type.has(axis) && axis != axis_ && !has(inner_, axis) && !has(outer_, axis))
      own.push_back(axis);
  for (const AxisId axis : inner_)
    if (type.has(axis)) shared.push_back(axis);
  own.insert(own.end(), shared.begin(), shared.end());
  return own;
}

std::int64_t Walk::fixed_size(const Dims& dims) const {
  std::int64_t size = 1;
  for (const AxisId axis : dims) size *= std::max<std::int64_t>(signature_.fixed_extent(axis), 1);
  return size;
}

ScopePtr Walk::scope_of(const Dims& dims) {
  ScopePtr scope = emitter_.scope();
  for (const AxisId axis : outer_) scope->at[axis] = var(axis);
  for (const AxisId axis : dims) scope->at[axis] = var(axis);
  return scope;
}

Expr Walk::degree() {
  const NodeId degree = graph_.axis(axis_).degree;
  return degree == kNone ? signature_.extent(axis_) : emitter_.value(degree, scope_of({}));
}

Expr Walk::position(const Expr& local) const {
  if (now_.chunk > 0) return Var("c") * now_.chunk + local;
  return now_.first.defined() ? now_.first + local : local;
}

Expr Walk::chunk() const { return now_.chunk > 0 ? Expr(Var("c")) : Expr(); }

// The last of a row stands in for those that a block has too many.
ScopePtr Walk::scope_at(const Dims& dims, const Expr& local) {
  ScopePtr scope = scope_of(dims);
  const Expr last = Halide::max(signature_.extent(axis_), 1) - 1;
  scope->at[axis_] =
      now_.whole ? position(local) : promised(Halide::min(position(local), degree() - 1), 0, last);
  return scope;
}

Walk::Vars Walk::vars(const Dims& dims, bool along, bool chunked) const {
  Vars result;
  for (const AxisId axis : dims) result.push_back(var(axis));
  if (along) result.emplace_back("n");
  if (chunked) result.emplace_back("c");
  for (const AxisId axis : outer_) result.push_back(var(axis));
  return result;
}

std::vector<Expr> Walk::arguments(const Dims& dims, const ScopePtr& scope, const Expr& local,
                                  const Expr& chunk) const {
  std::vector<Expr> result;
  // What lacks an axis is the same all along it.
  for (const AxisId axis : dims)
    result.push_back(scope->at[axis].defined() ? scope->at[axis] : Expr(0));
  if (local.defined()) result.push_back(local);
  if (chunk.defined()) result.push_back(chunk);
  for (const AxisId axis : outer_) result.push_back(scope->at[axis]);
  return result;
}

// --- schedules

int Walk::width(AxisId axis, bool tuples) const {
  const std::int64_t extent = signature_.fixed_extent(axis);
  const int lanes = source_.target.lanes;
  if (extent < 0 || extent % lanes == 0) return lanes;
  if (extent < lanes) return static_cast<int>(std::max<std::int64_t>(extent, 1));
  int divisor = lanes;
  while (extent % divisor != 0) divisor /= 2;
  // Halide 14 may forget, in updates of tuples, that the last vector ends before its lanes do: it
  // computes all of it, past the end of memory, or the vector before it again.
  return divisor >= 4 || tuples ? divisor : lanes;
}

void Walk::across_lanes(Halide::Stage stage, AxisId axis, bool tuples) const {
  const std::int64_t extent = signature_.fixed_extent(axis);
  const int lanes = width(axis, tuples);
  if (lanes <= 1) return;
  const bool whole = extent >= 0 && extent % lanes == 0;
  stage.vectorize(var(axis), lanes,
                  whole ? Halide::TailStrategy::Auto : Halide::TailStrategy::GuardWithIf);
}

void Walk::bound(Func& func, const Dims& dims) const {
  for (const AxisId axis : dims)
    if (const std::int64_t extent = signature_.fixed_extent(axis); extent >= 0)
      func.bound(var(axis), 0, static_cast<int>(extent));
}

void Walk::place_in_row(Func& func) const {
  if (outer_.empty())
    func.compute_root();
  else
    func.compute_at(out_, var(outer_.front()));
}

void Walk::finish(const Site& site, Func& consumer, const RVar& block) const {
  for (Func func : site.funcs) func.compute_at(consumer, block).bound_extent(Var("n"), now_.block);
}

std::string Walk::name(const std::string& what, NodeId id) {
  return what + std::to_string(id) + "_" + std::to_string(serial_++);
}

// --- values

Expr Walk::resolve(NodeId id, const ScopePtr& scope) {
  if (source_.leaves[id]) return signature_.load(id, scope, {});
  const Node& node = graph_.node(id);
  if (const PlaneReduction* reduction = region_.find(id)) return folded(*reduction, scope);
  if (now_.weight.defined())
    if (const auto found = stabilised(graph_, id); found && found->maximum == now_.maximum)
      return now_.weight(
          arguments(dims_of(graph_.node(now_.maximum).type), scope, now_.local, chunk()));
  if (!node.type.has(axis_) || id == now_.defining) return {};
  const bool folds = is_reduce(node) && !is_multiple(graph_, id);
  if (!folds && !is_gathered_coordinate(id)) return {};
  const auto known = now_.site->made.find(id);
  Func func = known != now_.site->made.end() ? known->second
              : folds                        ? contraction(id)
                                             : coordinate(id);
  return func(arguments(dims_of(node.type), scope, now_.local, chunk()));
}

// Integers that are read along the walk: kept for a block, or they would be read again for each
// feature.
bool Walk::is_gathered_coordinate(NodeId id) const {
  const Node& node = graph_.node(id);
  return is_integer(node.type.dtype) && is_read(node);
}

Func Walk::coordinate(NodeId id) {
  const Dims dims = dims_of(graph_.node(id).type);
  Func func(name("at", id));
  const Along saved = now_;
  now_.local = Var("n");
  now_.defining = id;
  func(vars(dims, true, now_.chunk > 0)) = emitter_.value(id, scope_at(dims, Var("n")));
  if (now_.whole)
    func.vectorize(Var("n"), now_.block);
  else
    func.unroll(Var("n"));
  now_ = saved;
  bound(func, dims);
  now_.site->made.emplace(id, func);
  now_.site->funcs.push_back(func);
  return func;
}

// A fold of features at each place of the walk: with these across the lanes if they lie so in
// memory, else with the fastest axis that is left.
Func Walk::contraction(NodeId id) {
  const Dims dims = dims_of(graph_.node(id).type);
  Func func(name("fold", id));
  const Along saved = now_;
  now_.local = Var("n");
  if (const int lanes = feature_lanes(id); lanes > 1)
    sum_features(func, id, dims, lanes);
  else
    fold_features(func, id, dims);
  now_ = saved;
  bound(func, dims);
  now_.site->made.emplace(id, func);
  now_.site->funcs.push_back(func);
  return func;
}

void Walk::sum_features(Func& func, NodeId id, const Dims& dims, int lanes) {
  const Node& node = graph_.node(id);
  const AxisId feature = std::get<Reduce>(node.op).axis;
  const int vectors = static_cast<int>(signature_.fixed_extent(feature)) / lanes;
  const RDom across(0, lanes, name("l", id));
  const Var lane("lane"), n("n");
  const Vars pure = vars(dims, true, now_.chunk > 0);
  Vars part_vars{lane};
  part_vars.insert(part_vars.end(), pure.begin(), pure.end());
  std::vector<Expr> part_at{across.x};
  part_at.insert(part_at.end(), pure.begin(), pure.end());
  Func part(name("part", id));
  const ScopePtr scope = scope_at(dims, n);
  const auto term = [&](const Expr& at) {
    return Halide::cast<float>(
        emitter_.value(node.inputs[0], emitter_.with(scope, feature, at), true));
  };
  std::vector<Halide::VarOrRVar> order{lane};
  if (vectors <= kUnrolled) {
    Expr sum = term(lane);
    for (int vector = 1; vector < vectors; vector++) sum += term(lane + vector * lanes);
    part(part_vars) = sum;
  } else {
    const RDom r(0, vectors, name("r", id));
    part(part_vars) = 0.f;
    part(part_vars) += term(r.x * lanes + lane);
    order.push_back(r.x);
    part.vectorize(lane, lanes);
  }
  order.push_back(n);
  for (const AxisId axis : dims) order.push_back(var(axis));
  Halide::Stage last = vectors <= kUnrolled ? Halide::Stage(part) : part.update();
  last.reorder(order).vectorize(lane, lanes).unroll(n);
  part.bound(lane, 0, lanes);
  bound(part, dims);
  part.bound_extent(n, now_.block).compute_at(func, Var::outermost());
  func(pure) = 0.f;
  func(pure) += part(part_at);
  Halide::Stage update = func.update();
  update.atomic();
  const std::int64_t heads = dims.empty() ? 0 : signature_.fixed_extent(dims.front());
  if (heads > 1 && heads <= kFewHeads) {
    func.vectorize(var(dims.front()), static_cast<int>(heads));
    update.reorder(across.x, var(dims.front()));
    update.vectorize(across.x, lanes).vectorize(var(dims.front()), static_cast<int>(heads));
  } else {
    update.vectorize(across.x, lanes);
  }
}

void Walk::fold_features(Func& func, NodeId id, const Dims& dims) {
  const Node& node = graph_.node(id);
  const Reduce& op = std::get<Reduce>(node.op);
  const RDom r(0, signature_.extent(op.axis), name("r", id));
  const Vars pure = vars(dims, true, now_.chunk > 0);
  const ScopePtr scope = scope_at(dims, Var("n"));
  const Halide::Type type = emitter_.type(node.type.dtype);
  const Expr term = emitter_.value(node.inputs[0], emitter_.with(scope, op.axis, r.x), true);
  func(pure) = identity(op.fn, type);
  func(pure) = combine(
      op.fn, func(pure),
      term_along(r.x, Halide::cast(type, term), graph_.node(node.inputs[0]).type.has(op.axis)));
  const bool friendly = !dims.empty() && is_friendly(node.inputs[0], dims.front());
  const Var x = dims.empty() ? Var("x") : var(dims.front()), n("n");
  const std::int64_t extent = dims.empty() ? -1 : signature_.fixed_extent(dims.front());
  const std::int64_t vectors = friendly && extent >= 0 ? (extent - 1) / width(dims.front()) + 1 : 0;
  // All places of a block side by side, if registers hold them: one alone waits for its own sums.
  const bool together = vectors > 0 && vectors * now_.block <= kUnrolled;
  std::vector<Halide::VarOrRVar> order;
  if (!dims.empty()) order.push_back(x);
  if (together) order.push_back(n);
  order.push_back(r.x);
  if (!together) order.push_back(n);
  for (std::size_t d = 1; d < dims.size(); d++) order.push_back(var(dims[d]));
  func.update().reorder(order);
  if (!friendly) return;
  across_lanes(func, dims.front());
  across_lanes(func.update(), dims.front());
  if (!together) return;
  func.unroll(n);
  func.update().unroll(n);
  if (vectors > 1) func.unroll(x), func.update().unroll(x);
  const std::int64_t features = signature_.fixed_extent(op.axis);
  if (features > 0 && features % kStep == 0) func.update().unroll(r.x, kStep);
}

// How many features of a sum lie across the lanes; 1 if none should.
int Walk::feature_lanes(NodeId id) const {
  const Node& node = graph_.node(id);
  const Reduce& op = std::get<Reduce>(node.op);
  const std::int64_t extent = signature_.fixed_extent(op.axis);
  if (op.fn != ReduceFn::Sum || node.type.dtype != Dtype::F32 || extent < 4) return 1;
  if (!is_friendly(node.inputs[0], op.axis)) return 1;
  int lanes = source_.target.lanes;
  while (extent % lanes != 0) lanes /= 2;
  return lanes >= 4 ? lanes : 1;
}

// Whether values along the axis lie side by side in memory, or are the same.
bool Walk::is_friendly(NodeId root, AxisId axis) const {
  Worklist todo(graph_, {root});
  while (const auto id = todo.next()) {
    const Node& node = graph_.node(*id);
    if (source_.leaves[*id]) {
      const Place& place = source_.places.at(*id);
      if (place.dtype == Dtype::I4 && node.type.has(axis)) return false;
      if (node.type.has(axis) && place.layout.back() != axis) return false;
      continue;
    }
    if (is_read(node))
      for (std::size_t n = 1; n < node.inputs.size(); n++)
        if (graph_.node(node.inputs[n]).type.has(axis)) return false;
    const bool kept = is_reduce(node) && !is_multiple(graph_, *id);
    if (kept) {
      const Dims dims = dims_of(node.type);
      if (node.type.has(axis) && (dims.empty() || dims.front() != axis)) return false;
      continue;
    }
    todo.add(node.inputs);
  }
  return true;
}

// --- the result

Func Walk::build() {
  out_ = Func(source_.name);
  const ScopePtr scope = scope_of(inner_);
  Vars pure;
  for (auto axis = place_.layout.rbegin(); axis != place_.layout.rend(); ++axis)
    pure.push_back(var(*axis));
  out_(pure) = encode(place_.dtype, emitter_.value(result_, scope));
  if (!inner_.empty() && is_friendly(result_, inner_.front()))
    out_.vectorize(var(inner_.front()), width(inner_.front()), Halide::TailStrategy::GuardWithIf);
  promise(out_.output_buffer(), signature_.fixed_extents(place_), false);
  signature_.add_result(place_.buffer);
  return out_;
}

Halide::Func lower_walk(const Source& source, const Region& region, Signature& signature,
                        const Result& result, int& outer) {
  Walk walk(source, region, signature, result);
  outer = walk.outer();
  return walk.build();
}

}  // namespace fovea::codegen
