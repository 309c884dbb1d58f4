// codegen/whole_tiles.h — tiles that conditions do not shrink. For .cpp files of this folder, which
// include Halide.h first.
//
//   panel(r, j) = select(j <= row + r, tile(r, j), 0)
//
// Of a tile Halide computes what lies where the condition can hold. If it was promised the extent
// (`bound_extent`) it takes that for what is stored too, and lets the start alone move: the end of
// the tile is stored past its memory.
#pragma once

namespace Halide {
class Pipeline;
}

namespace fovea::codegen {

// Before lowering: what is called under a condition, and has an extent that was promised, is called
// beside it too.
void keep_tiles_whole(const Halide::Pipeline& pipeline);

}  // namespace fovea::codegen
