#include "ops/rotate.h"

#include <cmath>

#include "ir/require.h"

namespace fovea::ops {

Tensor rotate(const Tensor& x, const Axis& d, const Tensor& position, const Rotation& rotation) {
  const int width = rotation.width, half = width / 2;
  require(width % 2 == 0, Code::invalid_config,
          "option width is {}, the features that are rotated; expected an even number", width);
  const Tensor first = rotation.half ? d < half : d % 2 == 0;
  const Tensor pair = rotation.half ? d % half : d / 2;
  const Tensor partner = rotation.half ? where(first, d + half, d - half) : d + 1 - 2 * (d % 2);
  const Tensor angle = position * exp(pair * (-2 * std::log(rotation.base) / width));
  const Tensor other = where(first, -x.at(d, partner), x.at(d, partner));
  return where(d < width, x * cos(angle) + other * sin(angle), x);
}

}  // namespace fovea::ops
