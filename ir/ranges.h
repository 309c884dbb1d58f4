// ir/ranges.h — which integers a node can be.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

// All integers from low to high.
struct Range {
  std::int64_t low, high;
  bool operator==(const Range&) const = default;
};

// What i32 holds.
constexpr Range kAllI32{-2147483648, 2147483647};

// Axes whose extents the text does not fix are taken to be no longer than this.
constexpr std::int64_t kLongestAxis = std::int64_t{1} << 20;

using RangeOf = std::function<Range(NodeId)>;

// What arithmetic on integers gives before it wraps around to i32, from the ranges of its operands;
// any other value of integers or bools as it is; of floats what i32 holds.
Range range_before_wrapping(const Node& node, std::span<const Axis> axes, const RangeOf& range_of);

// Whether a range lies in i32.
bool fits_i32(Range range);

// How large the numbers can become that arithmetic on integers is made of, where its terms are put
// in another order or moved to the other side of a comparison, and what they are multiplied by
// there if it divides them here. Arithmetic that may wrap around moves as a whole.
struct Reach {
  double size = 0;   // of all terms together, as they are here
  double scale = 1;  // the largest product of divisors within one another
};

// What a compiler must know that takes integers never to wrap around, and puts their terms in
// another order. By node:
struct Overflow {
  std::vector<bool> wraps;       // its integers may leave i32
  std::vector<unsigned> opaque;  // bit n: terms of its n-th operand might, if they were moved here
  std::vector<Reach> reaches;    // of its terms
};
Overflow overflow(const Graph& graph);

// The reach of the index of an axis.
Reach reach_of_index(const Axis& axis);

// Whether terms of both sides of a comparison can be moved without leaving i32.
bool may_move(Reach left, Reach right);

}  // namespace fovea::ir
