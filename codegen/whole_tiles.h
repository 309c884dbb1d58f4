// codegen/whole_tiles.h — tiles that conditions do not shrink. For .cpp files of this folder, which
// include Halide.h first.
//
//   panel(r, j) = select(j <= row + r, tile(r, j), 0)
//
// Halide computes only the part of a tile where the condition can hold. If the extent of the tile was
// promised (`bound_extent`), Halide moves its start but keeps the extent, and the end of the tile is
// stored past its memory. The same happens to a scan, along the axes that it does not run over.
#pragma once

namespace Halide::Internal {
class Function;
}

namespace fovea::codegen {

// Before lowering: each tile or scan that the function calls under a condition is also called where
// the condition does not matter.
void keep_tiles_whole(Halide::Internal::Function& function);

}  // namespace fovea::codegen
