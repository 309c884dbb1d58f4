// runtime/overlap.h — whether two arrays share a byte of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fovea::runtime {

// Where an array lies. Strides are in elements, and no extent is 0.
struct Footprint {
  std::uintptr_t address = 0;
  std::size_t bytes = 0;  // of an element
  std::span<const std::int64_t> shape, strides;
};

// False: no byte is in both. True: some byte is, or strides are so tangled that finding out would
// take long. Neither reaches further than 2^60 bytes.
bool may_overlap(const Footprint& one, const Footprint& other);

}  // namespace fovea::runtime
