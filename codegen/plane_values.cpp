// Values of nodes on the plane, and what they are made of (codegen/plane.h).
#include <Halide.h>

#include <algorithm>
#include <limits>
#include <numbers>

#include "codegen/plane.h"
#include "ir/error.h"
#include "ir/query.h"
#include "ir/worklist.h"

namespace fovea::codegen {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;
using Kind = runtime::Argument::Kind;

// How many columns block n has. A Func of its own, so that Halide makes it the end of a loop and
// needs no test inside; Halide computes it for a whole chunk, and the list may end before.
Expr Plane::columns_of(const Expr& n) {
  if (!columns_.defined()) {
    const Var x("x");
    columns_ = Func("columns");
    const Expr first = block(Halide::min(x, here_ - 1)) * tiling_.block;
    columns_(x) = Halide::min(signature_.extent(column_) - first, tiling_.block);
    columns_.compute_root().bound_storage(x, tiling_.chunk);
  }
  return columns_(n);
}

Expr Plane::resolve(NodeId id, const ScopePtr& scope) {
  if (const auto known = assumed_.find(id); known != assumed_.end())
    return known->second ? Halide::Internal::const_true() : Halide::Internal::const_false();
  if (context_.source.leaves[id] && !scope->moved && !natural_ && context_.is_row_operand(id))
    return packed(id, 1, scope);
  if (context_.source.leaves[id])
    return on_plane(id) && !natural_ ? plane_input(id, scope)
                                     : signature_.load(id, scope, unbounded_);
  if (const Expr product = column_product(id, scope); product.defined()) return product;
  if (scope->moved) return {};
  if (!natural_ && context_.is_row_operand(id)) return packed(id, 1, scope);
  if (revisit_ && context_.region.find(id) != nullptr)
    return context_.state_value(state_of(id), signature_, emitter_, scope, point_.r);
  const Node& node = graph_.node(id);
  if (on_plane(id) && id != defining_)
    if (const PanelKey* key = panel_of(id)) return call(panel(*key), scope, key->scale);
  if (is_map(node, Fn::Where)) return branch(node, scope);
  if (!on_plane(id)) return {};
  if (is_reduce(node)) return scaled_contraction(id, 1, scope);
  if (const auto exponent = stabilised(graph_, id); exponent && followed(exponent->maximum))
    return exp2_below(stable_argument(*exponent, scope));
  if (is_map(node, Fn::Exp)) return exp2_any(scaled(node.inputs[0], std::numbers::log2e, scope));
  if (is_map(node, Fn::Exp2)) return exp2_any(scaled(node.inputs[0], 1, scope));
  if (is_map(node, Fn::Sigmoid))
    return 1.f / (1.f + exp2_any(scaled(node.inputs[0], -std::numbers::log2e, scope)));
  if (is_map(node, Fn::Mul) && is_float(node.type.dtype)) return scaled(id, 1, scope);
  if (is_float(node.type.dtype) && (is_map(node, Fn::Add) || is_map(node, Fn::Sub)))
    return chained(id, 1, scope);
  return {};
}

Expr Plane::plane_input(NodeId id, const ScopePtr& scope) {
  return signature_.load(id, scope, unbounded_);
}

// A `where` whose condition is assumed has one branch only.
Expr Plane::branch(const Node& node, const ScopePtr& scope) {
  const auto known = assumed_.find(node.inputs[0]);
  if (known == assumed_.end()) return {};
  const Expr x = emitter_.value(node.inputs[known->second ? 1 : 2], scope);
  return node.type.dtype == Dtype::Bool ? x : Halide::cast(emitter_.type(node.type.dtype), x);
}

Expr Plane::call(const Panel& panel, const ScopePtr& scope, double scale) {
  Expr value = panel.func(arguments(panel.inner, scope));
  return scale == 1 ? value : value * float(1 / scale);
}

Expr Plane::call(const Contraction& contraction, const ScopePtr& scope) {
  used_.insert(contraction.func.name());
  const Expr value = contraction.func(arguments(contraction.inner, scope));
  const auto guard = guards_.find(contraction.func.name());
  return guard == guards_.end() ? value : Halide::select(guard->second, value, 0.f);
}

std::vector<Expr> Plane::arguments(const std::vector<AxisId>& inner, const ScopePtr& scope) {
  std::vector<Expr> at{point_.r, point_.j, point_.n};
  for (const AxisId axis : inner) at.push_back(context_.within(signature_, axis, scope->at[axis]));
  return at;
}

Expr Plane::stable_argument(const Stabilised& exponent, const ScopePtr& scope) {
  const PanelKey key = single(exponent.argument, context_.kept_scale(exponent.maximum));
  const double scale = context_.exponent_scale(exponent.maximum, exponent.base_two);
  const auto times_scale = [&](const Expr& x) { return scale == 1 ? x : x * float(scale); };
  if (revisit_) {
    // The same number again as the one that the maximum was taken of, to the last bit.
    const Expr again = rounded(scaled(exponent.argument, key.scale, scope));
    return times_scale(again - context_.state_at(state_of(exponent.maximum), signature_, emitter_,
                                                 scope, point_.r));
  }
  const Panel& x = panel(*wanted_.find(key));
  const Func& m = maxima_.at(exponent.maximum);
  std::vector<Expr> at{point_.r};
  for (const AxisId axis : context_.other_axes(graph_.node(exponent.maximum).type))
    at.push_back(context_.within(signature_, axis, scope->at[axis]));
  return times_scale(rounded(x.func(arguments(x.inner, scope))) - m(at));
}

// value(id) * factor, made once: what is used twice, and in what is used twice, would be made for
// every way that leads to it.
Expr Plane::scaled(NodeId id, double factor, const ScopePtr& scope) {
  const auto key = std::make_pair(id, factor);
  if (const auto known = scope->multiples.find(key); known != scope->multiples.end())
    return known->second;
  const Expr result = multiple(id, factor, scope);
  return scope->multiples[key] = result;
}

// With the factor folded into constants, packed rows and contractions.
Expr Plane::multiple(NodeId id, double factor, const ScopePtr& scope) {
  const Node& node = graph_.node(id);
  const auto constant = [&](NodeId n) { return constant_of(graph_.node(n)); };
  const auto times = [&](const Expr& x) {
    const Expr real = Halide::cast<float>(x);
    return factor == 1 ? real : real * float(factor);
  };
  if (context_.source.leaves[id] || assumed_.contains(id)) {
    if (!natural_ && factor != 1 && context_.is_row_operand(id)) return packed(id, factor, scope);
    return times(emitter_.value(id, scope));
  }
  if (const Constant* c = constant(id)) return emitter_.number(c->value * factor);
  if (!natural_ && context_.is_row_operand(id)) return packed(id, factor, scope);
  if (!on_plane(id) || scope->moved) return times(emitter_.value(id, scope));
  if (id != defining_ && panel_of(id)) {
    if (const auto key = wanted_.find(single(id, factor)); key != wanted_.end())
      return call(panel(*key), scope, 1);
    return times(emitter_.value(id, scope));
  }
  if (is_reduce(node, ReduceFn::Sum) && is_float(node.type.dtype))
    return scaled_contraction(id, factor, scope);
  if (is_map(node, Fn::Mul)) {
    for (const int n : {0, 1})
      if (const Constant* c = constant(node.inputs[1 - n]))
        return scaled(node.inputs[n], factor * c->value, scope);
    return Halide::cast<float>(scaled(node.inputs[0], factor, scope)) *
           Halide::cast<float>(emitter_.value(node.inputs[1], scope));
  }
  if (is_map(node, Fn::Div)) {
    if (const Constant* c = constant(node.inputs[1]))
      return scaled(node.inputs[0], factor / c->value, scope);
    return scaled(node.inputs[0], factor, scope) /
           Halide::cast<float>(emitter_.value(node.inputs[1], scope));
  }
  if (is_map(node, Fn::Neg)) return scaled(node.inputs[0], -factor, scope);
  // Multiples of equal numbers may round to what is no longer equal, and a difference is left of
  // them. Only where a contraction takes the factor is a sum as exact as its terms anyway.
  const auto decides = [&](NodeId input) { return emitter_.decides(input); };
  const bool subtracts = is_map(node, Fn::Sub);
  if (factor != 1 && (subtracts || is_map(node, Fn::Add)) &&
      (!contracts(id) || (subtracts && std::ranges::any_of(node.inputs, decides))))
    return times(emitter_.value(id, scope));
  if (is_map(node, Fn::Add) || is_map(node, Fn::Sub))
    if (const Expr chain = chained(id, factor, scope); chain.defined()) return chain;
  if (is_map(node, Fn::Add))
    return scaled(node.inputs[0], factor, scope) + scaled(node.inputs[1], factor, scope);
  if (is_map(node, Fn::Sub))
    return scaled(node.inputs[0], factor, scope) - scaled(node.inputs[1], factor, scope);
  if (is_map(node, Fn::Where)) {
    const auto known = assumed_.find(node.inputs[0]);
    if (known != assumed_.end()) return scaled(node.inputs[known->second ? 1 : 2], factor, scope);
    return Halide::select(emitter_.truth(node.inputs[0], scope),
                          scaled(node.inputs[1], factor, scope),
                          scaled(node.inputs[2], factor, scope));
  }
  return times(emitter_.value(id, scope));
}

// Whether a contraction of this kernel is part of the value.
bool Plane::contracts(NodeId id) const {
  Worklist todo(graph_, {id});
  while (const auto at = todo.next()) {
    if (context_.source.leaves[*at] || !on_plane(*at)) continue;
    if (is_reduce(graph_.node(*at))) return true;
    todo.add(graph_.node(*at).inputs);
  }
  return false;
}

Expr Plane::scaled_contraction(NodeId id, double scale, const ScopePtr& scope) {
  return call(contraction(id, scale), scope);
}

Expr Plane::packed(NodeId id, double scale, const ScopePtr& scope) {
  const Packed& packed = context_.pack(id, scale);
  const Halide::Type type = TiledContext::packed_type(graph_.node(id), scale);
  const bool truth = type == Halide::UInt(8);
  const std::vector<AxisId> axes = context_.packed_axes(packed);
  Halide::ImageParam image =
      signature_.buffer(packed.buffer, type, context_.extents(signature_, axes));
  std::vector<Expr> where;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
    where.push_back(*axis == row_ ? point_.r
                                  : context_.within(signature_, *axis, scope->at[*axis]));
  const Expr value = image(where);
  return truth ? value != Halide::cast<std::uint8_t>(0) : value;
}

bool Plane::is_column(NodeId id) const {
  const Type& type = graph_.node(id).type;
  return type.has(column_) && !type.has(row_);
}

// A column operand with features that is scaled where it is used (passes/defer_scaling): as if the
// product had been stored, or what is scaled alike on both sides would differ.
Expr Plane::column_product(NodeId id, const ScopePtr& scope) {
  const Node& node = graph_.node(id);
  const bool divides = is_map(node, Fn::Div);
  if (!is_column(id) || node.type.dtype != Dtype::F32 || !(divides || is_map(node, Fn::Mul)) ||
      context_.other_axes(node.type).empty())
    return {};
  const Expr x = Halide::cast<float>(emitter_.value(node.inputs[0], scope));
  const Expr y = Halide::cast<float>(emitter_.value(node.inputs[1], scope));
  return rounded(divides ? x * inverse(y) : x * y);
}

// The product so far, if there is one, times or over x. What is the same for all rows is inverted:
// that is done once for many elements.
Expr Plane::with_factor(const Expr& product, const Factor& factor, const Expr& x) const {
  if (!factor.inverted) return product.defined() ? product * x : x;
  if (!product.defined()) return 1.f / x;
  return is_column(factor.node) ? product * inverse(x) : product / x;
}

// 1 / x is exact to 22 bits if it is finite. Where it would wrongly be infinite it is NaN, so that
// what comes of it is computed again exactly.
Expr Plane::inverse(const Expr& x) {
  const Expr size = Halide::abs(x), nan = std::numeric_limits<float>::quiet_NaN();
  return Halide::select(size > 0.f && size < 0x1p-127f, nan, 1.f / x);
}

// The loop around them ends with the axis that is folded; the other may run past its end.
Expr Plane::other_factors(const std::vector<Factor>& factors, const Point& p, AxisId folded,
                          std::vector<Expr>& guards) {
  const Point outer = point_;
  unbounded_ = {folded == column_ ? row_ : column_};
  point_ = p;
  natural_ = true;
  Expr result;
  for (const Factor& factor : factors) {
    emitter_.guards = context_.is_read(factor) ? &guards : nullptr;
    const Expr x = Halide::cast<float>(emitter_.value(factor.node, p.scope));
    result = with_factor(result, factor, x);
  }
  emitter_.guards = nullptr;
  natural_ = false;
  unbounded_ = {row_, column_};
  point_ = outer;
  return result;
}

}  // namespace fovea::codegen
