#include "runtime/interval.h"

namespace fovea::runtime {
namespace {

constexpr std::int64_t kRound = std::int64_t{1} << 32;

std::int64_t limit(bool negative) { return negative ? Interval::kLowest : Interval::kHighest; }

std::int64_t multiply(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? limit((a < 0) != (b < 0)) : product;
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (a == Interval::kLowest && b == -1) return Interval::kHighest;
  const std::int64_t quotient = a / b;
  return quotient - ((a % b != 0) && ((a < 0) != (b < 0)) ? 1 : 0);
}

template <class Op>
Interval corners(Interval a, Interval b, Op op) {
  const auto [low, high] =
      std::minmax({op(a.low, b.low), op(a.low, b.high), op(a.high, b.low), op(a.high, b.high)});
  return {low, high};
}

bool contains_zero(Interval a) { return a.low <= 0 && a.high >= 0; }

}  // namespace

Interval operator-(Interval a) { return point(0) - a; }

Interval operator*(Interval a, Interval b) { return corners(a, b, multiply); }

Interval wrapped(Interval a) {
  if (a.low >= INT32_MIN && a.high <= INT32_MAX) return a;
  const auto round = [](std::int64_t x) { return floor_divide(add(x, -kAnyI32.low), kRound); };
  if (round(a.low) != round(a.high)) return kAnyI32;
  const std::int64_t off = round(a.low) * kRound;
  return {a.low - off, a.high - off};
}

Interval divide(Interval a, Interval b) {
  if (contains_zero(b)) return kAnything;
  return corners(a, b, floor_divide);  // monotone in each operand while the divisor keeps its sign
}

Interval modulo(Interval a, Interval b) {
  if (contains_zero(b)) return kAnything;
  if (b.is_point()) {
    const std::int64_t period = floor_divide(a.low, b.low);
    if (period == floor_divide(a.high, b.low)) {
      const std::int64_t start = multiply(period, b.low);
      return {subtract(a.low, start), subtract(a.high, start)};
    }
  }
  if (b.low < 0) return {add(b.low, 1), 0};
  if (a.low >= 0 && a.high < b.low) return a;
  return {0, a.low >= 0 ? std::min(a.high, b.high - 1) : b.high - 1};
}

Interval absolute(Interval a) {
  if (a.low >= 0) return a;
  if (a.high <= 0) return -a;
  return {0, std::max(subtract(0, a.low), a.high)};
}

}  // namespace fovea::runtime
