// passes/defer_scaling.h — few rows: what scales a column operand is stored, the product is not.
//
//   n = k * (1 / sqrt(sum(d, k * k)))       r = 1 / sqrt(sum(d, k * k))
//   kernel n(n)                             kernel n(r)
//   kernel o(o) over i, j lanes=columns     kernel o(o) over i, j lanes=columns  (reads k and r)
//
// A walk with columns across the lanes loads every element of n for a few rows at a time. It has
// the time to multiply, and often need not: q - k * r is one instruction, and sum(j, p * (v * r))
// scales the weights. Storing n first costs more than the walk itself. The same for quotients.
//
// Needs: kernels tiled for few rows (tile_columns); slots are planned anew after it. Leaves alone:
// factors that vary along the fastest axis of what they scale; products that an output or any other
// kernel needs, or that are gathered; quotients that are not factors themselves.
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph defer_scaling(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
