// passes/spread_scans.h — contracts prefix sums on a plane, where no position needs a state of its
// own.
//
//   state = cumsum(j, k * v)                 s = sum(d, q * k)
//   o = sum(d, q * state[j = i])      →      o = sum(j, where(j <= i, s, 0) * v)
//
// k and q have d, v has not. A sum over j itself gets a new axis for the columns. It looks as if
// time were quadratic now; `carry` makes it linear again, without a state for every position.
// Leaves alone: scans of what lacks d, read at coordinates that depend on inputs, or along ragged
// axes.
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph spread_scans(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
