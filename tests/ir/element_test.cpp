#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "ir/interpret.h"
#include "ir/tensor.h"

using namespace fovea;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");

ir::Array row(Dtype dtype, std::vector<double> data) {
  return {dtype, {static_cast<std::int64_t>(data.size())}, std::move(data)};
}

const fovea::Axis i{"i"};

std::vector<double> values(const Tensor& f, Dtype dtype, const std::vector<double>& x,
                           const std::vector<double>& y = {}) {
  ir::Arrays inputs;
  inputs["x"] = row(dtype, x);
  if (!y.empty()) inputs["y"] = row(dtype, y);
  return ir::interpret(ir::make_graph({{"o", f}}), inputs).at("o").data;
}

void same(const std::vector<double>& found, const std::vector<double>& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t n = 0; n < found.size(); ++n) {
    CAPTURE(n);
    if (std::isnan(expected[n])) {
      CHECK(std::isnan(found[n]));
    } else {
      CHECK(found[n] == expected[n]);
    }
  }
}

const std::vector<double> kPoints{-kInf, -3.5, -1,  -0.5, -0.25, 0,    0.25, 0.5,
                                  1,     2.5,  3.5, 100,  1e38,  kInf, kNan};

void check_function(const Tensor& f, double (*expected)(double)) {
  const std::vector<double> found = values(f, f32, kPoints);
  for (std::size_t n = 0; n < kPoints.size(); ++n) {
    CAPTURE(kPoints[n]);
    const double e = expected(kPoints[n]);
    if (std::isnan(e)) {
      CHECK(std::isnan(found[n]));
    } else {
      CHECK((found[n] == e || std::fabs(found[n] - e) <= 1e-14 * std::fabs(e)));
    }
  }
}

}  // namespace

TEST_CASE("functions of one number") {
  const Tensor x = input("x", f32, {i});
  using D = double;
  check_function(-x, [](D v) { return -v; });
  check_function(!x, [](D v) { return v == 0 ? 1.0 : 0.0; });
  check_function(abs(x), [](D v) { return std::abs(v); });
  check_function(exp(x), [](D v) { return std::exp(v); });
  check_function(exp2(x), [](D v) { return std::pow(2.0, v); });
  check_function(log(x), [](D v) { return std::log(v); });
  check_function(log1p(x), [](D v) { return std::log1p(v); });
  check_function(sqrt(x), [](D v) { return std::sqrt(v); });
  check_function(rsqrt(x), [](D v) { return 1 / std::sqrt(v); });
  check_function(tanh(x), [](D v) { return std::tanh(v); });
  check_function(sigmoid(x), [](D v) { return v < -700 ? 0 : 1 / (1 + std::exp(-v)); });
  check_function(relu(x), [](D v) { return std::isnan(v) ? v : std::max(v, 0.0); });
  check_function(elu(x), [](D v) { return v > 0 ? v : std::expm1(v); });
  check_function(erf(x), [](D v) { return std::erf(v); });
  check_function(sin(x), [](D v) { return std::sin(v); });
  check_function(cos(x), [](D v) { return std::cos(v); });
  check_function(asin(x), [](D v) { return std::asin(v); });
  check_function(acos(x), [](D v) { return std::acos(v); });
  check_function(atan(x), [](D v) { return std::atan(v); });
  check_function(acosh(x), [](D v) { return std::acosh(v); });
  check_function(atanh(x), [](D v) { return std::atanh(v); });
  check_function(floor(x), [](D v) { return std::floor(v); });
  check_function(round(x), [](D v) { return std::rint(v); });
  // by erfc, whose tail does not cancel
  check_function(gelu(x), [](D v) { return 0.5 * v * std::erfc(-v / std::sqrt(2.0)); });
  CHECK(values(gelu(x), f32, {1})[0] == doctest::Approx(0.841344746068543));
  same(values(round(x), f32, {0.5, 1.5, 2.5, -0.5, -1.5}), {0, 2, 2, 0, -2});
}

TEST_CASE("functions of two and three numbers") {
  const Tensor x = input("x", f32, {i}), y = input("y", f32, {i});
  const std::vector<double> a{1, -7, 7, kNan, 2, kInf, 0}, b{2, 2, -2, 1, kNan, kInf, 0};
  const auto both = [&](const Tensor& f) { return values(f, f32, a, b); };
  same(both(x + y), {3, -5, 5, kNan, kNan, kInf, 0});
  same(both(x - y), {-1, -9, 9, kNan, kNan, kNan, 0});
  same(both(x * y), {2, -14, -14, kNan, kNan, kInf, 0});
  same(both(x / y), {0.5, -3.5, -3.5, kNan, kNan, kNan, kNan});
  same(both(x % y), {1, 1, -1, kNan, kNan, kNan, kNan});
  same(both(pow(x, y)), {1, 49, 1.0 / 49, kNan, kNan, kInf, 1});
  same(both(min(x, y)), {1, -7, -2, kNan, kNan, kInf, 0});
  same(both(max(x, y)), {2, 2, 7, kNan, kNan, kInf, 0});
  same(both(x == y), {0, 0, 0, 0, 0, 1, 1});
  same(both(x != y), {1, 1, 1, 1, 1, 0, 0});
  same(both(x < y), {1, 1, 0, 0, 0, 0, 0});
  same(both(x <= y), {1, 1, 0, 0, 0, 1, 1});
  same(both(x > y), {0, 0, 1, 0, 0, 0, 0});
  same(both(x >= y), {0, 0, 1, 0, 0, 1, 1});
  same(both(x && y), {1, 1, 1, 1, 1, 1, 0});
  same(both(x || y), {1, 1, 1, 1, 1, 1, 0});
  same(both(leaky_relu(x, y)), {1, -14, 7, kNan, 2, kInf, 0});
  same(both(where(x > 0, x, y)), {1, 2, 7, 1, 2, kInf, 0});
}

TEST_CASE("integers floor, wrap and divide by zero to zero") {
  const Tensor x = input("x", i32, {i}), y = input("y", i32, {i});
  const double low = -2147483648.0, high = 2147483647;
  const std::vector<double> a{7, -7, 7, -7, 5, low, high, low, 100000},
      b{2, 2, -2, -2, 0, -1, 1, 1, 100000};
  const auto both = [&](const Tensor& f) { return values(f + y * 0, i32, a, b); };
  same(both(x / y), {3, -4, -4, 3, 0, low, high, low, 1});
  same(both(x % y), {1, 1, -1, -1, 0, 0, 0, 0, 0});
  same(both(x + y), {9, -5, 5, -9, 5, high, low, low + 1, 200000});
  same(both(x - y), {5, -9, 9, -5, 5, low + 1, high - 1, high, 0});
  same(both(x * y), {14, -14, -14, 14, 0, low, high, low, 1410065408});
  same(both(-x), {-7, 7, -7, 7, -5, low, -high, low, -100000});
  same(both(abs(x)), {7, 7, 7, 7, 5, low, high, low, 100000});
  same(both(max(x, y)), {7, 2, 7, -2, 5, -1, high, 1, 100000});
  same(both(x / 2.0), {3.5, -3.5, 3.5, -3.5, 2.5, low / 2, high / 2, low / 2, 50000});
  same(both(floor(x)), a);
  same(both(relu(x)), {7, 0, 7, 0, 5, 0, high, 0, 100000});
  same(values(sum(i, x), i32, {high, 2, 5}), {low + 6});
  same(values(cumsum(i, x), i32, {high, 1, 1}), {high, low, low + 1});
  same(values((x > 0) + (x > 1), i32, {0, 1, 2}), {0, 1, 2});
}

TEST_CASE("storage types hold the nearest that they can") {
  using ir::round_to;
  const double half = std::ldexp(1, -24);             // the least positive f16
  CHECK(round_to(f16, 1 + std::ldexp(1, -11)) == 1);  // a tie, to even
  CHECK(round_to(f16, 1 + 3 * std::ldexp(1, -11)) == 1 + std::ldexp(1, -9));
  CHECK(round_to(f16, 1 + std::ldexp(1.0001, -11)) == 1 + std::ldexp(1, -10));
  CHECK(round_to(f16, 65504) == 65504);
  CHECK(round_to(f16, 65519.99) == 65504);
  CHECK(round_to(f16, 65520) == kInf);
  CHECK(round_to(f16, -1e300) == -kInf);
  CHECK(round_to(f16, half) == half);
  CHECK(round_to(f16, half / 2) == 0);
  CHECK(round_to(f16, half * 0.51) == half);
  CHECK(round_to(f16, half * 1.5) == 2 * half);
  CHECK(round_to(f16, half * 2.5) == 2 * half);
  CHECK(std::isnan(round_to(f16, kNan)));
  CHECK(round_to(bf16, 1 + std::ldexp(1, -8)) == 1);
  CHECK(round_to(bf16, 1 + 3 * std::ldexp(1, -8)) == 1 + std::ldexp(1, -6));
  CHECK(round_to(bf16, 3.14159) == 3.140625);
  CHECK(round_to(bf16, 3.4e38) == kInf);
  CHECK(round_to(bf16, 3.39e38) == std::ldexp(255, 120));
  CHECK(round_to(bf16, std::ldexp(1, -133)) == std::ldexp(1, -133));
  CHECK(round_to(bf16, std::ldexp(1, -134)) == 0);
  CHECK(round_to(i32, 1e10) == 2147483647);
  CHECK(round_to(i32, -kInf) == -2147483648.0);
  CHECK(round_to(u8, 255.9) == 255);
  CHECK(round_to(u8, 256) == 255);
  CHECK(round_to(u8, -3) == 0);
  CHECK(round_to(i8, -2.9) == -2);
  CHECK(round_to(i8, 200) == 127);
  CHECK(round_to(i4, -100) == -8);
  CHECK(round_to(i4, 7.9) == 7);
  CHECK(round_to(i8, kNan) == 0);
  CHECK(round_to(boolean, kNan) == 1);
  CHECK(round_to(boolean, -0.0) == 0);
  CHECK(round_to(f32, 0.1) == 0.1);
  const Tensor x = input("x", f32, {i});
  same(values(cast(f32, cast(bf16, x)), f32, {3.14159, kNan}), {3.140625, kNan});
}
