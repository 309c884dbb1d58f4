// passes/defer_normalization.h — divides once per row instead of once per element.
//
//   p = e / l                               o = sum(j, e * v) / l
//   o = sum(j, p * v)
//
//   p = a / l1 - c * b / l2                 o = sum(j, a * v) / l1 - c * sum(j, b * v) / l2
//   o = sum(j, p * v)
//
// Looks through factors, signs and where(mask, p, 0); a sum is distributed over + and - only when
// every term has a divisor of its own, and never in a square, which could come out below 0. Needs:
// divisors without j, floats, and no more points after the sum than before (sum(d, q / norm * k)
// stays: its result is the pair plane). Other users of p keep their division: they lie in other
// kernels, or compute p again. Where something is infinite or NaN see products.h.
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph defer_normalization(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
