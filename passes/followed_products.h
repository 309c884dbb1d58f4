// passes/followed_products.h — products of matrices that only an output needs, element by element.
//
//   y = sum(c, w * v)                   one kernel: the tile of y ends as a tile of o
//   out o = relu(y + b) / l
//
// Leaves alone: products that anything else needs, or that lie otherwise than the output; outputs
// that are read again; outputs of several such products; narrow outputs, which have no register
// tile.
#pragma once

#include <functional>
#include <set>

#include "ir/graph.h"

namespace fovea::passes {

// Those among the sums that `plain` says are kernels of their own.
std::set<ir::NodeId> followed_products(const ir::Graph& graph,
                                       const std::function<bool(ir::NodeId)>& plain);

}  // namespace fovea::passes
