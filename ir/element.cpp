#include "ir/element.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

#include "ir/interpret.h"
#include "ir/require.h"

namespace fovea::ir {
namespace {

// Rounds to `digits` significant bits, to even, with exponents from `least` to `most`.
double round_float(double value, int digits, int least, int most) {
  if (value == 0 || !std::isfinite(value)) return value;
  const int exponent = std::max(std::ilogb(value), least);
  const double unit = std::ldexp(1.0, exponent - digits + 1);
  const double rounded = std::nearbyint(value / unit) * unit;
  if (std::fabs(rounded) < std::ldexp(1.0, most + 1)) return rounded;
  return std::copysign(std::numeric_limits<double>::infinity(), value);
}

double saturate(double value, double low, double high) {
  if (std::isnan(value)) return 0;
  return std::trunc(std::fmin(std::fmax(value, low), high)) + 0.0;
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == 0) return 0;
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

double floor_modulo(double a, double b) {
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double larger(double a, double b) { return a > b || a != a ? a : b; }
double smaller(double a, double b) { return a < b || a != a ? a : b; }

// Loops of two and one inputs; a template, so that the function is inside the loop.
template <class F>
void each(std::span<const double* const> in, double* out, std::size_t count, F f) {
  if constexpr (std::is_invocable_v<F, double>) {
    for (std::size_t n = 0; n < count; ++n) out[n] = f(in[0][n]);
  } else {
    for (std::size_t n = 0; n < count; ++n) out[n] = f(in[0][n], in[1][n]);
  }
}

// Numbers of i32 are exact in double up to their products, which need all 64 bits.
template <class F>
void each_integer(std::span<const double* const> in, double* out, std::size_t count, F f) {
  for (std::size_t n = 0; n < count; ++n) {
    const auto a = static_cast<std::int64_t>(in[0][n]);
    const auto b = static_cast<std::int64_t>(in[1][n]);
    out[n] = static_cast<double>(static_cast<std::int32_t>(f(a, b)));
  }
}

bool apply_integer(Fn fn, std::span<const double* const> in, double* out, std::size_t count) {
  using I = std::int64_t;
  const auto pair = [&](auto f) { return each_integer(in, out, count, f), true; };
  const auto one = [&](auto f) { return each(in, out, count, f), true; };
  switch (fn) {
    case Fn::Add: return pair([](I a, I b) { return a + b; });
    case Fn::Sub: return pair([](I a, I b) { return a - b; });
    case Fn::Mul: return pair([](I a, I b) { return a * b; });
    case Fn::Div: return pair(floor_divide);
    case Fn::Mod: return pair([](I a, I b) { return b == 0 ? 0 : a - floor_divide(a, b) * b; });
    case Fn::Neg: return one([](double x) { return wrap(-x); });
    case Fn::Abs: return one([](double x) { return wrap(std::fabs(x)); });
    default: return false;
  }
}

void apply_float_pair(const Element& element, std::span<const double* const> in, double* out,
                      std::size_t count) {
  const auto pair = [&](auto f) { each(in, out, count, f); };
  switch (element.fn) {
    case Fn::Add: return pair([](double a, double b) { return a + b; });
    case Fn::Sub: return pair([](double a, double b) { return a - b; });
    case Fn::Mul:
      if (!element.annihilate) return pair([](double a, double b) { return a * b; });
      return pair([](double a, double b) { return a == 0 || b == 0 ? 0 : a * b; });
    case Fn::Div:
      if (!element.annihilate) return pair([](double a, double b) { return a / b; });
      return pair([](double a, double b) { return a == 0 ? 0 : a / b; });
    case Fn::Mod: return pair(floor_modulo);
    case Fn::Pow: return pair([](double a, double b) { return std::pow(a, b); });
    case Fn::LeakyRelu: return pair([](double x, double s) { return x >= 0 ? x : s * x; });
    default: invariant(false, "an element function of two inputs");
  }
}

void apply_any_pair(const Element& element, std::span<const double* const> in, double* out,
                    std::size_t count) {
  const auto pair = [&](auto f) { each(in, out, count, f); };
  switch (element.fn) {
    case Fn::Min: return pair(smaller);
    case Fn::Max: return pair(larger);
    case Fn::Eq: return pair([](double a, double b) { return a == b ? 1.0 : 0.0; });
    case Fn::Ne: return pair([](double a, double b) { return a != b ? 1.0 : 0.0; });
    case Fn::Lt: return pair([](double a, double b) { return a < b ? 1.0 : 0.0; });
    case Fn::Le: return pair([](double a, double b) { return a <= b ? 1.0 : 0.0; });
    case Fn::Gt: return pair([](double a, double b) { return a > b ? 1.0 : 0.0; });
    case Fn::Ge: return pair([](double a, double b) { return a >= b ? 1.0 : 0.0; });
    case Fn::And: return pair([](double a, double b) { return a != 0 && b != 0 ? 1.0 : 0.0; });
    case Fn::Or: return pair([](double a, double b) { return a != 0 || b != 0 ? 1.0 : 0.0; });
    default: return apply_float_pair(element, in, out, count);
  }
}

void apply_one(const Element& element, std::span<const double* const> in, double* out,
               std::size_t count) {
  const auto one = [&](auto f) { each(in, out, count, f); };
  constexpr double kSqrt2 = std::numbers::sqrt2;
  switch (element.fn) {
    case Fn::Neg: return one([](double x) { return -x; });
    case Fn::Not: return one([](double x) { return x == 0 ? 1.0 : 0.0; });
    case Fn::Abs: return one([](double x) { return std::fabs(x); });
    case Fn::Exp: return one([](double x) { return std::exp(x); });
    case Fn::Exp2: return one([](double x) { return std::exp2(x); });
    case Fn::Log: return one([](double x) { return std::log(x); });
    case Fn::Log1p: return one([](double x) { return std::log1p(x); });
    case Fn::Sqrt: return one([](double x) { return std::sqrt(x); });
    case Fn::Rsqrt: return one([](double x) { return 1 / std::sqrt(x); });
    case Fn::Tanh: return one([](double x) { return std::tanh(x); });
    case Fn::Sigmoid: return one([](double x) { return 1 / (1 + std::exp(-x)); });
    case Fn::Relu: return one([](double x) { return x <= 0 ? 0.0 : x; });
    case Fn::Elu: return one([](double x) { return x > 0 ? x : std::expm1(x); });
    case Fn::Gelu: return one([](double x) { return 0.5 * x * std::erfc(-x / kSqrt2); });
    case Fn::Erf: return one([](double x) { return std::erf(x); });
    case Fn::Sin: return one([](double x) { return std::sin(x); });
    case Fn::Cos: return one([](double x) { return std::cos(x); });
    case Fn::Asin: return one([](double x) { return std::asin(x); });
    case Fn::Acos: return one([](double x) { return std::acos(x); });
    case Fn::Atan: return one([](double x) { return std::atan(x); });
    case Fn::Acosh: return one([](double x) { return std::acosh(x); });
    case Fn::Atanh: return one([](double x) { return std::atanh(x); });
    case Fn::Floor: return one([](double x) { return std::floor(x); });
    case Fn::Round: return one([](double x) { return std::nearbyint(x); });
    case Fn::Cast: return one([to = element.dtype](double x) { return round_to(to, x); });
    default: invariant(false, "an element function of one input");
  }
}

}  // namespace

double wrap(double value) {
  return static_cast<double>(static_cast<std::int32_t>(static_cast<std::int64_t>(value)));
}

double round_to(Dtype dtype, double value) {
  if (dtype == Dtype::F32) return value;
  const runtime::DtypeRow& row = runtime::row(dtype);
  switch (row.kind) {
    case runtime::DtypeKind::real:
      return round_float(value, row.digits, row.min_exponent, row.max_exponent);
    case runtime::DtypeKind::integer: return saturate(value, row.min, row.max);
    case runtime::DtypeKind::truth: return value != 0 ? 1 : 0;
  }
  return value;
}

void apply(const Element& element, std::span<const double* const> in, double* out,
           std::size_t count) {
  if (element.dtype == Dtype::I32 && apply_integer(element.fn, in, out, count)) return;
  if (element.fn == Fn::Where) {
    for (std::size_t n = 0; n < count; ++n) out[n] = in[0][n] != 0 ? in[1][n] : in[2][n];
  } else if (arity(element.fn) == 2) {
    apply_any_pair(element, in, out, count);
  } else {
    apply_one(element, in, out, count);
  }
}

}  // namespace fovea::ir
