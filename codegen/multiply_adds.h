// codegen/multiply_adds.h — which products and sums become one multiply-add, with one rounding.
//
//   a * b + c            fma(a, b, c)      wherever else a * b is used
//   rounded(a * b) - c   a * b, rounded, minus c
//   a * b - c * d        both products rounded: of equal ones the difference is 0
//
// Left to a back end, that would depend on what else is computed nearby: one kernel would compare a
// number with what another kernel made of the same product. So it is decided here, by the
// expression alone, and values that decide something are `rounded` (ir/deciding.h).
#pragma once

#include <string_view>

namespace llvm {
class Function;
class Module;
}  // namespace llvm

namespace fovea::codegen {

// A function of nothing that Halide calls to mark what is rounded; there is none at run time.
constexpr std::string_view kRounded = "fovea_rounded";

// Makes the multiply-adds of a function, where the machine has them, and then no others.
void form_multiply_adds(llvm::Function& function);

// Lets the marks disappear: they cost nothing.
void drop_rounded(llvm::Module& module);

}  // namespace fovea::codegen
