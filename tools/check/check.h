// tools/check/check.h — results beside what they mean.
#pragma once

#include <string>

#include "ir/interpret.h"
#include "tools/io/tensor.h"

namespace fovea::tools {

// The interpreter's outputs. Where stderr is a terminal, shows how far it is once that takes long.
ir::Arrays interpret(const ir::Graph& graph, const Tensors& inputs, const ir::Sizes& sizes);

// How far a result lies from what it should be.
struct Deviation {
  double absolute = 0;  // the largest; infinite where only one of both is finite
  double relative = 0;  // that, divided by the largest finite magnitude that is expected
};

// NaN equals NaN and infinities equal themselves. Aborts unless the shapes are equal.
Deviation compare(const Tensor& found, const ir::Array& expected);

}  // namespace fovea::tools
