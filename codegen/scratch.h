// codegen/scratch.h — the memory that emitted kernels ask for while they run.
#pragma once

#include <cstddef>

namespace fovea::codegen {

// 128-byte aligned. What a thread gives back it keeps, up to 64 MiB, so that a kernel's next call
// costs neither system calls nor page faults. Blocks may be given back by another thread. Null
// where memory is out.
void* scratch_allocate(std::size_t bytes) noexcept;
void scratch_free(void* block) noexcept;

}  // namespace fovea::codegen
