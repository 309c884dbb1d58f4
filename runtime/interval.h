// runtime/interval.h — arithmetic over ranges of integers. Sound: the result contains every value
// that the operation takes on members of its operands. Saturates where 64 bits do not suffice;
// booleans are within [0, 1].
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace fovea::runtime {

struct Interval {
  static constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();

  std::int64_t low, high;  // inclusive

  bool operator==(const Interval&) const = default;
  bool is_point() const { return low == high; }
  bool certainly_true() const { return low > 0 || high < 0; }
  bool certainly_false() const { return low == 0 && high == 0; }
};

constexpr Interval kMaybe{0, 1};
constexpr Interval kAnything{Interval::kLowest, Interval::kHighest};
constexpr Interval kAnyI32{INT32_MIN, INT32_MAX};

inline Interval point(std::int64_t value) { return {value, value}; }
inline Interval truth(bool certainly, bool possibly) {
  return {certainly ? 1 : 0, possibly ? 1 : 0};
}

inline Interval hull(Interval a, Interval b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high)};
}

// Saturating.
inline std::int64_t add(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return a < 0 ? Interval::kLowest : Interval::kHighest;
}
inline std::int64_t subtract(std::int64_t a, std::int64_t b) {
  std::int64_t difference = 0;
  if (!__builtin_sub_overflow(a, b, &difference)) return difference;
  return a < 0 ? Interval::kLowest : Interval::kHighest;
}

inline Interval operator+(Interval a, Interval b) {
  return {add(a.low, b.low), add(a.high, b.high)};
}
inline Interval operator-(Interval a, Interval b) {
  return {subtract(a.low, b.high), subtract(a.high, b.low)};
}
Interval operator*(Interval a, Interval b);
// What is left of integers in 32 bits: a value beyond comes in again at the other end.
Interval wrapped(Interval a);
Interval operator-(Interval a);
Interval divide(Interval a, Interval b);  // floors; by a range that contains 0: anything
Interval modulo(Interval a, Interval b);  // of the sign of b
Interval absolute(Interval a);

inline Interval minimum(Interval a, Interval b) {
  return {std::min(a.low, b.low), std::min(a.high, b.high)};
}
inline Interval maximum(Interval a, Interval b) {
  return {std::max(a.low, b.low), std::max(a.high, b.high)};
}
inline Interval less(Interval a, Interval b) { return truth(a.high < b.low, a.low < b.high); }
inline Interval less_equal(Interval a, Interval b) {
  return truth(a.high <= b.low, a.low <= b.high);
}
inline Interval equal(Interval a, Interval b) {
  return truth(a.is_point() && a == b, a.low <= b.high && b.low <= a.high);
}
inline Interval logical_not(Interval a) { return truth(a.certainly_false(), !a.certainly_true()); }
inline Interval not_equal(Interval a, Interval b) { return logical_not(equal(a, b)); }
inline Interval logical_and(Interval a, Interval b) {
  return truth(a.certainly_true() && b.certainly_true(),
               !a.certainly_false() && !b.certainly_false());
}
inline Interval logical_or(Interval a, Interval b) {
  return truth(a.certainly_true() || b.certainly_true(),
               !a.certainly_false() || !b.certainly_false());
}
inline Interval select(Interval condition, Interval a, Interval b) {
  if (condition.certainly_true()) return a;
  return condition.certainly_false() ? b : hull(a, b);
}

}  // namespace fovea::runtime
