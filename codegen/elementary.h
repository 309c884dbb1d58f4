// codegen/elementary.h — the transcendental functions in f32 as straight vector code: no branch, no
// table and no call, so that they cost the same for any argument and mix with any loop. For .cpp
// files of this folder, which include Halide.h first.
//
// NaN stays NaN and what lies outside of a domain gives it; ends of domains, infinities and zeros
// (with their sign) come out exactly, subnormal arguments count. The largest errors over every
// 1009th f32 and over the hard ones, on any row of x86, where an ulp is 2^-23 times the power of
// two at or below the result:
//
//   function         ulp
//   log              1
//   exp exp2         1.5   or 2^-149
//   log1p erf        1.5
//   tanh elu         2
//   sin cos          2     next to their zeros too, however large the argument
//   acos             2
//   sigmoid          2.5   or 2^-126
//   asin             2.5
//   acosh atanh      2.5   next to 1 and 0 too
//   atan             3
//   gelu             1.5   of max(1, |x|)
#pragma once

#include <initializer_list>

#include "ir/graph.h"

namespace fovea::codegen {

// Horner's scheme, in the type of x.
Halide::Expr polynomial(const Halide::Expr& x, std::initializer_list<double> highest_first);

// x to the nearest integer, as a float, by the rounding of an addition: |x| < 2^22.
Halide::Expr nearest(const Halide::Expr& x);

// One of those above at an f32.
Halide::Expr elementary(ir::Fn fn, const Halide::Expr& x);

}  // namespace fovea::codegen
