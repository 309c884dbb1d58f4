// Rules about axes: reductions, reads and casts.
#include <algorithm>
#include <cmath>

#include "ir/query.h"
#include "passes/simplify.h"

namespace fovea::passes {
namespace {

using ir::Dtype;
using ir::Fn;
using ir::NodeId;
using ir::ReduceFn;
using Found = std::optional<NodeId>;

// size(j) is written as a sum of the integer 1, and stays so.
bool is_size(const Terms& t, NodeId id) {
  return t.is(id, ReduceFn::Sum) && t.is_number(t.input(id, 0), 1) &&
         t.dtype(t.input(id, 0)) == Dtype::I32;
}

ir::AxisId reduced_axis(const Terms& t, NodeId id) { return std::get<ir::Reduce>(t[id].op).axis; }

Found size_of_fixed(Terms& t, NodeId id) {
  if (!is_size(t, id)) return {};
  const auto extent = t.extent(reduced_axis(t, id));
  if (!extent || *extent > (std::int64_t{1} << 31) - 1) return {};
  return t.constant(static_cast<double>(*extent), Dtype::I32);
}

// Inside a sum of products 0 annihilates infinity; multiplied by a size outside, it would not.
bool may_annihilate(const Terms& t, NodeId x) {
  return std::ranges::any_of(
      std::initializer_list<Fn>{Fn::Mul, Fn::Div, Fn::Add, Fn::Sub, Fn::Neg, Fn::Where, Fn::Cast},
      [&](Fn fn) { return t.is(x, fn); });
}

Found sum_of_same(Terms& t, NodeId id) {
  if (!t.is(id, ReduceFn::Sum) || is_size(t, id)) return {};
  const NodeId x = t.input(id, 0);
  const ir::AxisId axis = reduced_axis(t, id);
  if (t[x].type.has(axis) || (!t.is_exact(x) && may_annihilate(t, x))) return {};
  const NodeId size = t.size(axis);
  const NodeId total = t.map(Fn::Mul, {x, size});
  const auto c = t.number(x), extent = t.extent(axis) ? t.number(size) : std::nullopt;
  const bool finite = t.is_exact(x) || (c && std::isfinite(*c)) || (extent && *extent > 0);
  if (finite) return total;
  const NodeId zero = t.constant(0, Dtype::F32);  // infinity over no elements
  return t.map(Fn::Where, {t.map(Fn::Eq, {size, t.constant(0, Dtype::I32)}), zero, total});
}

// Only where there is an element for sure: over none the result is infinite.
Found bound_of_same(Terms& t, NodeId id) {
  if (!t.is(id, ReduceFn::Max) && !t.is(id, ReduceFn::Min)) return {};
  const ir::AxisId axis = reduced_axis(t, id);
  if (t[t.input(id, 0)].type.has(axis) || t.extent(axis).value_or(0) <= 0) return {};
  return t.input(id, 0);
}

std::vector<ir::Builder::At> coordinates(const Terms& t, NodeId id) {
  std::vector<ir::Builder::At> all;
  int next = 1;
  for (const auto& at : std::get<ir::Read>(t[id].op).at) {
    all.push_back({at.axis, t.input(id, next++)});
    if (at.otherwise) all.back().otherwise = t.input(id, next++);
  }
  return all;
}

bool is_read(const Terms& t, NodeId id) { return ir::is_read(t[id]); }

Found read_in_place(Terms& t, NodeId id) {
  if (!is_read(t, id)) return {};
  auto all = coordinates(t, id);
  const auto in_place = [&](const ir::Builder::At& at) {
    const auto* index = ir::index_of(t[at.coordinate]);
    return index != nullptr && index->axis == at.axis;
  };
  if (std::erase_if(all, in_place) == 0) return {};
  return all.empty() ? t.input(id, 0) : t.read(t.input(id, 0), all);
}

// Where the outer read moves the inner coordinates, outside of one is not outside of the other.
Found read_twice(Terms& t, NodeId id) {
  if (!is_read(t, id) || !is_read(t, t.input(id, 0))) return {};
  const NodeId inner_id = t.input(id, 0), x = t.input(inner_id, 0);
  auto all = coordinates(t, inner_id);
  const auto outer = coordinates(t, id);
  const auto plain = [](const ir::Builder::At& at) { return at.otherwise == ir::kNone; };
  if (!std::ranges::all_of(all, plain) || !std::ranges::all_of(outer, plain)) return {};
  for (const auto& at : outer) {
    const bool moves = std::ranges::any_of(all, [&](const auto& in) {
      return in.axis == at.axis || t[in.coordinate].type.has(at.axis);
    });
    if (moves || !t[x].type.has(at.axis)) return {};
  }
  all.insert(all.end(), outer.begin(), outer.end());
  std::ranges::sort(all, {}, &ir::Builder::At::axis);
  return t.read(x, all);
}

// Whether `to` holds every value of `from`, and is not the same.
bool holds(Dtype to, Dtype from) {
  const runtime::DtypeRow &wide = runtime::row(to), &narrow = runtime::row(from);
  if (narrow.kind == runtime::DtypeKind::truth) return true;
  if (wide.kind == runtime::DtypeKind::truth || to == from) return false;
  if (ir::is_float(from))
    return wide.digits >= narrow.digits && wide.min_exponent <= narrow.min_exponent &&
           wide.max_exponent >= narrow.max_exponent;
  const double largest =
      std::max(-static_cast<double>(narrow.min), static_cast<double>(narrow.max));
  return ir::is_float(to) ? largest <= std::ldexp(1.0, wide.digits)
                          : wide.min <= narrow.min && wide.max >= narrow.max;
}

Found cast_twice(Terms& t, NodeId id) {
  if (!t.is(id, Fn::Cast) || !t.is(t.input(id, 0), Fn::Cast)) return {};
  const NodeId inner = t.input(id, 0), x = t.input(inner, 0);
  if (!holds(t.dtype(inner), t.dtype(x))) return {};
  return t.cast(t.dtype(id), x);
}

constexpr Rule kRules[] = {
    {"size(d) -> its extent where that is fixed", size_of_fixed},
    {"sum(j, x) -> x * size(j) where x lacks j", sum_of_same},
    {"max(d, x) -> x where x lacks d, also min", bound_of_same},
    {"x[a = a] -> x", read_in_place},
    {"x[a = f][b = g] -> x[a = f, b = g] where f lacks b", read_twice},
    {"f32(i32(x)) -> f32(x) where i32 holds all x", cast_twice},
};

}  // namespace

std::span<const Rule> structure_rules() { return kRules; }

}  // namespace fovea::passes
