// codegen/whole_tiles.h — tiles that conditions do not shrink. For .cpp files of this folder, which
// include Halide.h first.
//
//   panel(r, j) = select(j <= row + r, tile(r, j), 0)
//
// Of a tile Halide computes what lies where the condition can hold. If it was promised the extent
// (`bound_extent`) it takes that for what is stored too, and lets the start alone move: the end of
// the tile is stored past its memory. So it is where what is called stores in an order of its own (a
// scan), along the other axes.
#pragma once

namespace Halide {
class Pipeline;
}

namespace fovea::codegen {

// Before lowering: what is called under a condition, and is such a tile or a scan, is called beside
// it too.
void keep_tiles_whole(const Halide::Pipeline& pipeline);

}  // namespace fovea::codegen
