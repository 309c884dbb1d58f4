// ir/geometry_functions.h — the functions of ir/geometry.h as the text and the DSL find them: by
// name, made of other ops.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "ir/build.h"

namespace fovea::ir {

// What a function is given: the axis of the points (means only), the axes of the coordinates, the
// values.
struct GeometryArguments {
  std::vector<AxisId> points, coordinates;
  std::vector<NodeId> values;
};

struct GeometryFn {
  std::string_view name;
  int axes;    // 2: points, then coordinates; 1: coordinates; 0: none
  int values;  // how many; -1: one or more
  int curved;  // which of them is the curvature or the radius; -1: none
  NodeId (*make)(Builder& b, const GeometryArguments& arguments);
};

// Makes it. Error (invalid_config): a curvature or a radius that is a number, and not above 0.
NodeId make_geometry(Builder& b, const GeometryFn& fn, const GeometryArguments& arguments);

std::span<const GeometryFn> geometry_functions();

// Null if there is none.
const GeometryFn* find_geometry_fn(std::string_view name);

}  // namespace fovea::ir
