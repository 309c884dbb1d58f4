// ir/interpret.h — what every op means: plain loops in double.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

// A dense array, last axis fastest, every element as a double. Floats stored narrower than double
// hold exactly the numbers that the narrow type holds.
struct Array {
  Dtype dtype = Dtype::F32;
  std::vector<std::int64_t> shape;
  std::vector<double> data;
  bool operator==(const Array&) const = default;
};
using Arrays = std::map<std::string, Array>;
using Sizes = std::map<std::string, std::int64_t>;

// The nearest value that the dtype holds: rounds to even for floats (f32 stays double), truncates
// and saturates for integers.
double round_to(Dtype dtype, double value);

// The extent of every axis of the graph, from the shapes of its inputs and the caller's sizes.
// A ragged axis gets 0 here. Contradictions, unknown names and missing sizes are errors that name
// the tensor, what was found and what was expected.
std::vector<std::int64_t> resolve_extents(
    const Graph& graph, const std::map<std::string, std::vector<std::int64_t>>& shapes,
    const Sizes& sizes);

// Evaluates the outputs. Exact in double: `-inf` excludes, and in a sum of products a factor that is
// exactly 0 annihilates its term (also through signs, + -, where and numerators). Axes along which
// every op is pointwise are walked one coordinate at a time, so memory is that of one row of the
// pair plane, not of the plane. `progress`, if given, is told the share done.
Arrays interpret(const Graph& graph, const Arrays& inputs, const Sizes& sizes = {},
                 const std::function<void(double)>& progress = {});

}  // namespace fovea::ir
