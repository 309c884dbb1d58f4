// codegen/guarded.h — the memory of kernels that check themselves (codegen/asserts.h).
//
//   no access | pattern | block | pattern | no access
//
// A block ends where a page does, but for its alignment, so that what a kernel reads or writes far
// outside of it stops the process at once. What it writes close by is seen when it gives the block
// back, and aborts.
#pragma once

#include <cstddef>

namespace fovea::codegen {

// 128-byte aligned; null where memory is out.
void* guarded_allocate(std::size_t bytes) noexcept;
void guarded_free(void* block) noexcept;

// What such kernels call them.
inline constexpr const char* kGuardedAllocate = "fovea_guarded_allocate";
inline constexpr const char* kGuardedFree = "fovea_guarded_free";

}  // namespace fovea::codegen
