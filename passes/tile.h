// passes/tile.h
// Chooses the tile of rows, the block of columns and the chunk of blocks of every kernel on a
// plane.
//
//   kernel o(o) over i, j     →     kernel o(o) over i, j rows=96 columns=96 chunk=5
//
// A tile has twice the rows of the largest register tile, so that column operands come half as
// often from beyond the caches; a block is as long as its slab of a column operand fits the
// first-level cache; a chunk's panels and operands fill half of a level-two cache.
//
// Needs: kernels (fuse). Leaves alone: kernels off the plane, and tiles that are chosen already.
#pragma once

#include <cstdint>

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph tile(const ir::Graph& graph, const ir::Target& target);

// Tiles of half as many rows, for a number of rows of which the larger tile would leave much empty.
//
//   kernel o(o) over i, j rows=96 columns=96 chunk=5     →     rows=48 columns=96 chunk=10
//
// Leaves alone: kernels off the plane, and those whose rows are a fixed number that fills tiles.
ir::Graph tile_half(const ir::Graph& graph, const ir::Target& target);

// Whether so many rows are better walked in half tiles.
bool prefers_half(std::int64_t rows);

// The most rows for which columns lie across the lanes; a half tile of rows costs as much as 16.
constexpr int kFewRows = 16;

// Few rows would leave most of a tile empty: the same kernels with columns across the lanes, the
// keys of one vector side by side.
//
//   kernel o(o) over i, j rows=96 columns=96 chunk=10     →     rows=4 columns=1024 lanes=columns
//
// A single row needs no loops over rows (rows=1). A batch axis along which all column operands
// with features stay the same (heads that share a key head, k[g = h / 4] or k without h) is walked
// several coordinates at a time, so that each is read once for all of them (share=h members=4).
//
// Kernels that fold over rows too become half tiles of rows; their reason says so. Leaves alone:
// kernels off the plane, and those whose rows are a fixed number that is not few.
ir::Graph tile_few_rows(const ir::Graph& graph, const ir::Target& target);
ir::Graph tile_one_row(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
