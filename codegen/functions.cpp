#include <Halide.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "codegen/asserts.h"
#include "codegen/elementary.h"
#include "codegen/emit.h"
#include "ir/require.h"

namespace fovea::codegen {

// Halide folds x != x to false, so by the bits.
Halide::Expr not_a_number(Halide::Expr x) {
  if (x.type().bits() == 64)
    return (Halide::reinterpret<std::int64_t>(x) & Halide::Expr(std::int64_t{0x7fffffffffffffff})) >
           Halide::Expr(std::int64_t{0x7ff0000000000000});
  return (Halide::reinterpret<int>(x) & 0x7fffffff) > 0x7f800000;
}

namespace {

using Halide::cast;
using Halide::Expr;
using Halide::reinterpret;
using Halide::select;
using ir::Dtype;
using ir::Fn;
using runtime::DtypeKind;
using runtime::DtypeRow;

bool is_float(const Expr& x) { return x.type().is_float(); }
Expr like(const Expr& x, double value) { return Halide::Internal::make_const(x.type(), value); }
Expr truth(const Expr& x) { return x.type().is_bool() ? x : x != cast(x.type(), 0); }

Expr library(const std::string& name, const std::vector<Expr>& x, bool exact) {
  const Halide::Type type = exact ? Halide::Float(64) : Halide::Float(32);
  return Halide::Internal::Call::make(type, exact ? name : name + "f", x,
                                      Halide::Internal::Call::PureExtern);
}

// A divisor that never traps: neither 0 nor -1, by which the least integer is divided beyond i32.
Expr divisor(const Expr& b) { return select(b == 0 || b == -1, 1, b); }

// Halide's remainders are never negative. Ours have the divisor's sign.
Expr floor_div(const Expr& a, const Expr& b) {
  if (Halide::Internal::is_positive_const(b)) return a / b;
  const Expr by = divisor(b);
  return select(b == 0, 0, b == -1, wrapping(Fn::Neg, {a}),
                a / by - select(by < 0 && a % by != 0, 1, 0));
}

Expr floor_mod(const Expr& a, const Expr& b) {
  if (Halide::Internal::is_positive_const(b)) return a % b;
  const Expr by = divisor(b), rest = a % by;
  return select(b == 0 || b == -1, 0, rest + select(by < 0 && rest != 0, by, 0));
}

Expr to_integer(const Expr& x, double low, double high) {
  if (!is_float(x)) return Halide::clamp(cast<int>(x), int(low), int(high));
  // Comparisons are false for NaN, which gives 0.
  const Expr inside = x > like(x, low) && x < like(x, high);
  const Expr whole = cast<int>(select(inside, x, like(x, 0)));
  return select(inside, whole, x >= like(x, high), int(high), x <= like(x, low), int(low), 0);
}

// The type by which Halide knows a real.
Halide::Type real_type(const DtypeRow& row) {
  return row.max_exponent == 127 && row.bits == 16 ? Halide::BFloat(16) : Halide::Float(row.bits);
}

Expr to_storage(const Expr& x, Dtype to, bool exact) {
  const Halide::Type real = exact ? Halide::Float(64) : Halide::Float(32);
  if (to == Dtype::F32) return cast(real, x);
  const DtypeRow& row = runtime::row(to);
  switch (row.kind) {
    case DtypeKind::real: return cast(real, cast<float>(cast(real_type(row), cast<float>(x))));
    case DtypeKind::integer: return to_integer(x, row.min, row.max);
    case DtypeKind::truth: return truth(x);
  }
  return x;
}

Expr arithmetic(Fn fn, const Expr& a, const Expr& b) {
  const bool real = is_float(a);
  switch (fn) {
    case Fn::Add: return a + b;
    case Fn::Sub: return a - b;
    case Fn::Mul: return a * b;
    case Fn::Div: return real ? a / b : floor_div(a, b);
    case Fn::Mod: return real ? a - b * Halide::floor(a / b) : floor_mod(a, b);
    // Comparisons with NaN are false: a NaN in either place must come out.
    case Fn::Min: return real ? select(a < b || not_a_number(a), a, b) : Halide::min(a, b);
    case Fn::Max: return real ? select(a > b || not_a_number(a), a, b) : Halide::max(a, b);
    default: break;
  }
  invariant(false, "not an arithmetic function");
  return {};
}

Expr compare(Fn fn, const Expr& a, const Expr& b) {
  switch (fn) {
    case Fn::Eq: return a == b;
    case Fn::Ne: return a != b;
    case Fn::Lt: return a < b;
    case Fn::Le: return a <= b;
    case Fn::Gt: return a > b;
    case Fn::Ge: return a >= b;
    default: break;
  }
  invariant(false, "not a comparison");
  return {};
}

// In double by the library, in f32 by codegen/elementary.h.
Expr transcendental(Fn fn, const Expr& x, bool exact) {
  if (!exact) return elementary(fn, x);
  const Expr one = like(x, 1);
  switch (fn) {
    case Fn::Exp: return library("exp", {x}, true);
    case Fn::Exp2: return library("exp2", {x}, true);
    case Fn::Tanh: return library("tanh", {x}, true);
    case Fn::Log: return library("log", {x}, true);
    case Fn::Log1p: return library("log1p", {x}, true);
    case Fn::Erf: return library("erf", {x}, true);
    case Fn::Sin: return library("sin", {x}, true);
    case Fn::Cos: return library("cos", {x}, true);
    case Fn::Asin: return library("asin", {x}, true);
    case Fn::Acos: return library("acos", {x}, true);
    case Fn::Atan: return library("atan", {x}, true);
    case Fn::Acosh: return library("acosh", {x}, true);
    case Fn::Atanh: return library("atanh", {x}, true);
    case Fn::Sigmoid: return one / (one + library("exp", {x * like(x, -1)}, true));
    case Fn::Elu: {
      const Expr zero = like(x, 0);
      return select(x > zero, x, library("expm1", {select(x > zero, zero, x)}, true));
    }
    case Fn::Gelu:
      return x * like(x, 0.5) * (one + library("erf", {x * like(x, 0.70710678118654752)}, true));
    default: break;
  }
  invariant(false, "not a transcendental function");
  return {};
}

// 2^x, 0 where x rounds to -bias or less. This is most of what a softmax costs: the sum with `shift`
// rounds x to a whole number n and leaves n + bias in its low bits, which are the exponent of
// 2^(n + bias - 127), or of 0. The rest of the bias is in the polynomial, whose last term makes 2^0
// exactly 1. A comparison that NaN fails keeps NaN, and so does the product.
Expr exp2_biased(Expr x, int bias) {
  const float shift = 0x1.8p23f + static_cast<float>(bias), least = -static_cast<float>(bias);
  x = select(x < least, least, x);
  const Expr shifted = Halide::strict_float(x + shift);
  const Expr rest = x - Halide::strict_float(shifted - shift);
  const double unit = std::ldexp(1.0, 127 - bias);
  return polynomial(rest, {1.3333558e-3 * unit, 9.6181291e-3 * unit, 5.5504109e-2 * unit,
                           2.4022651e-1 * unit, 6.9314718e-1 * unit, unit}) *
         reinterpret<float>(reinterpret<int>(shifted) << 23);
}

}  // namespace

// Subnormal weights, and products with them, would cost a hundred cycles each.
Expr exp2_below(Expr x) { return exp2_biased(x, 100); }

Expr exp2_any(Expr x) { return exp2_biased(select(x > 128.f, 128.f, x), 126); }

Expr hidden(const Expr& x) { return reinterpret<int>(reinterpret<std::uint32_t>(cast<int>(x))); }

Expr wrapping(Fn fn, const std::vector<Expr>& x) {
  std::vector<Expr> bits;
  for (const Expr& each : x) bits.push_back(cast<std::uint32_t>(cast<int>(each)));
  // Halide folds casts of constants beyond i32 to an error, their bits to what they are.
  const auto whole = [](const Expr& of) { return reinterpret<int>(of); };
  const Expr zero = cast<std::uint32_t>(0);
  switch (fn) {
    case Fn::Add: return whole(bits[0] + bits[1]);
    case Fn::Sub: return whole(bits[0] - bits[1]);
    case Fn::Mul: return whole(bits[0] * bits[1]);
    case Fn::Neg: return whole(zero - bits[0]);
    case Fn::Abs: return whole(select(whole(bits[0]) < 0, zero - bits[0], bits[0]));
    default: return apply(fn, x, Dtype::I32, false);  // of itself
  }
}

// Halide 14's own check of promises loses the names of common subexpressions. What never runs may
// hold a check that fails, and is no reason to warn.
Expr promised(const Expr& x, const Expr& low, const Expr& high) {
  if (!has_asserts()) return Halide::unsafe_promise_clamped(x, low, high);
  const Expr found = hidden(x);
  const Expr inside = low <= found && found <= high;
  return clamp(Halide::require(inside, x, "a promised coordinate"), low, high);
}

Expr apply(Fn fn, std::vector<Expr> x, Dtype to, bool exact) {
  const auto unify = [&](std::size_t from) {  // operands of one arithmetic
    bool real = false;
    for (std::size_t n = from; n < x.size(); n++) real |= is_float(x[n]);
    for (std::size_t n = from; n < x.size(); n++)
      x[n] = cast(real ? (exact ? Halide::Float(64) : Halide::Float(32)) : Halide::Int(32), x[n]);
  };
  const auto real = [&] { return cast(exact ? Halide::Float(64) : Halide::Float(32), x[0]); };
  switch (fn) {
    case Fn::Add:
    case Fn::Sub:
    case Fn::Mul:
    case Fn::Div:
    case Fn::Mod:
    case Fn::Min:
    case Fn::Max: unify(0); return arithmetic(fn, x[0], x[1]);
    case Fn::Eq:
    case Fn::Ne:
    case Fn::Lt:
    case Fn::Le:
    case Fn::Gt:
    case Fn::Ge: unify(0); return compare(fn, x[0], x[1]);
    case Fn::And: return truth(x[0]) && truth(x[1]);
    case Fn::Or: return truth(x[0]) || truth(x[1]);
    case Fn::Not: return !truth(x[0]);
    case Fn::Where:
      if (to != Dtype::Bool) unify(1);
      return select(truth(x[0]), x[1], x[2]);
    case Fn::Pow: {
      const Halide::Type type = exact ? Halide::Float(64) : Halide::Float(32);
      return library("pow", {cast(type, x[0]), cast(type, x[1])}, exact);
    }
    case Fn::LeakyRelu: {
      unify(0);
      return select(x[0] < like(x[0], 0), x[0] * x[1], x[0]);
    }
    case Fn::Neg: unify(0); return is_float(x[0]) ? x[0] * like(x[0], -1) : 0 - x[0];
    case Fn::Abs:
      unify(0);
      return is_float(x[0]) ? Halide::abs(x[0]) : select(x[0] < 0, 0 - x[0], x[0]);
    case Fn::Relu: unify(0); return select(x[0] < like(x[0], 0), like(x[0], 0), x[0]);
    case Fn::Floor: unify(0); return is_float(x[0]) ? Halide::floor(x[0]) : x[0];
    case Fn::Round: unify(0); return is_float(x[0]) ? Halide::round(x[0]) : x[0];
    case Fn::Sqrt: return Halide::sqrt(real());
    case Fn::Rsqrt: return like(real(), 1) / Halide::sqrt(real());
    case Fn::Cast: return to_storage(x[0], to, exact);
    default: return transcendental(fn, real(), exact);
  }
}

Halide::Type stored_type(Dtype dtype) {
  const DtypeRow& row = runtime::row(dtype);
  const int bits = std::max(row.bits, 8);
  if (row.kind == DtypeKind::real) return bits == 32 ? Halide::Float(32) : Halide::UInt(bits);
  return row.min < 0 && row.bits == bits ? Halide::Int(bits) : Halide::UInt(bits);
}

namespace {

Expr decode_real(const DtypeRow& row, const Expr& raw) {
  if (row.bits == 32) return raw;
  const Expr wide = cast<std::uint32_t>(raw);
  // With the exponents of f32 it is an f32 without its last bits.
  if (row.max_exponent == 127) return reinterpret<float>(wide << (32 - row.bits));
  // The bits, moved, are the value times a power of two, exact with subnormals; then infinity.
  const std::uint32_t sign_bit = 1U << (row.bits - 1),
                      infinity = sign_bit - (1U << (row.digits - 1));
  const Expr sign = (wide & sign_bit) << (32 - row.bits), rest = wide & (sign_bit - 1);
  const Expr moved = rest << (24 - row.digits);
  const Expr finite = reinterpret<float>(moved) * std::ldexp(1.0F, 127 - row.max_exponent);
  const Expr special = reinterpret<float>(moved | 0x7f800000u);
  const Expr size = select(rest >= cast<std::uint32_t>(Expr(infinity)), special, finite);
  return reinterpret<float>(reinterpret<std::uint32_t>(size) | sign);
}

}  // namespace

Expr decode(Dtype dtype, Expr raw, Expr coordinate) {
  const DtypeRow& row = runtime::row(dtype);
  switch (row.kind) {
    case DtypeKind::real: return decode_real(row, raw);
    case DtypeKind::integer: break;
    case DtypeKind::truth: return raw != cast<std::uint8_t>(0);
  }
  if (!runtime::is_packed(dtype)) return row.bits == 32 ? raw : cast<int>(raw);
  const Expr nibble = (cast<int>(raw) >> ((coordinate & 1) * 4)) & 15;
  return (nibble ^ 8) - 8;
}

Expr encode(Dtype dtype, Expr value) {
  const DtypeRow& row = runtime::row(dtype);
  switch (row.kind) {
    case DtypeKind::real:
      if (row.bits == 32) return cast<float>(value);
      return reinterpret<std::uint16_t>(cast(real_type(row), cast<float>(value)));
    case DtypeKind::integer: break;
    case DtypeKind::truth: return cast<std::uint8_t>(select(value, 1, 0));
  }
  if (runtime::is_packed(dtype)) return cast<std::uint8_t>(cast<int>(value) & 15);
  return cast(stored_type(dtype), value);
}

}  // namespace fovea::codegen
