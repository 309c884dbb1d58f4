// A chunk's folds into the tile's state (codegen/plane.h).
#include <Halide.h>

#include <algorithm>
#include <limits>

#include "codegen/plane.h"
#include "ir/error.h"

namespace fovea::codegen {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;
using Kind = runtime::Argument::Kind;

void Plane::keep(State state, const Func& fold) {
  const Node& node = graph_.node(state.reduction->node);
  state.buffer =
      context_.add({context_.source.name + ".state" + std::to_string(state.reduction->node),
                    runtime::Buffer::Role::scratch,
                    node.type.dtype == Dtype::Bool ? runtime::Dtype::Bool
                    : is_float(node.type.dtype)    ? runtime::Dtype::F32
                                                   : runtime::Dtype::I32,
                    context_.sizes(context_.state_axes(state))});
  context_.states.push_back(std::move(state));
  folds_.push_back(fold);
}

void Plane::merge() {
  const Var r("r");
  Rescale rescale;
  // A maximum is read and written once, through `both`, so that the state may be one buffer.
  std::vector<Func> last;
  std::vector<int> last_buffers;
  for (std::size_t n = 0; n < context_.states.size(); n++) {
    const State& state = context_.states[n];
    const NodeId id = state.reduction->node;
    if (!followed(id)) continue;
    const std::vector<Var> vars = state_vars(state);
    Halide::ImageParam old = signature_.buffer(state.buffer, Halide::Float(32), extents(state));
    Func both("both" + std::to_string(id));
    const Expr before = old(vars), chunk = folds_[n](fold_arguments(state, {r, {}, {}}));
    both(vars) = Halide::Tuple(before, Halide::max(before, chunk));
    std::vector<Func> small{both};
    for (const bool base_two : {false, true}) {
      const auto follows = [&](const State& other) {
        return other.reduction->maximum == id && other.reduction->base_two == base_two;
      };
      if (std::ranges::none_of(context_.states, follows)) continue;
      const std::string suffix = std::to_string(id) + (base_two ? "_two" : "");
      Func a("keep" + suffix), b("take" + suffix);
      const auto weight = [&](const Expr& below) {
        const double scale = context_.exponent_scale(id, base_two);
        return exp2_below(scale == 1 ? below : below * float(scale));
      };
      a(vars) = weight(both(vars)[0] - both(vars)[1]);
      b(vars) = weight(chunk - both(vars)[1]);
      small.insert(small.end(), {a, b});
      rescale.emplace(std::pair(id, base_two), std::pair(a, b));
    }
    Func f("max" + std::to_string(id));
    const Entry entry = present(state);
    const std::vector<Expr> at = state_at(state, entry);
    f(vars) = Halide::undef<float>();
    f(at) = both(at)[1];
    small.push_back(f);
    for (Func g : small) {
      g.compute_root();
      if (kernel_.lanes == Lanes::Rows && g.name() != f.name()) g.vectorize(r, tiling_.lanes);
      bind(g, state);
    }
    if (has_rows_in_lanes(state)) f.update().allow_race_conditions().vectorize(entry.rows.x);
    promise(f.output_buffer(), extents(state), true);
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

void Plane::merge_plain(const State& state, const Func& fold, const Rescale& rescale) {
  const NodeId id = state.reduction->node;
  const std::vector<Var> vars = state_vars(state);
  const Entry entry = present(state);
  const std::vector<Expr> at = state_at(state, entry);
  Expr fresh = fold(fold_arguments(state, entry));
  if (const auto guard = guards_.find(fold.name()); guard != guards_.end()) {
    const Expr counts =
        entry.member.defined()
            ? Halide::Internal::substitute(var(kernel_.shared).name(), entry.member, guard->second)
            : guard->second;
    fresh = Halide::select(counts, fresh, Halide::Internal::make_zero(fresh.type()));
  }
  const bool truth = fresh.type().is_bool();
  if (truth) fresh = Halide::cast<std::uint8_t>(fresh);
  Func f("state" + std::to_string(id));
  f(vars) = Halide::undef(fresh.type());
  const PlaneReduction& reduction = *state.reduction;
  if (const auto of = rescale.find({reduction.maximum, reduction.base_two}); of != rescale.end()) {
    // The maximum may have fewer axes than what follows it.
    const auto maximum = std::ranges::find_if(
        context_.states, [&](const State& s) { return s.reduction->node == reduction.maximum; });
    const std::vector<Expr> where = state_at(*maximum, entry);
    f(at) = f(at) * of->second.first(where) + fresh * of->second.second(where);
  } else {
    switch (std::get<Reduce>(graph_.node(id).op).fn) {
      case ReduceFn::Sum: f(at) += fresh; break;
      case ReduceFn::Max:
        f(at) = !fresh.type().is_float()
                    ? Halide::max(f(at), fresh)
                    : Halide::select(fresh > f(at) || not_a_number(fresh), fresh, f(at));
        break;
      case ReduceFn::Min:
        f(at) = !fresh.type().is_float()
                    ? Halide::min(f(at), fresh)
                    : Halide::select(fresh < f(at) || not_a_number(fresh), fresh, f(at));
        break;
      case ReduceFn::ArgMax: break;
    }
  }
  const auto sizes = extents(state);
  promise(f.output_buffer(), sizes, true);
  bind(f, state);
  const Var first = vars.front();
  if (entry.member.defined() && !state.features.empty()) {
    const RDom& rows = entry.rows;
    std::vector<Halide::VarOrRVar> order(vars.begin(), vars.begin() + state.features.size());
    order.insert(order.end(), {rows.x, rows.y});
    f.update().reorder(order);
  }
  if (has_rows_in_lanes(state))
    f.update().allow_race_conditions().vectorize(entry.rows.x);
  else if (!state.features.empty() && (sizes.front() < 0 || sizes.front() >= tiling_.lanes))
    f.update().vectorize(first, tiling_.lanes, Halide::TailStrategy::GuardWithIf);
  outputs_.push_back(f);
  signature_.add_result(state.buffer);
}

std::vector<std::int64_t> Plane::extents(const State& state) const {
  return context_.extents(signature_, context_.state_axes(state));
}

std::vector<Var> Plane::state_vars(const State& state) const {
  const std::vector<AxisId> axes = context_.state_axes(state);
  std::vector<Var> result;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
    result.push_back(*axis == row_ ? Var("r") : var(*axis));
  return result;
}

// The Func of a chunk's fold has rows before inner axes in the order of `inner`.
std::vector<Expr> Plane::fold_arguments(const State& state, const Entry& entry) const {
  std::vector<Expr> result;
  for (auto axis = state.features.rbegin(); axis != state.features.rend(); ++axis)
    result.push_back(var(*axis));
  result.push_back(entry.r);
  for (const AxisId axis : state.inner) result.push_back(along(axis, entry));
  return result;
}

std::vector<Expr> Plane::state_at(const State& state, const Entry& entry) const {
  const std::vector<AxisId> axes = context_.state_axes(state);
  std::vector<Expr> result;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
    result.push_back(*axis == row_ ? entry.r : along(*axis, entry));
  return result;
}

Expr Plane::along(AxisId axis, const Entry& entry) const {
  return axis == kernel_.shared && entry.member.defined() ? entry.member : Expr(var(axis));
}

bool Plane::has_rows_in_lanes(const State& state) const {
  return kernel_.lanes == Lanes::Rows && state.features.empty();
}

// Rows across the lanes by whole vectors.
Plane::Entry Plane::present(const State& state) {
  const std::string name = "rows" + std::to_string(state.reduction->node);
  if (!has_rows_in_lanes(state)) {
    const RDom dom = context_.present(signature_, name);
    return {dom.x, kernel_.shared == kNone ? Expr() : Expr(dom.y), dom};
  }
  const int lanes = tiling_.lanes;
  const RDom dom(0, lanes, 0, (rows_here() + lanes - 1) / lanes, name);
  return {dom.y * lanes + dom.x, {}, dom};
}

// An axis that the tile takes as it comes has no bound but room.
void Plane::bind_inner(Func f, AxisId axis) {
  if (axis == kernel_.shared)
    f.bound_storage(var(axis), kernel_.members);
  else
    f.bound(var(axis), 0, signature_.extent(axis));
}

void Plane::bind(Func f, const State& state) {
  f.bound_storage(Var("r"), tiling_.rows);
  for (const AxisId axis : state.inner) bind_inner(f, axis);
  if (state.features.empty()) return;
  const std::vector<Var> vars = state_vars(state);
  for (const AxisId axis : state.features)
    if (std::ranges::any_of(f.args(), [&](const Var& v) { return v.name() == var(axis).name(); }))
      f.bound(var(axis), 0, signature_.extent(axis));
}

}  // namespace fovea::codegen
