#include "bench/peers/gather.h"

#include <algorithm>
#include <array>

namespace fovea::bench {

float gather(std::span<const float* const> tables, std::span<const std::int32_t> row_start,
             std::span<const std::int32_t> neighbour, std::int64_t width) {
  constexpr std::int64_t kPiece = 64, kStreams = 4;
  alignas(64) std::array<float, kPiece> sums{};
  for (std::size_t i = 0; i + 1 < row_start.size(); ++i) {
    const std::int64_t first = row_start[i], last = row_start[i + 1];
    for (const float* table : tables)
      for (std::int64_t edge = first; edge < last; edge += kStreams)
        for (std::int64_t from = 0; from < width; from += kPiece)
          for (std::int64_t at = edge; at < std::min(edge + kStreams, last); ++at) {
            const float* row = table + neighbour[static_cast<std::size_t>(at)] * width + from;
            for (std::size_t n = 0; n < kPiece; ++n) sums[n] += row[n];
          }
  }
  float sum = 0;
  for (const float each : sums) sum += each;
  return sum;
}

}  // namespace fovea::bench
