// ir/extent.h — what the arithmetic of extents gives, and how much they span.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/require.h"

namespace fovea::ir {

// Of an axis: indices are of 32 bits.
constexpr std::int64_t kLargestExtent = 2147483647;

// `a kind b`, rounded down; nothing where it overflows or divides by 0. Not for numbers and axes.
std::optional<std::int64_t> combine(ExtentTerm::Kind kind, std::int64_t a, std::int64_t b);

// The value of an extent, where `extent_of(axis)` tells those of the axes in it. Nothing where one
// of them is nothing, or what `combined(kind, a, b)` makes of two values.
template <class ExtentOf, class Combined>
std::optional<std::int64_t> evaluate(const Extent& extent, ExtentOf&& extent_of,
                                     Combined&& combined) {
  std::vector<std::int64_t> stack;
  for (const ExtentTerm& term : extent) {
    std::optional<std::int64_t> value = term.number;
    if (term.kind == ExtentTerm::Kind::Axis) {
      value = extent_of(term.axis);
    } else if (term.kind != ExtentTerm::Kind::Number) {
      invariant(stack.size() >= 2, "an extent is in postfix order");
      const std::int64_t right = stack.back();
      stack.pop_back();
      value = combined(term.kind, stack.back(), right);
      stack.pop_back();
    }
    if (!value) return std::nullopt;
    stack.push_back(*value);
  }
  invariant(stack.size() == 1, "an extent is in postfix order");
  return stack.back();
}

// How many elements an array of this shape has. More than memory can address is the user's error.
std::int64_t element_count(std::span<const std::int64_t> shape);

// An error (input_too_large) where an input of this shape has more elements than are made up, 2^31
// - 1.
void check_elements(std::string_view input, std::span<const std::int64_t> shape);

}  // namespace fovea::ir
