// ir/interpret_block.h — strided arrays, a block of consecutive points at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

constexpr std::size_t kBlock = 1024;

// A loop over a domain: how many coordinates, and how far apart an array has them.
struct Loop {
  std::int64_t extent = 1;
  std::int64_t stride = 0;
};

// The stride of the axis around one of this stride and extent. It overflows only around axes
// without elements, where nothing is reached by it.
inline std::int64_t next_stride(std::int64_t stride, std::int64_t extent) {
  std::int64_t next = 0;
  return __builtin_mul_overflow(stride, extent, &next) ? 0 : next;
}

// An array in memory: how far apart consecutive coordinates lie, by axis; 0 where it lacks an axis.
struct View {
  const double* data = nullptr;
  std::vector<std::int64_t> stride;
};

// The loops over a domain, outermost first, with those merged that the array lets merge; at least
// one.
inline std::vector<Loop> make_loops(const std::vector<AxisId>& domain,
                                    const std::vector<std::int64_t>& extents,
                                    const std::vector<std::int64_t>& strides) {
  std::vector<Loop> loops;
  for (const AxisId axis : domain) {
    const Loop loop{extents[static_cast<std::size_t>(axis)],
                    strides[static_cast<std::size_t>(axis)]};
    if (loop.extent == 1) continue;
    if (!loops.empty() && loops.back().stride == loop.stride * loop.extent) {
      loops.back() = {loops.back().extent * loop.extent, loop.stride};
    } else {
      loops.push_back(loop);
    }
  }
  if (loops.empty()) loops.push_back({});
  return loops;
}

// Calls f(offset, stride, position, count) for every run along the innermost loop among the `count`
// points from `start` on, in order; offsets are into the array, positions into the block.
template <class F>
void for_runs(const std::vector<Loop>& loops, std::int64_t start, std::size_t count, F f) {
  std::vector<std::int64_t> at(loops.size());
  std::int64_t offset = 0;
  for (std::size_t n = loops.size(); n-- > 0;) {
    at[n] = n == 0 ? start : start % loops[n].extent;
    start /= loops[n].extent;
    offset += at[n] * loops[n].stride;
  }
  const std::size_t last = loops.size() - 1;
  for (std::size_t position = 0; position < count;) {
    const auto rest = static_cast<std::size_t>(loops[last].extent - at[last]);
    const std::size_t run = std::min(rest, count - position);
    f(offset, loops[last].stride, position, run);
    position += run;
    at[last] += static_cast<std::int64_t>(run);
    offset += static_cast<std::int64_t>(run) * loops[last].stride;
    for (std::size_t n = last; n > 0 && at[n] == loops[n].extent; --n) {
      offset += loops[n - 1].stride - at[n] * loops[n].stride;
      at[n] = 0;
      ++at[n - 1];
    }
  }
}

// Brings blocks of an array over a domain together.
class Source {
 public:
  Source(const double* data, std::vector<Loop> loops) : data_(data), loops_(std::move(loops)) {}

  // Valid until the next call.
  const double* load(std::int64_t start, std::size_t count) {
    if (loops_.size() == 1 && loops_[0].stride == 1) return data_ + start;
    if (loops_.size() == 1 && loops_[0].stride == 0) {
      if (block_.size() < count) block_.assign(count, *data_);
      return block_.data();
    }
    if (block_.size() < count) block_.resize(count);
    for_runs(loops_, start, count,
             [&](std::int64_t offset, std::int64_t stride, std::size_t position, std::size_t run) {
               const double* from = data_ + offset;
               double* to = block_.data() + position;
               if (stride == 1) {
                 std::copy_n(from, run, to);
               } else if (stride == 0) {
                 std::fill_n(to, run, *from);
               } else {
                 for (std::size_t n = 0; n < run; ++n, from += stride) to[n] = *from;
               }
             });
    return block_.data();
  }

 private:
  const double* data_;
  std::vector<Loop> loops_;
  std::vector<double> block_;
};

}  // namespace fovea::ir
