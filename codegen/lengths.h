// codegen/lengths.h — how much code a value becomes. What schedules repeat for every vector of a
// register tile, Halide's passes and LLVM's look through each time, some of them with the second
// power of how much it is. For .cpp files of this folder, which include Halide.h first.
#pragma once

namespace fovea::codegen {

// Whether arithmetic is too long to be repeated: it is a loop over vectors then.
bool is_long(const Halide::Expr& value);

}  // namespace fovea::codegen
