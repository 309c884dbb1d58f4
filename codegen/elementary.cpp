#include <Halide.h>

#include "codegen/elementary.h"

#include <array>
#include <cstdint>
#include <limits>
#include <numbers>

#include "codegen/emit.h"
#include "ir/require.h"

namespace fovea::codegen {

using Halide::cast;
using Halide::Expr;
using Halide::reinterpret;
using Halide::select;
using Halide::strict_float;

Expr polynomial(const Expr& x, std::initializer_list<double> highest_first) {
  const auto constant = [&](double c) { return Halide::Internal::make_const(x.type(), c); };
  Expr sum;
  for (const double c : highest_first) sum = sum.defined() ? sum * x + constant(c) : constant(c);
  return sum;
}

Expr nearest(const Expr& x) {
  const double shift = x.type().bits() == 64 ? 6755399441055744.0 : 12582912.0;  // 1.5 * 2^52, 23
  const Expr far = Halide::Internal::make_const(x.type(), shift);
  return strict_float(strict_float(x + far) - far);
}

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Expr nan_f32() { return reinterpret<float>(Expr(0x7fc00000)); }
Expr two_to(const Expr& n) { return reinterpret<float>((cast<int>(n) + 127) << 23); }

// x 2^n, where one of the two may be too large or too small for an f32 before the other is applied.
Expr scaled(const Expr& x, const Expr& n) {
  const Expr whole = cast<int>(n), half = whole >> 1;
  return x * two_to(half) * two_to(whole - half);
}

// |x|, negative where `sign` is.
Expr with_sign(const Expr& x, const Expr& sign) {
  return reinterpret<float>((reinterpret<int>(x) & 0x7fffffff) |
                            (reinterpret<int>(sign) & Expr(std::numeric_limits<int>::min())));
}

// ---- exponentials

// exp(x) = mantissa 2^exponent, by Cody-Waite in two steps.
struct Exponential {
  Expr mantissa, exponent;
};

Exponential exponential(const Expr& x) {
  const Expr n = nearest(x * std::numbers::log2e_v<float>);
  const Expr f = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  return {polynomial(f, {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
                         1.6666665459e-1, 5.0000001201e-1, 1.0, 1.0}),
          n};
}

// Any x; overflow gives inf, below the smallest subnormal 0.
Expr exp_f32(const Expr& x) {
  const auto [mantissa, n] = exponential(select(x > 89.f, 89.f, x < -104.f, -104.f, x));
  return scaled(mantissa, n);
}

// |x| < 87
Expr exp_within(const Expr& x) {
  const auto [mantissa, n] = exponential(x);
  return mantissa * two_to(n);
}

Expr exp2_f32(const Expr& x) {
  const Expr limited = select(x > 129.f, 129.f, x < -151.f, -151.f, x);
  const Expr n = nearest(limited);
  const Expr p = polynomial(limited - n, {1.5353362e-4, 1.3398874e-3, 9.6184373e-3, 5.5503324e-2,
                                          2.4022648e-1, 6.9314720e-1, 1.0});
  return scaled(p, n);
}

// Below .625 an odd polynomial, above by one exponential.
Expr tanh_f32(const Expr& x) {
  const Expr a = Halide::abs(x), square = x * x;
  const Expr small =
      x + x * square *
              polynomial(square, {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2,
                                  1.33314422036e-1, -3.33332819422e-1});
  const Expr t = exp_within(select(a > 10.f, 10.f, a) * -2.f);
  return with_sign(select(a < 0.625f, small, (1.f - t) / (1.f + t)), x);
}

Expr sigmoid_f32(const Expr& x) { return 1.f / (1.f + exp_f32(x * -1.f)); }

// exp(x) - 1 below 0, by its series where the difference would cancel.
Expr elu_f32(const Expr& x) {
  const Expr low = select(x > 0.f, 0.f, x);
  const Expr series = polynomial(low, {2.4801587e-5, 1.9841270e-4, 1.3888889e-3, 8.3333333e-3,
                                       4.1666667e-2, 1.6666667e-1, 0.5});
  const Expr near = low + low * low * series;
  return select(x > 0.f, x, low > -0.5f, near, exp_f32(low) - 1.f);
}

// 1 - |erf| from .92 on, and erf below, by njuffa's approximations (2013). The first is fitted up
// to 4, where f32 has no more digits of erf; beyond it only falls, to 0.
Expr erf_complement(const Expr& a) {
  const Expr t = select(a > 16.f, 16.f, a);
  const Expr p = polynomial(t, {-1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2,
                                -1.06777877e-1, -6.34846687e-1, -1.28717512e-1});
  const Expr exponent = p * t - t, gone = exponent < -87.f;
  return select(gone, 0.f, exp_within(select(gone, 0.f, exponent)));
}

Expr erf_near(const Expr& x) {
  return x + x * polynomial(x * x, {-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1,
                                    -3.76125336e-1, 1.28379166e-1});
}

constexpr float kErfSplit = 0.921875f;

Expr erf_f32(const Expr& x) {
  const Expr a = Halide::abs(x);
  return with_sign(select(a > kErfSplit, 1.f - erf_complement(a), erf_near(x)), x);
}

// x / 2 (1 + erf(x / √2)), without the cancellation far below 0.
Expr gelu_f32(const Expr& x) {
  const Expr y = x * 0.70710678f, half = x * 0.5f, complement = erf_complement(Halide::abs(y));
  return select(y > kErfSplit, x * (1.f - complement * 0.5f), y < -kErfSplit, half * complement,
                half + half * erf_near(y));
}

// ---- logarithms

// x = 2^exponent (1 + fraction), 1 + fraction from √½ to √2.
struct Split {
  Expr exponent, fraction;
};

Split split(const Expr& x) {
  const Expr bits = reinterpret<int>(x) + (0x3f800000 - 0x3f3504f3);
  const Expr one_to_two = reinterpret<float>((bits & 0x7fffff) + 0x3f3504f3);
  return {(bits >> 23) - 127, one_to_two - 1.f};
}

// (log(1 + f) - f + f² / 2) / f³; the coefficients are those of Cephes (Moshier 1992).
Expr series_of_log(const Expr& f) {
  return polynomial(
      f, {7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
          -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1});
}

// exponent log 2 + log(1 + fraction)
Expr logarithm(const Expr& exponent, const Expr& fraction) {
  const Expr& f = fraction;
  const Expr e = cast<float>(exponent), square = f * f;
  const Expr tail = series_of_log(f) * f * square + e * -2.12194440e-4f - square * 0.5f;
  return (f + tail) + e * 0.693359375f;
}

Expr log_f32(const Expr& x) {
  const Expr tiny = x < 1.17549435e-38f;  // a subnormal has few bits where the exponent ends
  const Split parts = split(select(tiny, x * 8388608.f, x));
  const Expr value = logarithm(parts.exponent - select(tiny, 23, 0), parts.fraction);
  return select(x > 0.f && x < kInfinity, value, x == 0.f, -kInfinity, x < 0.f, nan_f32(), x);
}

// 1 + x = 2^n (1 + f) with f = x 2^-n - (1 - 2^-n), which loses nothing of x: n is added to the
// exponent of x, which is not small unless n is 0. Zeros keep their sign as they are only subtracted.
Expr log1p_f32(const Expr& x) {
  const Expr u = strict_float(x + 1.f);
  const Expr down = (Expr(0x3f3504f3 + 0x7fffff) - reinterpret<int>(u)) & Expr(-0x800000);  // -n
  const Expr scale = reinterpret<float>(Halide::max(down + 0x3f800000, 0));
  const Expr f = reinterpret<float>(reinterpret<int>(x) + down) - (1.f - scale);
  const Expr rest = (f * series_of_log(f) - 0.5f) * (f * f) + f;
  const Expr value = rest - cast<float>(down) * float(0.69314718055994531 * 0x1p-23);
  const Expr edge = select(x == kInfinity, x, x == -1.f, -kInfinity, nan_f32());
  return select(x > -1.f && x < kInfinity, value, edge);
}

// log(x + √(x² - 1)) = log1p(y + √(y (y + 2))) with y = x - 1; far out log(2 x).
Expr acosh_f32(const Expr& x) {
  const Expr y = x - 1.f, far = x > 1e8f;
  const Expr value = log1p_f32(select(far, x, y + Halide::sqrt(y * (y + 2.f))));
  return select(x < 1.f, nan_f32(), value + select(far, 0.69314718f, 0.f));
}

Expr atanh_f32(const Expr& x) {
  const Expr a = Halide::abs(x);
  const Expr value = log1p_f32(2.f * a / (1.f - a)) * 0.5f;
  return select(a > 1.f, nan_f32(), with_sign(value, x));
}

// ---- circular functions

// x = quadrant π/2 + rest, |rest| <= π/4 and a little.
struct Angle {
  Expr quadrant, rest;
};

// Cody-Waite in double: the multiples of a constant of 25 bits are exact up to 2^28.
Angle small_angle(const Expr& x) {
  const Expr wide = cast<double>(x);
  const Expr n = nearest(wide * Expr(0.63661977236758134));
  const Expr rest = (wide - n * Expr(1.57079631090164184570)) - n * Expr(1.58932547735281966916e-8);
  return {cast<int>(n), cast<float>(rest)};
}

// Payne-Hanek: of 2/π the 96 bits that count, times the mantissa, modulo 4.
Angle large_angle(const Expr& x) {
  constexpr auto kTwoOverPi = std::array{0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u,
                                         0xdb629599u, 0x3c439041u, 0xfe5163abu};
  const Expr bits = reinterpret<std::uint32_t>(Halide::abs(x));
  const Expr mantissa = cast<std::uint64_t>((bits & Expr(0x7fffffu)) | Expr(0x800000u));
  // The mantissa's unit is 2^exponent; bits of 2/π before the (exponent - 1)th give multiples of 4.
  const Expr exponent = Halide::clamp(cast<int>(bits >> 23) - 150, 5, 104);
  const Expr word = (exponent - 2) >> 5, shift = cast<std::uint32_t>((exponent - 2) & 31);
  const auto listed = [&](std::size_t n) {
    return select(word == 0, Expr(kTwoOverPi[n]), word == 1, Expr(kTwoOverPi[n + 1]), word == 2,
                  Expr(kTwoOverPi[n + 2]), Expr(kTwoOverPi[n + 3]));
  };
  const auto product = [&](std::size_t n) {
    const Expr moved = (listed(n) << shift) | ((listed(n + 1) >> 1) >> (Expr(31u) - shift));
    return mantissa * cast<std::uint64_t>(moved);
  };
  const Expr sum = (product(0) << 32) + product(1) + (product(2) >> 32);
  const Expr high = cast<std::uint32_t>(sum >> 32), low = cast<std::uint32_t>(sum);
  const Expr quadrant = (high + Expr(0x20000000u)) >> 30;
  const Expr fraction = cast<double>(reinterpret<int>(high - (quadrant << 30))) +
                        cast<double>(reinterpret<int>(low >> 1)) * Expr(0x1p-31);
  const Expr rest = cast<float>(fraction * Expr(1.57079632679489662 * 0x1p-30));
  const Expr turns = cast<int>(quadrant);
  return {select(x < 0.f, 0 - turns, turns), select(x < 0.f, rest * -1.f, rest)};
}

// The sine of x plus so many quarters of a turn.
Expr sine(const Expr& x, int quarters) {
  const Expr direct = Halide::abs(x) < 0x1p28f;
  const Angle small = small_angle(x), large = large_angle(x);
  const Expr quadrant = select(direct, small.quadrant, large.quadrant) + quarters;
  const Expr rest = select(direct, small.rest, large.rest), square = rest * rest;
  const Expr odd =
      rest +
      rest * square * polynomial(square, {-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1});
  const Expr even =
      1.f - (square * 0.5f - square * square *
                                 polynomial(square, {2.443315711809948e-5, -1.388731625493765e-3,
                                                     4.166664568298827e-2}));
  const Expr value = select((quadrant & 1) == 0, odd, even);
  const Expr turned = select((quadrant & 2) == 0, value, value * -1.f);
  const Expr zero = quarters == 0 ? x : Expr(1.f);  // with its sign
  return select(x == 0.f, zero, Halide::abs(x) < kInfinity, turned, nan_f32());
}

Expr atan_f32(const Expr& x) {
  const Expr a = Halide::abs(x), far = a > 2.41421356f, middle = a > 0.41421356f;
  const Expr y = select(far, -1.f, middle, a - 1.f, a) / select(far, a, middle, a + 1.f, 1.f);
  const Expr square = y * y;
  const Expr value = y + y * square *
                             polynomial(square, {8.05374449538e-2, -1.38776856032e-1,
                                                 1.99777106478e-1, -3.33329491539e-1});
  return with_sign(value + select(far, 1.57079633f, middle, 0.785398163f, 0.f), x);
}

// asin(√square) / √square - 1 up to √½.
Expr asin_excess(const Expr& square) {
  return square * polynomial(square, {4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2,
                                      7.4953002686e-2, 1.6666752422e-1});
}

Expr asin_f32(const Expr& x) {
  const Expr a = Halide::abs(x), near = a <= 0.5f, square = select(near, a * a, 0.5f - a * 0.5f);
  const Expr root = select(near, a, Halide::sqrt(square));
  const Expr value = root + root * asin_excess(square);
  return with_sign(select(near, value, a > 1.f, nan_f32(), 1.57079633f - 2.f * value), x);
}

Expr acos_f32(const Expr& x) {
  const Expr a = Halide::abs(x), near = a <= 0.5f, square = select(near, a * a, 0.5f - a * 0.5f);
  const Expr root = select(near, x, Halide::sqrt(square));
  const Expr value = root + root * asin_excess(square);
  return select(near, 1.57079633f - value, x > 1.f || x < -1.f, nan_f32(), x < 0.f,
                3.14159265f - 2.f * value, 2.f * value);
}

}  // namespace

Expr elementary(ir::Fn fn, const Expr& x) {
  using ir::Fn;
  switch (fn) {
    case Fn::Exp: return exp_f32(x);
    case Fn::Exp2: return exp2_f32(x);
    case Fn::Log: return log_f32(x);
    case Fn::Log1p: return log1p_f32(x);
    case Fn::Tanh: return tanh_f32(x);
    case Fn::Sigmoid: return sigmoid_f32(x);
    case Fn::Elu: return elu_f32(x);
    case Fn::Gelu: return gelu_f32(x);
    case Fn::Erf: return erf_f32(x);
    case Fn::Sin: return sine(x, 0);
    case Fn::Cos: return sine(x, 1);
    case Fn::Asin: return asin_f32(x);
    case Fn::Acos: return acos_f32(x);
    case Fn::Atan: return atan_f32(x);
    case Fn::Acosh: return acosh_f32(x);
    case Fn::Atanh: return atanh_f32(x);
    default: break;
  }
  invariant(false, "not a transcendental function of f32");
  return {};
}

}  // namespace fovea::codegen
