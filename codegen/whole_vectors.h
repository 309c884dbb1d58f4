// codegen/whole_vectors.h — functions of vectors that Halide cut in two are made whole.
//
//   a = sqrt.v8f32(low half of x)               y = sqrt.v16f32(x)
//   b = sqrt.v8f32(high half of x)
//   y = a and b side by side
//
// Halide 14 has square roots of 256 bits at most. Of two instead of one of 512 bits each takes as
// long as the whole would.
#pragma once

namespace llvm {
class Function;
}  // namespace llvm

namespace fovea::codegen {

void join_halves(llvm::Function& function);

}  // namespace fovea::codegen
