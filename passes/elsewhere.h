// passes/elsewhere.h — values that are read at other coordinates. A part of `fuse`.
//
// A kernel computes values at the points that it visits. What it reads at other points it can
// compute there too, as long as no fold stands between: a fold at another point is another loop.
// So folds that are read elsewhere are stored, and such a read is a load.
#pragma once

#include <vector>

#include "ir/graph.h"

namespace fovea::passes {

// By node: whether it is a fold (a reduction, a scan or a selection), or is computed from one.
std::vector<bool> fold_holders(const ir::Graph& graph);

// By node: whether it reads folds at other coordinates that can be stored, and so is a load.
std::vector<bool> loads_of_folds(const ir::Graph& graph);

}  // namespace fovea::passes
