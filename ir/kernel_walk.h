// ir/kernel_walk.h — what one kernel can compute, and what others must have stored before.
//
// A kernel off every plane computes anything. One over a plane of rows and columns walks it once,
// block by block. So it folds over rows or columns only what lies on the plane, and over another
// axis only what stays on it; other folds must be stored (but those of the same value again and
// again). A fold over the plane needs no other fold over it, unless it is a sum that follows a
// running maximum (ir/region.h). What is read at other coordinates holds no fold. Results are folds
// over the plane, values on it, and values of a row; the latter two need no fold over rows. With
// columns across the lanes nothing is folded over rows, and heads that are walked together have one
// mask.
//
// A kernel that walks an axis for each point has one result, which lacks the axis. It folds along
// the axis, and over others what stays along it; what it reads at other coordinates holds no fold.
#pragma once

#include <optional>
#include <string>

#include "ir/graph.h"

namespace fovea::ir {

// The first node that the kernel (one of the graph's) cannot compute, as a sentence; nothing where
// it can compute all.
std::optional<std::string> walk_defect(const Graph& graph, const Kernel& kernel);

}  // namespace fovea::ir
