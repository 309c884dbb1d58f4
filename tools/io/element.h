// tools/io/element.h — single elements of every type, in and out of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "tools/io/tensor.h"

namespace fovea::tools {

// A number without loss: 64-bit integers do not fit a double.
using Exact = std::variant<double, std::int64_t, std::uint64_t>;
std::string describe(const Exact& value);

// Element n of dense memory.
Exact load(Stored type, const std::byte* memory, std::int64_t n);
double load(Dtype dtype, const std::byte* memory, std::int64_t n);

// Writes a value that the dtype holds (see ir::round_to); f32 is rounded here.
void store(Dtype dtype, std::byte* memory, std::int64_t n, double value);

// Whether a dtype holds a number as it is, or the nearest of its own.
enum class Fit : std::uint8_t { Exact, Rounded, None };

// Writes the nearest number of a float dtype, or a number that an integer dtype or bool holds
// exactly (any NaN is a NaN); writes nothing if there is none: a finite number never becomes
// infinite.
Fit store_nearest(Dtype dtype, std::byte* memory, std::int64_t n, const Exact& value);

}  // namespace fovea::tools
