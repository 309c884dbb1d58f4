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

// By node: whether its integers may wrap around.
std::vector<bool> wrapping(const Graph& graph);

// How large the numbers can become that arithmetic on integers is made of, where its terms are put
// in another order or moved to the other side of a comparison, and what they are multiplied by
// there if it divides them here. Arithmetic that may wrap around moves as a whole.
struct Reach {
  double size = 0;   // of all terms together, as they are here
  double scale = 1;  // the largest product of divisors within one another
};

// By node.
std::vector<Reach> reaches(const Graph& graph);

// The reach of the index of an axis.
Reach reach_of_index(const Axis& axis);

// Whether terms of both sides of a comparison can be moved without leaving i32.
bool may_move(Reach left, Reach right);

}  // namespace fovea::ir
