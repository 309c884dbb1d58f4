// bench/peers/gather.h — the limit of attention to neighbours: reading their rows and nothing more.
#pragma once

#include <cstdint>
#include <span>

namespace fovea::bench {

// Sums up the rows of `width` numbers (a multiple of 64) that each node's neighbours have in each of
// the tables, four at a time as the kernels read them. Not inlined: the sum is to be used.
float gather(std::span<const float* const> tables, std::span<const std::int32_t> row_start,
             std::span<const std::int32_t> neighbour, std::int64_t width);

}  // namespace fovea::bench
