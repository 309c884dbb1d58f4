// What a walk folds: sums that follow a maximum chunk by chunk, everything else block by block.
#include <Halide.h>

#include <algorithm>
#include <limits>

#include "codegen/walk.h"

namespace fovea::codegen {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;

namespace {

constexpr double kLog2e = 1.4426950408889634;
constexpr float kLowest = -std::numeric_limits<float>::max();
constexpr int kChunkValues = 2048;  // scores of a chunk: with their weights, half of an L1 cache
constexpr int kShortestChunk = 64, kLongestChunk = 256;
constexpr int kStreams = 4;   // neighbours that are read at once: it takes as many to hide latency
constexpr int kUnrolled = 8;  // vectors
constexpr std::uint32_t kSign = 0x80000000;

bool includes(const std::vector<AxisId>& dims, const std::vector<AxisId>& some) {
  return std::ranges::all_of(
      some, [&](AxisId axis) { return std::ranges::find(dims, axis) != dims.end(); });
}

// A row with one is computed again, exactly.
Expr not_trusted() { return Halide::reinterpret<float>(Expr(0x7fc00000)); }

// An integer as one without sign, in the same order, and back. Halide asks which places of a loop
// can improve on an extreme: of what it sees through, by differences from the first, least integer,
// which wrap around.
Expr ordered(const Expr& x) { return Halide::reinterpret<std::uint32_t>(x) ^ Expr(kSign); }
Expr disordered(const Expr& x) { return Halide::reinterpret<std::int32_t>(x ^ Expr(kSign)); }

// The sum of f(0), …, f(count - 1), or their maximum, as a tree.
template <class Combine, class Leaf>
Expr tree(int from, int count, const Combine& combine, const Leaf& leaf) {
  if (count == 1) return leaf(from);
  const int half = count / 2;
  return combine(tree(from, half, combine, leaf), tree(from + half, count - half, combine, leaf));
}

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
    return Halide::select(largest <= kLowest, -std::numeric_limits<float>::infinity(),
                          largest * float(1 / made.scale));
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

// Of the exponentials in which a sum is linear; none for a sum that follows no maximum, or in both.
Walk::Base Walk::base_of(const PlaneReduction& reduction) const {
  bool two = false, natural = false;
  std::vector<NodeId> stack{reduction.node};
  std::set<NodeId> seen;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (source_.leaves[id] || !seen.insert(id).second) continue;
    if (const auto found = stabilised(graph_, id); found && found->maximum == reduction.maximum)
      (found->base_two ? two : natural) = true;
    for (const NodeId input : graph_.node(id).inputs) stack.push_back(input);
  }
  if (reduction.maximum == kNone || two == natural) return Base::none;
  return two ? Base::two : Base::natural;
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
  folds_[reduction.node] = {func, dims, -1, 1};
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
  folds_[reduction.node] = {signed_again, {}, -1, 1};
}

// A long sum is one of the sums of its chunks, or it would lose its last digits.
void Walk::sum_chunks(const PlaneReduction& reduction) {
  const Dims dims = dims_of(graph_.node(reduction.node).type);
  begin_chunks({});
  std::vector<Func> stages;
  Func part = chunk_sum(reduction.node, stages), func(name("walked", reduction.node));
  stages.push_back(part);
  const RDom rc = chunks(name("rc", reduction.node));
  const Vars pure = vars(dims, false, false);
  func(pure) = 0.f;
  func(pure) += part(arguments(dims, scope_of(dims), {}, rc.x));
  fold_over_chunks(func, dims, rc, stages);
  folds_[reduction.node] = {func, dims, -1, 1};
}

// --- folds by chunks

void Walk::follow(NodeId maximum) {
  for (const Base base : {Base::natural, Base::two}) {
    std::vector<const PlaneReduction*> sums;
    for (const PlaneReduction& each : region_.reductions)
      if (each.maximum == maximum && base_of(each) == base) sums.push_back(&each);
    Softmax softmax{maximum, graph_.node(maximum).inputs[0], base == Base::two ? 1 : kLog2e, {}, {},
                    {}};
    softmax.heads = dims_of(graph_.node(maximum).type);
    // Sums merge together if one has all the features of the others.
    const auto features = [&](const PlaneReduction* each) {
      return dims_of(graph_.node(each->node).type);
    };
    // They lie in one array: of as many features the first comes first.
    std::ranges::sort(sums, [&](const PlaneReduction* a, const PlaneReduction* b) {
      const std::size_t of_a = features(a).size(), of_b = features(b).size();
      return of_a != of_b ? of_a > of_b : a < b;
    });
    while (!sums.empty()) {
      const Dims dims = features(sums.front());
      std::vector<const PlaneReduction*> together, others;
      for (const PlaneReduction* each : sums)
        (includes(dims, features(each)) ? together : others).push_back(each);
      merge_chunks(softmax, dims, together);
      sums = std::move(others);
    }
  }
}

void Walk::merge_chunks(const Softmax& given, const Dims& dims,
                        const std::vector<const PlaneReduction*>& sums) {
  Softmax softmax = given;
  begin_chunks(softmax.heads);
  now_.maximum = softmax.maximum;
  std::vector<Func> stages{softmax.scores = scores(softmax), softmax.maxima = maxima(softmax)};
  stages.push_back(now_.weight = weights(softmax));
  std::vector<Func> chunk_sums;
  for (const PlaneReduction* sum : sums) chunk_sums.push_back(chunk_sum(sum->node, stages));
  stages.insert(stages.end(), chunk_sums.begin(), chunk_sums.end());

  const RDom rc = chunks(name("rc", softmax.maximum));
  const Vars pure = vars(dims, false, false);
  const ScopePtr scope = scope_of(dims);
  Func state(name("state", softmax.maximum));
  std::vector<Expr> begin{kLowest}, merged;
  begin.resize(1 + sums.size(), 0.f);
  state(pure) = Halide::Tuple(begin);
  const Expr before = state(pure)[0];
  const Expr here = softmax.maxima(arguments(softmax.heads, scope, {}, rc.x));
  const Expr largest = Halide::max(before, here);
  merged.push_back(largest);
  for (std::size_t n = 0; n < sums.size(); n++) {
    const Dims own = dims_of(graph_.node(sums[n]->node).type);
    merged.push_back(state(pure)[n + 1] * exp2_below(before - largest) +
                     chunk_sums[n](arguments(own, scope, {}, rc.x)) * exp2_below(here - largest));
  }
  state(pure) = Halide::Tuple(merged);
  fold_over_chunks(state, dims, rc, stages);
  folds_.try_emplace(softmax.maximum, Folded{state, dims, 0, softmax.scale});
  for (std::size_t n = 0; n < sums.size(); n++)
    folds_[sums[n]->node] = {state, dims, static_cast<int>(n) + 1, softmax.scale};
}

// Blocks fill the lanes, and chunks have whole ones.
void Walk::begin_chunks(const Dims& heads) {
  const std::int64_t values = fixed_size(heads);
  now_ = {};
  now_.block = kStreams;
  while (2 * now_.block * values <= std::max(source_.target.lanes, kStreams)) now_.block *= 2;
  now_.chunk = kShortestChunk;
  while (now_.chunk < kLongestChunk && 2 * now_.chunk * values <= kChunkValues) now_.chunk *= 2;
  const std::int64_t extent = signature_.fixed_extent(axis_);
  while (extent >= 0 && now_.chunk > now_.block && now_.chunk / 2 >= extent) now_.chunk /= 2;
}

RDom Walk::chunks(const std::string& name) {
  const int length = now_.chunk;
  RDom r(0, (signature_.extent(axis_) + (length - 1)) / length, name);
  r.where(r.x * length < degree());
  return r;
}

void Walk::fold_over_chunks(Func& func, const Dims& dims, const RDom& r,
                            std::vector<Func>& stages) {
  std::vector<Halide::VarOrRVar> order;
  for (const AxisId axis : dims) order.push_back(var(axis));
  order.push_back(r.x);
  func.update().reorder(order);
  if (!dims.empty()) across_lanes(func, dims.front()), across_lanes(func.update(), dims.front());
  bound(func, dims);
  place_in_row(func);
  for (Func stage : stages) stage.compute_at(func, r.x);
  now_ = {};
}

bool Walk::are_friendly(const std::vector<Factor>& factors, const Dims& dims) const {
  return dims.empty() || std::ranges::all_of(factors, [&](const Factor& factor) {
           return is_friendly(factor.node, dims.front());
         });
}

Func Walk::scores(const Softmax& softmax) {
  Func func(name("score", softmax.maximum));
  Site site;
  const Along saved = now_;
  now_.site = &site;
  const RDom r = blocks(name("rs", softmax.maximum), now_.block);
  const Expr at = r.y * now_.block + r.x;
  now_.local = at;
  const ScopePtr scope = scope_at(softmax.heads, at);
  Expr value = Halide::cast<float>(emitter_.value(softmax.score, scope));
  if (softmax.scale != 1) value = value * float(softmax.scale);
  func(vars(softmax.heads, true, true)) = Halide::undef(Halide::Float(32));
  func(arguments(softmax.heads, scope, at, chunk())) = value;
  const bool friendly = softmax.heads.empty() || is_friendly(softmax.score, softmax.heads.front());
  across_block(func.update(), softmax.heads, r, friendly, false);
  finish(site, func, r.y);
  now_ = saved;
  bound(func, softmax.heads);
  func.bound_extent(Var("n"), now_.chunk);
  return func;
}

Func Walk::maxima(const Softmax& softmax) {
  Func func(name("largest", softmax.maximum)), score = softmax.scores;
  const ScopePtr scope = scope_of(softmax.heads);
  const Vars pure = vars(softmax.heads, false, true);
  func(pure) = kLowest;
  bound(func, softmax.heads);
  const int block = now_.block;
  if (softmax.heads.empty()) {
    const RDom r = blocks(name("rm", softmax.maximum), block);
    func(pure) = Halide::max(func(pure), score(arguments({}, scope, r.y * block + r.x, chunk())));
    func.update().atomic().reorder(r.x, r.y).vectorize(r.x);
    return func;
  }
  RDom r(0, now_.chunk / block, name("rm", softmax.maximum));
  r.where(position(r.x * block) < degree());
  const auto one = [&](int n) -> Expr {
    return score(arguments(softmax.heads, scope, r.x * block + n, chunk()));
  };
  const auto larger = [](const Expr& a, const Expr& b) { return Halide::max(a, b); };
  func(pure) = Halide::max(func(pure), tree(0, block, larger, one));
  std::vector<Halide::VarOrRVar> order;
  for (const AxisId axis : softmax.heads) order.push_back(var(axis));
  order.push_back(r.x);
  func.update().reorder(order);
  across_lanes(func, softmax.heads.front());
  across_lanes(func.update(), softmax.heads.front());
  return func;
}

Func Walk::weights(const Softmax& softmax) {
  Func func(name("weight", softmax.maximum)), score = softmax.scores, largest = softmax.maxima;
  const RDom r = blocks(name("rp", softmax.maximum), now_.block);
  const Expr at = r.y * now_.block + r.x;
  const ScopePtr scope = scope_of(softmax.heads);
  const std::vector<Expr> here = arguments(softmax.heads, scope, at, chunk());
  const Expr below = score(here) - largest(arguments(softmax.heads, scope, {}, chunk()));
  func(vars(softmax.heads, true, true)) = Halide::undef(Halide::Float(32));
  func(here) = Halide::select(position(at) < degree(), exp2_below(below), 0.f);
  across_block(func.update(), softmax.heads, r, true, true);
  bound(func, softmax.heads);
  func.bound_extent(Var("n"), now_.chunk);
  return func;
}

// A sum over one chunk.
Func Walk::chunk_sum(NodeId reduction, std::vector<Func>& stages) {
  const Dims dims = dims_of(graph_.node(reduction).type);
  const Term term = term_of(reduction);
  Site site;
  const Along saved = now_;
  Func func(name("sum", reduction));
  const Vars pure = vars(dims, false, true);
  func(pure) = 0.f;
  const bool bare = term.values.empty() && dims.empty();
  if (!bare) now_.block = kStreams;
  const RDom r = blocks(name("ra", reduction), now_.block);
  const Expr at = r.y * now_.block + r.x;
  now_.site = &site;
  now_.local = at;
  const ScopePtr scope = scope_at(dims, at);
  Expr value;
  if (!term.weights.empty()) {
    now_.block = saved.block;
    value = staged(reduction, term, at, scope, stages);
    now_.block = bare ? saved.block : kStreams;
  }
  if (!term.values.empty()) {
    const Expr values = product(term.values, term.weights.empty() && term.negative, scope);
    value = value.defined() ? value * values : values;
  }
  if (term.weights.empty() && !now_.weight.defined())
    value = Halide::select(position(at) < degree(), value, 0.f);
  func(pure) += value;
  const bool friendly = are_friendly(term.values, dims);
  if (bare)
    func.update().atomic().reorder(r.x, r.y).vectorize(r.x);
  else
    accumulate(func, dims, r, friendly);
  finish(site, func, r.y);
  bound(func, dims);
  now_ = saved;
  return func;
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

}  // namespace fovea::codegen
