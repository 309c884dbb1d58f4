// What a walk folds chunk by chunk: sums that follow a maximum, and sums long enough to be parted.
#include <Halide.h>

#include <algorithm>
#include <numbers>

#include "codegen/walk.h"

namespace fovea::codegen {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;

namespace {

constexpr int kChunkValues = 2048;  // scores of a chunk: with their weights, half of an L1 cache
constexpr int kShortestChunk = 64, kLongestChunk = 256;

bool includes(const std::vector<AxisId>& dims, const std::vector<AxisId>& some) {
  return std::ranges::all_of(
      some, [&](AxisId axis) { return std::ranges::find(dims, axis) != dims.end(); });
}

// The sum of f(0), …, f(count - 1), or their maximum, as a tree.
template <class Combine, class Leaf>
Expr tree(int from, int count, const Combine& combine, const Leaf& leaf) {
  if (count == 1) return leaf(from);
  const int half = count / 2;
  return combine(tree(from, half, combine, leaf), tree(from + half, count - half, combine, leaf));
}

}  // namespace

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
  folds_[reduction.node] = {func, dims, -1};
}

void Walk::follow(NodeId maximum) {
  for (const Base base : {Base::natural, Base::two}) {
    std::vector<const PlaneReduction*> sums;
    for (const PlaneReduction& each : region_.reductions)
      if (each.maximum == maximum && base_of(each) == base) sums.push_back(&each);
    Softmax softmax{maximum,
                    graph_.node(maximum).inputs[0],
                    base == Base::two ? 1 : std::numbers::log2e,
                    {},
                    {},
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
  const Expr keep = exp2_below((before - largest) * float(softmax.scale));
  const Expr take = exp2_below((here - largest) * float(softmax.scale));
  merged.push_back(largest);
  for (std::size_t n = 0; n < sums.size(); n++) {
    const Dims own = dims_of(graph_.node(sums[n]->node).type);
    merged.push_back(state(pure)[n + 1] * keep +
                     chunk_sums[n](arguments(own, scope, {}, rc.x)) * take);
  }
  state(pure) = Halide::Tuple(merged);
  fold_over_chunks(state, dims, rc, stages);
  folds_.try_emplace(softmax.maximum, Folded{state, dims, 0});
  for (std::size_t n = 0; n < sums.size(); n++)
    folds_[sums[n]->node] = {state, dims, static_cast<int>(n) + 1};
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
  const bool tuples = func.outputs() > 1;
  if (!dims.empty()) {
    across_lanes(func, dims.front(), tuples);
    across_lanes(func.update(), dims.front(), tuples);
  }
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
  const Expr value = Halide::cast<float>(emitter_.value(softmax.score, scope));
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
  const Expr below =
      (rounded(score(here)) - largest(arguments(softmax.heads, scope, {}, chunk()))) *
      float(softmax.scale);
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

}  // namespace fovea::codegen
