// runtime/view.h — the caller's tensors.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "runtime/program.h"

namespace fovea::runtime {

// An array in the caller's memory, slowest axis first. `data` is the element at coordinate 0;
// strides count elements and may be 0 or negative (inputs); none at all means dense. i4 lies two to
// a byte along the last axis, low nibble first, and every row begins with a byte: dense strides
// round the last extent up to even, and other strides must be even, the last 1.
struct View {
  void* data = nullptr;
  Dtype type = Dtype::F32;
  std::span<const std::int64_t> shape;
  std::span<const std::int64_t> strides = {};
};

struct Binding {
  std::string_view name;
  View view;
};

// The extent of an axis that no input carries.
struct NamedSize {
  std::string_view name;
  std::int64_t value = 0;
};

}  // namespace fovea::runtime
