// Results on the plane (codegen/plane.h): a panel, written where the caller wants it.
#include <Halide.h>

#include <algorithm>
#include <utility>

#include "codegen/plane.h"
#include "ir/require.h"

namespace fovea::codegen {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;

const State& Plane::state_of(NodeId reduction) const {
  const auto state = std::ranges::find_if(
      context_.states, [&](const State& each) { return each.reduction->node == reduction; });
  invariant(state != context_.states.end(), "a reduction keeps nothing of a row");
  return *state;
}

Expr Plane::rows_here() { return Halide::min(signature_.extent(row_) - first_row_, tiling_.rows); }

void Plane::store(NodeId id) {
  const Panel& x = panel(*wanted_.find(stored_panel(id)));
  const Place& place = context_.source.places.at(id);
  Func f("plane" + std::to_string(id));
  if (kernel_.lanes == Lanes::Rows)
    store_rows_across(id, f, place, x);
  else
    store_columns_across(id, f, place, x);
  promise(f.output_buffer(), signature_.fixed_extents(place), true);
  signature_.add_result(place.buffer);
  outputs_.push_back(f);
}

Expr Plane::marked(NodeId result, const Expr& value, const Point& p) {
  const Point outer = std::exchange(point_, p);
  natural_ = true;
  const Expr all = emitter_.marked(result, context_.source.leaves, value, p.scope);
  natural_ = false;
  point_ = outer;
  return all;
}

// Coordinates of the stored tensor, fastest first; axes within the tile are loops of their own.
std::vector<Expr> Plane::stored_at(const Place& place, const Point& p) {
  std::vector<Expr> at;
  for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis) {
    const Expr& here = p.scope->at[*axis];
    at.push_back(signature_.within(here, 0, signature_.extent(*axis) - 1));
  }
  return at;
}

namespace {

std::vector<Var> pure_vars(const Place& place) {
  std::vector<Var> vars;
  for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis)
    vars.push_back(var(*axis));
  return vars;
}

}  // namespace

// A square of as many rows as columns, turned by interleaving whole vectors: Halide sees that the
// stores of its columns fill it without gaps.
Func Plane::turned(const Panel& panel, int lanes) {
  const Var x("x"), y("y"), columns("columns"), rows("rows"), n("n");
  Func square("turned_" + panel.func.name());
  std::vector<Var> vars{x, y, columns, rows, n};
  std::vector<Expr> at{rows * lanes + y, columns * lanes + x, n};
  for (const AxisId axis : panel.inner) {
    vars.push_back(var(axis));
    at.push_back(var(axis));
  }
  square(vars) = panel.func(at);
  square.store_in(Halide::MemoryType::Stack).bound_extent(x, lanes).bound_extent(y, lanes);
  square.reorder(y, x).vectorize(y).unroll(x);
  return square;
}

void Plane::store_rows_across(NodeId id, Func f, const Place& place, const Panel& panel) {
  const int lanes = tiling_.lanes;
  const std::string name = f.name();
  const bool turns = place.layout.back() == column_, straight = place.layout.back() == row_;
  std::vector<Expr> inner;
  for (const AxisId axis : panel.inner) inner.push_back(var(axis));
  const auto with_inner = [&](std::vector<Expr> at) {
    at.insert(at.end(), inner.begin(), inner.end());
    return at;
  };
  std::vector<Halide::VarOrRVar> around;
  for (auto axis = panel.inner.rbegin(); axis != panel.inner.rend(); ++axis)
    around.push_back(var(*axis));
  const auto define = [&](const Expr& r, const Expr& j, const Expr& n, const Expr& value) {
    const Point p = point(r, j, n, panel.inner);
    const Expr encoded = encode(place.dtype, marked(id, value, p));
    if (!f.defined()) f(pure_vars(place)) = Halide::undef(encoded.type());
    f(stored_at(place, p)) = encoded;
  };
  // Whole vectors first.
  if (turns) {
    RDom c(0, lanes, 0, lanes, 0, tiling_.block / lanes, 0, tiling_.rows / lanes, 0, tiling_.chunk,
           "whole_" + name);
    const Halide::RVar x = c[0], y = c[1], columns = c[2], rows = c[3], n = c[4];
    c.where(n < here_);
    c.where(columns < columns_of(n) / lanes);
    c.where(rows * lanes + y < rows_here());
    Func square = turned(panel, lanes);
    define(rows * lanes + y, columns * lanes + x, n, square(with_inner({x, y, columns, rows, n})));
    std::vector<Halide::VarOrRVar> order{x, y, columns, rows};
    order.insert(order.end(), around.begin(), around.end());
    order.push_back(n);
    f.update(0).allow_race_conditions().reorder(order).vectorize(x);
    square.compute_at(f, columns);
  } else if (straight) {
    RDom c(0, lanes, 0, tiling_.rows / lanes, 0, tiling_.block, 0, tiling_.chunk, "whole_" + name);
    const Halide::RVar y = c[0], rows = c[1], j = c[2], n = c[3];
    c.where(n < here_);
    c.where(j < columns_of(n));
    c.where(rows < rows_here() / lanes);
    define(rows * lanes + y, j, n, panel.func(with_inner({rows * lanes + y, j, n})));
    std::vector<Halide::VarOrRVar> order{y, rows, j};
    order.insert(order.end(), around.begin(), around.end());
    order.push_back(n);
    f.update(0).allow_race_conditions().reorder(order).vectorize(y);
  }
  // Then what is left of the fast axis: all of it if that is neither.
  RDom c(0, straight ? lanes : tiling_.rows, 0, turns ? lanes : tiling_.block, 0, tiling_.chunk,
         "rest_" + name);
  c.where(c.z < here_);
  const Expr whole_columns = turns ? columns_of(c.z) / lanes * lanes : Expr(0);
  const Expr whole_rows = straight ? rows_here() / lanes * lanes : Expr(0);
  c.where(c.y < columns_of(c.z) - whole_columns);
  c.where(c.x < rows_here() - whole_rows);
  const Expr r = Halide::min(whole_rows + c.x, tiling_.rows - 1);
  const Expr j = Halide::min(whole_columns + c.y, tiling_.block - 1);
  define(r, j, c.z, panel.func(with_inner({r, j, c.z})));
  std::vector<Halide::VarOrRVar> order{c.x, c.y};
  order.insert(order.end(), around.begin(), around.end());
  order.push_back(c.z);
  f.update(turns || straight ? 1 : 0).reorder(order);
}

void Plane::store_columns_across(NodeId id, Func f, const Place& place, const Panel& panel) {
  const int lanes = tiling_.lanes, pieces = tiling_.block / lanes;
  std::vector<Halide::VarOrRVar> around;
  for (auto axis = panel.inner.rbegin(); axis != panel.inner.rend(); ++axis)
    around.push_back(var(*axis));
  const auto define = [&](const RDom& c, const Expr& piece, const Halide::RVar& n) {
    const Expr at = n * pieces + piece;
    const Point p = point(c[1], c[0], at, panel.inner);
    std::vector<Expr> arguments{c[1], c[0], at};
    for (const AxisId axis : panel.inner) arguments.push_back(var(axis));
    const Expr encoded = encode(place.dtype, marked(id, panel.func(arguments), p));
    if (!f.defined()) f(pure_vars(place)) = Halide::undef(encoded.type());
    f(stored_at(place, p)) = encoded;
  };
  RDom c(0, lanes, 0, tiling_.rows, 0, pieces, 0, tiling_.chunk, "whole_" + f.name());
  c.where(c.w < here_);
  c.where(c.z < columns_of(c.w) / lanes);
  c.where(c.y < rows_here());
  define(c, c.z, c.w);
  std::vector<Halide::VarOrRVar> order{c.x, c.y};
  order.insert(order.end(), around.begin(), around.end());
  order.insert(order.end(), {c.z, c.w});
  f.update(0).allow_race_conditions().reorder(order).vectorize(c.x);
  RDom rest(0, lanes, 0, tiling_.rows, 0, tiling_.chunk, "rest_" + f.name());
  rest.where(rest.z < here_);
  rest.where(rest.x < columns_of(rest.z) % lanes);
  rest.where(rest.y < rows_here());
  define(rest, Halide::min(columns_of(rest.z) / lanes, pieces - 1), rest.z);
  order = {rest.x, rest.y};
  order.insert(order.end(), around.begin(), around.end());
  order.push_back(rest.z);
  f.update(1).reorder(order);
}

}  // namespace fovea::codegen
