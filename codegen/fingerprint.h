// codegen/fingerprint.h — a number that stands for the code of a function.
#pragma once

#include <cstdint>

#include "codegen/bitcode.h"

namespace fovea::codegen {

// The same for the same instructions. Names of values and metadata do not count: Halide numbers both
// as it goes.
std::uint64_t fingerprint(const Bitcode& function);

}  // namespace fovea::codegen
