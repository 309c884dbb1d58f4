// passes/tile.h
// Chooses the tile of rows, the block of columns and the chunk of blocks of every kernel on a plane.
//
//   kernel o(o) over i, j     →     kernel o(o) over i, j rows=48 columns=96 chunk=10
//
// Rows fill the registers of the target (three vectors of accumulators where it has 32 registers, two
// where it has 16); a chunk's panels and operands fill half of a level-two cache.
//
// Needs: kernels (fuse). Leaves alone: kernels off the plane, and tiles that are chosen already.
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph tile(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
