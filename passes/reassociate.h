// passes/reassociate.h — orders contractions by cost.
//
//   s = sum(d, fq * fk)                     o = sum(d, fq * sum(j, fk * v))
//   o = sum(j, s * v)
//
//   o = sum(j, p * c * v)                   y = sum(j, p * v)
//                                           o = where(y == 0, 0, y * c)
//
// A sum of products with a factor that is a sum of products itself is summed in the other order,
// and a factor without the summed axis is taken out of it, whenever the whole graph then computes
// fewer elements; divisors go along. Linear attention written naively becomes linear so, row sums
// included. Where fk and v share the axis d, the inner one is renamed: k[d = d_2].
//
// Leaves alone: anything with a nonlinearity in between (softmax), sums over ragged axes, integers,
// and whatever is cheaper as it stands (few rows, a causal mask). The same in exact arithmetic;
// where something is infinite or NaN see products.h.
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

// An axis that is known only when run counts as a long one, of 4096.
ir::Graph reassociate(const ir::Graph& graph, const ir::Target& target);

// The same with such axes counted as short ones: where the orders differ, a run's extents decide.
ir::Graph reassociate_short(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
