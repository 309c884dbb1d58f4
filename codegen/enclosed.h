// codegen/enclosed.h — arithmetic on integers and bools with many decisions as one call, which
// Halide's passes do not look into: some of them take time with the third power of its length, and
// all of them for every copy that unrolling makes. For .cpp files of this folder, which include
// Halide.h first.
#pragma once

#include <string>
#include <vector>

namespace fovea::codegen {

// The body as a call with these arguments, which stand in the body as variables of these names.
Halide::Expr enclose(const Halide::Expr& body, const std::vector<std::string>& names,
                     const std::vector<Halide::Expr>& arguments);

// What a call stands for, if it is one of these; else undefined.
Halide::Expr body_of(const Halide::Internal::Call& call);

// In lowered code: puts the bodies back in place of the calls, as wide as these have become.
void disclose(Halide::Module& module);

}  // namespace fovea::codegen
