// codegen/row_sum.h — sums along rows as they lie in memory, such as squared norms. For .cpp files
// of this folder, which include Halide.h first.
#pragma once

#include <optional>

#include "codegen/lower.h"

namespace fovea::codegen {

// Whether a value is made of f32 numbers in memory, those that vary along the axis side by side,
// and of nothing that has to be folded.
bool lies_along(const Source& source, ir::NodeId node, ir::AxisId axis);

// A result that is a sum along an axis of fixed extent in which all that varies along it lies side
// by side: as many partial sums as there are lanes, then one of those. Nothing if it is no such
// sum.
std::optional<Special> lower_row_sum(const Source& source, Signature& signature,
                                     const Result& result, int number);

}  // namespace fovea::codegen
