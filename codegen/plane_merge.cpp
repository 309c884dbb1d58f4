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
                    node.type.dtype == Dtype::Bool ? runtime::Type::boolean
                    : is_float(node.type.dtype)    ? runtime::Type::f32
                                                   : runtime::Type::i32,
                    context_.sizes(state_axes(state))});
  context_.states.push_back(std::move(state));
  folds_.push_back(fold);
}

void Plane::merge() {
  const Var r("r");
  std::map<NodeId, std::pair<Func, Func>> rescale;  // by maximum: of the state, of the chunk
  // A maximum is read and written once, through `both`, so that the state may be one buffer.
  std::vector<Func> last;
  std::vector<int> last_buffers;
  for (std::size_t n = 0; n < context_.states.size(); n++) {
    const State& state = context_.states[n];
    const NodeId id = state.reduction->node;
    if (!followed(id)) continue;
    const std::vector<Var> vars = state_vars(state);
    Halide::ImageParam old = signature_.buffer(state.buffer, Halide::Float(32), extents(state));
    Func both("both" + std::to_string(id)), a("keep" + std::to_string(id)),
        b("take" + std::to_string(id));
    const Expr before = old(vars), chunk = folds_[n](fold_arguments(state, r));
    both(vars) = Halide::Tuple(before, Halide::max(before, chunk));
    a(vars) = exp2_below(both(vars)[0] - both(vars)[1]);
    b(vars) = exp2_below(chunk - both(vars)[1]);
    Func f("max" + std::to_string(id));
    if (counts_rows_) {
      const std::vector<Expr> at = state_at(state, state_row(state));
      f(vars) = Halide::undef<float>();
      f(at) = both(at)[1];
    } else {
      f(vars) = both(vars)[1];
    }
    for (Func g : {both, a, b, f}) {
      g.compute_root();
      if (!counts_rows_) g.vectorize(r, tiling_.lanes);
      bind(g, state);
    }
    promise(f.output_buffer(), extents(state), true);
    rescale.emplace(id, std::make_pair(a, b));
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

void Plane::merge_plain(const State& state, const Func& fold,
                        const std::map<NodeId, std::pair<Func, Func>>& rescale) {
  const NodeId id = state.reduction->node;
  const std::vector<Var> vars = state_vars(state);
  const Expr row = counts_rows_ ? state_row(state) : Expr(Var("r"));
  const std::vector<Expr> at = state_at(state, row);
  Expr fresh = fold(fold_arguments(state, row));
  if (const auto guard = guards_.find(fold.name()); guard != guards_.end())
    fresh = Halide::select(guard->second, fresh, Halide::Internal::make_zero(fresh.type()));
  const bool truth = fresh.type().is_bool();
  if (truth) fresh = Halide::cast<std::uint8_t>(fresh);
  Func f("state" + std::to_string(id));
  f(vars) = Halide::undef(fresh.type());
  if (const auto of = rescale.find(state.reduction->maximum); of != rescale.end()) {
    // The maximum may have fewer axes than what follows it.
    const auto maximum = std::ranges::find_if(
        context_.states, [&](const State& s) { return s.reduction->node == of->first; });
    const std::vector<Expr> where = state_at(*maximum, row);
    f(at) = f(at) * of->second.first(where) + fresh * of->second.second(where);
  } else {
    switch (std::get<Reduce>(graph_.node(id).op).fn) {
      case ReduceFn::Sum:
        f(at) += fresh;
        break;
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
      case ReduceFn::ArgMax:
        break;
    }
  }
  const auto sizes = extents(state);
  promise(f.output_buffer(), sizes, true);
  bind(f, state);
  const Var first = vars.front();
  const bool counted = counts_rows_ && state.features.empty();
  if (!counted && (sizes.front() < 0 || sizes.front() >= tiling_.lanes))
    f.update().vectorize(first, tiling_.lanes, Halide::TailStrategy::GuardWithIf);
  outputs_.push_back(f);
  signature_.add_result(state.buffer);
}

std::vector<AxisId> Plane::state_axes(const State& state) const {
  std::vector<AxisId> axes = state.inner;
  axes.push_back(row_);
  axes.insert(axes.end(), state.features.begin(), state.features.end());
  return axes;
}

std::vector<std::int64_t> Plane::extents(const State& state) const {
  return context_.extents(signature_, state_axes(state));
}

std::vector<Var> Plane::state_vars(const State& state) const {
  const std::vector<AxisId> axes = state_axes(state);
  std::vector<Var> result;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
    result.push_back(*axis == row_ ? Var("r") : var(*axis));
  return result;
}

// The Func of a chunk's fold has rows before inner axes in the order of `inner`.
std::vector<Expr> Plane::fold_arguments(const State& state, const Expr& r) const {
  std::vector<Expr> result;
  for (auto axis = state.features.rbegin(); axis != state.features.rend(); ++axis)
    result.push_back(var(*axis));
  result.push_back(r);
  for (const AxisId axis : state.inner) result.push_back(var(axis));
  return result;
}

std::vector<Expr> Plane::state_at(const State& state, const Expr& r) const {
  std::vector<Expr> result;
  for (const Var& v : state_vars(state)) result.push_back(v.name() == "r" ? r : Expr(v));
  return result;
}

Expr Plane::state_row(const State& state) {
  const Expr rows =
      tiling_.rows == 1 ? Expr(1) : Halide::min(signature_.extent(row_) - first_row_, tiling_.rows);
  return RDom(0, rows, "rows" + std::to_string(state.reduction->node)).x;
}

void Plane::bind(Func f, const State& state) {
  if (counts_rows_)
    f.bound_storage(Var("r"), tiling_.rows);
  else
    f.bound(Var("r"), 0, tiling_.rows);
  for (const AxisId axis : state.inner) f.bound(var(axis), 0, signature_.extent(axis));
  if (state.features.empty()) return;
  const std::vector<Var> vars = state_vars(state);
  for (const AxisId axis : state.features)
    if (std::ranges::any_of(f.args(), [&](const Var& v) { return v.name() == var(axis).name(); }))
      f.bound(var(axis), 0, signature_.extent(axis));
}

}  // namespace fovea::codegen
