// passes/order_sums.h
// Folds a plane before what lies beside it, where a value on the plane is summed over both.
//
//   dk = sum(i, sum(r, ds * q))     →     dk = sum(r, sum(i, ds * q))
//
// With ds on the plane of i and j, the sum over i is one of the plane's walk; the sum over r of
// what the walk stores costs nothing beside it. The other way round, r would be folded at every
// point of the plane.
//
// Needs: nothing. Leaves alone: inner sums that something else needs, ragged axes, sums off the
// planes.
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph order_sums(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
