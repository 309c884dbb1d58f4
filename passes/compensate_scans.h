// passes/compensate_scans.h — differences of prefix sums keep their digits.
//
//   c = cumsum(t, g)              c = cumsum(t, g)
//   x = c - c[t = s]       →      r = cumsum(t, what rounding c took from g)
//                                 x = (c - c[t = s]) + (r - r[t = s])
//
// The difference is the sum over (s, t], and as exact as that sum computed alone; c itself has
// forgotten its small terms where it has grown large. What one addition rounds away is a number of
// f32 (Knuth 1969), and so is known. Rewritten are differences anywhere in a sum of several terms,
// also of multiples by the same factor, and sum(t, g) - c as c at the last t less c: the sum of what
// comes after t, and exactly 0 where nothing does. Leaves alone: integers, ragged axes, and
// differences that are written so already.
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph compensate_scans(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
