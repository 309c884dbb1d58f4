// passes/carry.h — lets kernels carry what all later rows see, so that their time is linear.
//
//   kernel o(o) over i, j visible=_1 solid=_1
//                       ↓
//   kernel o(o) over i, j visible=_1 solid=_1 carry=solid
//
// Needs: sums whose terms are products of a row's and a column's part where no mask applies, and a
// mask that opens along the rows (ir/carry.h). Leaves alone: kernels with anything else on their
// plane, such as a softmax.
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph carry(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
