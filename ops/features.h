// ops/features.h — the feature map of linear attention, in the language and in plain double.
#pragma once

#include <cmath>

#include "ir/tensor.h"

namespace fovea::ops {

// elu(x) + 1. Not written so, which loses the digits of small features to those of the 1.
inline Tensor feature(const Tensor& x) { return where(x > 0.0, x + 1.0, exp(min(x, 0.0))); }
inline double feature_of(double x) { return x > 0 ? x + 1 : std::exp(x); }

}  // namespace fovea::ops
