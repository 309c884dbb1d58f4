// codegen/wide_strides.h — strides of 64 bits in lowered code of wide indices. Halide multiplies in
// 64 bits there, but by strides that it holds in 32. For .cpp files of this folder, which include
// Halide.h first.
#pragma once

namespace fovea::codegen {

// Strides of the function's buffers become what the runtime says of them (runtime/program.h), and
// those of what lies between stages the product of extents that they are.
void widen_strides(Halide::Module& module);

}  // namespace fovea::codegen
