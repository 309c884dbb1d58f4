// codegen/strict_floats.h — makes Halide compute with floats as IEEE says.
//
// Halide by itself assumes that NaN and infinity never occur, in three places: its simplifier, the
// flags that it puts on LLVM's instructions, and `>=`. Its StrictFloat feature is no way out: it
// hides reductions from `.atomic().vectorize()`.
#pragma once

namespace Halide {
class Module;
namespace Internal {
class Function;
}
}  // namespace Halide

namespace fovea::codegen {

// Before lowering: keeps the simplifier from forgetting NaN. Funcs of Tuples are left as they are,
// but for what their author put in strict_float.
void keep_nan(Halide::Internal::Function& function);

// After lowering: no instruction is marked as free of NaN or infinity, and sums of integers wrap
// around. Outputs that a kernel reads back may lie at any address.
void make_strict(Halide::Module& module);

}  // namespace fovea::codegen
