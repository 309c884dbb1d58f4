// codegen/asserts.h — kernels that check themselves, with FOVEA_ASSERTS=1: their buffers and what
// they read and write of them, the bounds that Halide was told, and what it was promised. What
// fails is said on stderr, and the kernel returns its code. Memory of their own is guarded
// (codegen/guarded.h).
#pragma once

#include <span>
#include <string_view>

namespace fovea::codegen {

// Whether kernels are to check themselves.
bool has_asserts();

struct HostFunction {
  std::string_view name;
  void* address;
};

// What such kernels call, and others do not.
std::span<const HostFunction> assertion_functions();

}  // namespace fovea::codegen
