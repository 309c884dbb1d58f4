// runtime/strides.h — strides of any size in the buffers that functions take (runtime/program.h).
#pragma once

#include <HalideRuntime.h>

#include <cstdint>

#include "runtime/program.h"

namespace fovea::runtime {

inline std::int64_t stride(const halide_buffer_t& buffer, int dimension) {
  const std::int64_t above = buffer.dim[buffer.dimensions + dimension].stride;
  return (above << kStrideBits) + buffer.dim[dimension].stride;
}

inline void set_stride(halide_buffer_t& buffer, int dimension, std::int64_t stride) {
  constexpr std::int64_t kBelow = (std::int64_t{1} << kStrideBits) - 1;
  buffer.dim[dimension].stride = static_cast<std::int32_t>(stride & kBelow);
  buffer.dim[buffer.dimensions + dimension].stride =
      static_cast<std::int32_t>(stride >> kStrideBits);
}

}  // namespace fovea::runtime
