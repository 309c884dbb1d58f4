// ops/rotate.h — rotary positions (Su 2021).
#pragma once

#include "ir/tensor.h"

namespace fovea::ops {

struct Rotation {
  double base = 10000;
  int width = 64;     // features that are rotated, from the first; even, the rest stay
  bool half = false;  // feature t turns with t + width / 2 instead of 2t with 2t + 1
};

// x with the pairs of its features along d turned by the angle position / base^(2t / width), t <
// width / 2. A width
// that is odd is an error (invalid_config).
Tensor rotate(const Tensor& x, const Axis& d, const Tensor& position, const Rotation& rotation);

}  // namespace fovea::ops
