// ir/element.h — the element functions in double, over runs of numbers.
#pragma once

#include <cstddef>
#include <span>

#include "ir/graph.h"

namespace fovea::ir {

// One Map as numbers need to know it.
struct Element {
  Fn fn = Fn::Add;
  Dtype dtype = Dtype::F32;  // of the result
  bool annihilate =
      false;  // of a product or a quotient: a factor or numerator of exactly 0 gives 0
};

// out[n] = fn(in[0][n], in[1][n], in[2][n]) for n below count. `out` may be one of the inputs.
void apply(const Element& element, std::span<const double* const> in, double* out,
           std::size_t count);

// An integer as i32 holds it after wrapping around.
double wrap(double value);

}  // namespace fovea::ir
