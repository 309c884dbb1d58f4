// Rules about numbers. The rule's name is its documentation; comments say why it is no wider.
#include <cmath>
#include <limits>

#include "passes/simplify.h"

namespace fovea::passes {
namespace {

using ir::Dtype;
using ir::Fn;
using ir::NodeId;
using Found = std::optional<NodeId>;

constexpr Dtype kF32 = Dtype::F32;
constexpr Dtype kI32 = Dtype::I32;

// Division by it is the same as multiplication by its inverse, also in f32.
bool is_power_of_two(double c) {
  int exponent = 0;
  return std::abs(std::frexp(c, &exponent)) == 0.5 && std::abs(exponent) < 120;
}

// A scale that f32 holds with room to spare, so that merging two loses nothing.
bool is_scale(double c) { return std::abs(c) > 1e-30 && std::abs(c) < 1e30; }

bool fits_i32(double c) {
  return c >= std::numeric_limits<std::int32_t>::min() &&
         c <= std::numeric_limits<std::int32_t>::max();
}

Found constant_last(Terms& t, NodeId id) {
  for (const Fn fn : {Fn::Add, Fn::Mul, Fn::Min, Fn::Max, Fn::And, Fn::Or}) {
    if (!t.is(id, fn)) continue;
    const NodeId a = t.input(id, 0), b = t.input(id, 1);
    if (t.number(a) && !t.number(b)) return t.map(fn, {b, a});
  }
  return {};
}

Found add_zero(Terms& t, NodeId id) {
  if (!(t.is(id, Fn::Add) || t.is(id, Fn::Sub)) || !t.is_number(t.input(id, 1), 0)) return {};
  return t.input(id, 0);
}

Found times_one(Terms& t, NodeId id) {
  if (!(t.is(id, Fn::Mul) || t.is(id, Fn::Div)) || !t.is_number(t.input(id, 1), 1)) return {};
  return t.input(id, 0);
}

Found times_minus_one(Terms& t, NodeId id) {
  if (!t.is(id, Fn::Mul) || !t.is_number(t.input(id, 1), -1)) return {};
  return t.map(Fn::Neg, {t.input(id, 0)});
}

Found minus_minus(Terms& t, NodeId id) {
  if (!t.is(id, Fn::Neg) || !t.is(t.input(id, 0), Fn::Neg)) return {};
  return t.input(t.input(id, 0), 0);
}

Found add_minus(Terms& t, NodeId id) {
  const bool add = t.is(id, Fn::Add);
  if (!(add || t.is(id, Fn::Sub)) || !t.is(t.input(id, 1), Fn::Neg)) return {};
  return t.map(add ? Fn::Sub : Fn::Add, {t.input(id, 0), t.input(t.input(id, 1), 0)});
}

Found minus_times_constant(Terms& t, NodeId id) {
  if (!t.is(id, Fn::Mul) || !t.is(t.input(id, 0), Fn::Neg)) return {};
  const auto c = t.number(t.input(id, 1));
  if (!c || !fits_i32(-*c)) return {};
  const NodeId x = t.input(t.input(id, 0), 0);
  return t.map(Fn::Mul, {x, t.constant(-*c, t.dtype(t.input(id, 1)) == kF32 ? kF32 : kI32)});
}

Found divide_by_power_of_two(Terms& t, NodeId id) {
  if (!t.is(id, Fn::Div) || t.dtype(id) != kF32) return {};
  const auto c = t.number(t.input(id, 1));
  if (!c || !is_power_of_two(*c)) return {};
  return t.map(Fn::Mul, {t.input(id, 0), t.constant(1 / *c, kF32)});
}

// The factor of x in x * c or x / c.
std::optional<double> scale_of(const Terms& t, NodeId id) {
  const bool times = t.is(id, Fn::Mul);
  if (!times && !t.is(id, Fn::Div)) return {};
  const auto c = t.number(t.input(id, 1));
  if (!c || !is_scale(*c)) return {};
  return times ? *c : 1 / *c;
}

Found scale_twice(Terms& t, NodeId id) {
  if (t.dtype(id) != kF32) return {};
  const auto outer = scale_of(t, id);
  if (!outer) return {};
  const NodeId inner_id = t.input(id, 0);
  const auto inner = scale_of(t, inner_id);
  // Integers scaled first have floored or overflowed by rules of their own.
  if (!inner || t.dtype(inner_id) != kF32 || !is_scale(*inner * *outer)) return {};
  return t.map(Fn::Mul, {t.input(inner_id, 0), t.constant(*inner * *outer, kF32)});
}

// The constant added in x + c or x - c over integers.
std::optional<double> offset_of(const Terms& t, NodeId id) {
  if (t.dtype(id) != kI32 || !(t.is(id, Fn::Add) || t.is(id, Fn::Sub))) return {};
  const auto c = t.number(t.input(id, 1));
  if (!c) return {};
  return t.is(id, Fn::Add) ? *c : -*c;
}

// Not over floats, where (x + 1e8) - 1e8 rounds and users may mean it to.
Found offset_twice(Terms& t, NodeId id) {
  const auto outer = offset_of(t, id);
  if (!outer) return {};
  const auto inner = offset_of(t, t.input(id, 0));
  if (!inner || !fits_i32(*inner + *outer) || !fits_i32(-*inner - *outer)) return {};
  const double sum = *inner + *outer;
  const NodeId x = t.input(t.input(id, 0), 0);
  return t.map(sum < 0 ? Fn::Sub : Fn::Add, {x, t.constant(std::abs(sum), kI32)});
}

// Only integers have no NaN or infinity that would have to stay.
Found integer_zero(Terms& t, NodeId id) {
  if (t.dtype(id) != kI32) return {};
  const bool times_zero = t.is(id, Fn::Mul) && t.is_number(t.input(id, 1), 0);
  const bool minus_itself = t.is(id, Fn::Sub) && t.input(id, 0) == t.input(id, 1);
  const bool modulo_one = t.is(id, Fn::Mod) && t.is_number(t.input(id, 1), 1);
  if (!times_zero && !minus_itself && !modulo_one) return {};
  return t.constant(0, kI32);
}

Found integer_scale_twice(Terms& t, NodeId id) {
  if (t.dtype(id) != kI32 || !t.is(id, Fn::Mul) || !t.is(t.input(id, 0), Fn::Mul)) return {};
  const auto outer = t.number(t.input(id, 1)), inner = t.number(t.input(t.input(id, 0), 1));
  if (!outer || !inner || !fits_i32(*outer * *inner)) return {};
  return t.map(Fn::Mul, {t.input(t.input(id, 0), 0), t.constant(*outer * *inner, kI32)});
}

struct ScaledThenDivided {
  NodeId x;
  std::int64_t scale, divisor;
};

// (x fn c) / d or (x fn c) % d over integers that do not wrap around, with c and d positive.
std::optional<ScaledThenDivided> scaled_then(const Terms& t, NodeId id, Fn outer, Fn inner) {
  if (t.dtype(id) != kI32 || !t.is(id, outer) || !t.is(t.input(id, 0), inner)) return {};
  const NodeId scaled = t.input(id, 0);
  if (t.may_wrap(scaled)) return {};
  const auto scale = t.number(t.input(scaled, 1)), divisor = t.number(t.input(id, 1));
  if (!scale || !divisor || *scale <= 0 || *divisor <= 0) return {};
  return ScaledThenDivided{t.input(scaled, 0), static_cast<std::int64_t>(*scale),
                           static_cast<std::int64_t>(*divisor)};
}

Found scale_then_divide(Terms& t, NodeId id) {
  const auto found = scaled_then(t, id, Fn::Div, Fn::Mul);
  if (!found || found->scale % found->divisor != 0) return {};
  const auto scale = static_cast<double>(found->scale / found->divisor);
  return t.map(Fn::Mul, {found->x, t.constant(scale, kI32)});
}

Found scale_then_modulo(Terms& t, NodeId id) {
  const auto found = scaled_then(t, id, Fn::Mod, Fn::Mul);
  if (!found || found->scale % found->divisor != 0) return {};
  return t.constant(0, kI32);
}

Found divide_twice(Terms& t, NodeId id) {
  const auto found = scaled_then(t, id, Fn::Div, Fn::Div);
  if (!found) return {};
  const double product = static_cast<double>(found->scale) * static_cast<double>(found->divisor);
  if (!fits_i32(product)) return {};
  return t.map(Fn::Div, {found->x, t.constant(product, kI32)});
}

Found bound_twice(Terms& t, NodeId id) {
  for (const Fn fn : {Fn::Min, Fn::Max}) {
    if (!t.is(id, fn)) continue;
    const NodeId inner = t.input(id, 0), last = t.input(id, 1);
    if (!t.is(inner, fn) || t.dtype(inner) != t.dtype(id)) continue;
    const auto c = t.number(t.input(inner, 1)), d = t.number(last);
    if (c && d) return t.map(fn, {t.input(inner, 0), t.map(fn, {t.input(inner, 1), last})});
  }
  return {};
}

Found bound_of_same(Terms& t, NodeId id) {
  if (!(t.is(id, Fn::Min) || t.is(id, Fn::Max)) || t.input(id, 0) != t.input(id, 1)) return {};
  return t.input(id, 0);
}

Found small_power(Terms& t, NodeId id) {
  if (!t.is(id, Fn::Pow)) return {};
  const NodeId x = t.cast(kF32, t.input(id, 0));
  const NodeId power = t.input(id, 1);
  if (t.is_number(power, 0)) return t.constant(1, kF32);  // also of NaN
  if (t.is_number(power, 1)) return x;
  if (t.is_number(power, 2)) return t.map(Fn::Mul, {x, x});
  if (t.is_number(power, -1)) return t.map(Fn::Div, {t.constant(1, kF32), x});
  return {};  // not 0.5: pow(-inf, 0.5) is inf, sqrt(-inf) is NaN
}

Found abs_of_minus(Terms& t, NodeId id) {
  if (!t.is(id, Fn::Abs)) return {};
  const NodeId x = t.input(id, 0);
  if (t.is(x, Fn::Abs)) return x;
  if (!t.is(x, Fn::Neg)) return {};
  return t.map(Fn::Abs, {t.input(x, 0)});
}

Found round_integer(Terms& t, NodeId id) {
  if (!(t.is(id, Fn::Floor) || t.is(id, Fn::Round)) || !t.is_exact(t.input(id, 0))) return {};
  return t.input(id, 0);
}

// At least 0, or NaN.
bool is_not_negative(const Terms& t, NodeId id, int depth = 8) {
  if (depth == 0) return false;
  const auto of = [&](int n) { return is_not_negative(t, t.input(id, n), depth - 1); };
  if (const auto c = t.number(id)) return *c >= 0;
  for (const Fn fn : {Fn::Sqrt, Fn::Exp, Fn::Exp2, Fn::Acosh, Fn::Sigmoid, Fn::Relu})
    if (t.is(id, fn)) return true;
  if (t.is(id, Fn::Abs)) return t.dtype(id) == kF32;  // integers wrap around
  if (t.dtype(id) != kF32) return false;
  if (t.is(id, Fn::Mul) && t.input(id, 0) == t.input(id, 1)) return true;
  for (const Fn fn : {Fn::Add, Fn::Mul, Fn::Div, Fn::Min})
    if (t.is(id, fn)) return of(0) && of(1);
  if (t.is(id, Fn::Max)) return of(0) || of(1);
  if (t.is(id, Fn::Where)) return of(1) && of(2);
  return t.is(id, ir::ReduceFn::Sum) && of(0);
}

// x in exp(-fn(x)).
Found of_minus(const Terms& t, NodeId id, Fn fn) {
  if (!t.is(id, Fn::Exp) || !t.is(t.input(id, 0), Fn::Neg)) return {};
  const NodeId inner = t.input(t.input(id, 0), 0);
  if (!t.is(inner, fn)) return {};
  return t.input(inner, 0);
}

// Below -1 only one of the two is NaN.
Found exp_of_minus_log1p(Terms& t, NodeId id) {
  const Found x = of_minus(t, id, Fn::Log1p);
  if (!x || !is_not_negative(t, *x)) return {};
  return t.map(Fn::Div, {t.constant(1, kF32), t.map(Fn::Add, {*x, t.constant(1, kF32)})});
}

// Two roots: the square of z would overflow, and cancel next to 1.
Found exp_of_minus_acosh(Terms& t, NodeId id) {
  const Found z = of_minus(t, id, Fn::Acosh);
  if (!z) return {};
  const NodeId one = t.constant(1, kF32), x = t.cast(kF32, *z);
  const NodeId below = t.map(Fn::Sqrt, {t.map(Fn::Sub, {x, one})});
  const NodeId above = t.map(Fn::Sqrt, {t.map(Fn::Add, {x, one})});
  return t.map(Fn::Div, {one, t.map(Fn::Add, {x, t.map(Fn::Mul, {below, above})})});
}

constexpr Rule kRules[] = {
    {"c + x -> x + c, also * min max && ||", constant_last},
    {"x + 0 -> x, x - 0 -> x", add_zero},
    {"x * 1 -> x, x / 1 -> x", times_one},
    {"x * -1 -> -x", times_minus_one},
    {"-(-x) -> x", minus_minus},
    {"x + -y -> x - y, x - -y -> x + y", add_minus},
    {"-x * c -> x * -c", minus_times_constant},
    {"x / 2^n -> x * 2^-n", divide_by_power_of_two},
    {"x * c * d -> x * (c * d), also /", scale_twice},
    {"i + c - d -> i + (c - d)", offset_twice},
    {"i * 0, i - i, i % 1 -> 0", integer_zero},
    {"i * c * d -> i * (c * d)", integer_scale_twice},
    {"i * c / d -> i * (c / d) where d divides c", scale_then_divide},
    {"i * c % d -> 0 where d divides c", scale_then_modulo},
    {"i / c / d -> i / (c * d)", divide_twice},
    {"min(min(x, c), d) -> min(x, min(c, d)), also max", bound_twice},
    {"min(x, x) -> x, also max", bound_of_same},
    {"pow(x, 0 or 1 or 2 or -1)", small_power},
    {"abs(-x), abs(abs(x)) -> abs(x)", abs_of_minus},
    {"floor(i), round(i) -> i", round_integer},
    {"exp(-log1p(x)) -> 1 / (1 + x) where x >= 0", exp_of_minus_log1p},
    {"exp(-acosh(z)) -> 1 / (z + sqrt(z - 1) * sqrt(z + 1))", exp_of_minus_acosh},
};

}  // namespace

std::span<const Rule> arithmetic_rules() { return kRules; }

}  // namespace fovea::passes
