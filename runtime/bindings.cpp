#include <algorithm>
#include <array>
#include <cstdlib>

#include "runtime/overlap.h"
#include "runtime/sizes.h"
#include "runtime/workspace.h"

namespace fovea::runtime {

namespace {

// Coordinates in emitted code are 32 bits wide.
constexpr std::int64_t kLongest = INT32_MAX;
// In bytes from the first element, either way: sums of both are no overflow.
constexpr std::int64_t kFarthest = INT64_MAX / 4;
constexpr std::int64_t kNear = std::int64_t{1} << 60;  // as far as may_overlap() sees

std::string print_shape(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t n = 0; n < shape.size(); ++n) {
    if (n > 0) text += ", ";
    text += std::to_string(shape[n]);
  }
  return text + "]";
}

Status check_extents(const Buffer& buffer, const View& view) {
  bool empty = false;
  for (const std::int64_t extent : view.shape) {
    empty |= extent == 0;
    if (extent < 0) {
      return failure(Code::dimension_mismatch, "tensor '", buffer.name, "' has shape ",
                     print_shape(view.shape), ", expected no negative extent");
    }
  }
  const auto refuse = [&](const char* expected) {
    return failure(Code::input_too_large, "tensor '", buffer.name, "' has shape ",
                   print_shape(view.shape), ", expected ", expected);
  };
  std::int64_t elements = empty ? 0 : 1;
  for (const std::int64_t extent : view.shape) {
    if (extent > kLongest) return refuse("at most 2147483647 along each axis");
    if (__builtin_mul_overflow(elements, extent, &elements) || elements > kMostElements)
      return refuse("a tensor within the address space");
  }
  return {};
}

// i4 as bytes: rows of whole bytes, so that everything below sees an ordinary array.
Status store(const Buffer& buffer, const View& view, Bound& into) {
  const std::size_t rank = view.shape.size();
  into.stored_shape.assign(view.shape.begin(), view.shape.end());
  into.stored_strides.assign(view.strides.begin(), view.strides.end());
  const bool packed = is_packed(buffer.type) && rank > 0;
  if (packed) into.stored_shape.back() = (into.stored_shape.back() + 1) / 2;
  into.dense_strides.assign(rank, 1);
  for (std::size_t n = rank; n-- > 1;) {
    const std::int64_t extent = std::max<std::int64_t>(into.stored_shape[n], 1);
    // Overflows only in a tensor without elements, whose strides mean nothing.
    if (__builtin_mul_overflow(into.dense_strides[n], extent, &into.dense_strides[n - 1]))
      into.dense_strides[n - 1] = 0;
  }
  if (view.strides.empty()) {
    into.stored_strides = into.dense_strides;
  } else if (packed) {
    for (std::size_t n = 0; n < rank; ++n) {
      const bool last = n + 1 == rank;
      const bool fits =
          view.shape[n] <= 1 || (last ? view.strides[n] == 1 : view.strides[n] % 2 == 0);
      if (!fits) {
        return failure(Code::invalid_config, "tensor '", buffer.name, "' of i4 has strides ",
                       print_shape(view.strides),
                       ", expected 1 for the last axis and even numbers else");
      }
      into.stored_strides[n] = last ? 1 : view.strides[n] / 2;
    }
  }
  return {};
}

// An output must not write an element twice: sorted by stride, each axis steps over all of the
// former.
bool overlaps_itself(const Bound& bound) {
  std::vector<std::pair<std::int64_t, std::int64_t>> axes;  // stride, extent
  for (std::size_t n = 0; n < bound.stored_shape.size(); ++n) {
    if (bound.stored_shape[n] > 1)
      axes.emplace_back(std::abs(bound.stored_strides[n]), bound.stored_shape[n]);
  }
  std::ranges::sort(axes);
  std::int64_t reach = 0;
  for (const auto& [stride, extent] : axes) {
    if (stride <= reach) return true;
    reach += stride * (extent - 1);
  }
  return false;
}

Status measure(const Buffer& buffer, const View& view, Bound& into) {
  const auto bytes = static_cast<std::int64_t>(element_bytes(buffer.type));
  into.low = 0;
  into.high = bytes;
  for (std::size_t n = 0; n < view.shape.size(); ++n) {
    std::int64_t reach = 0;
    const bool far =
        into.stored_strides[n] == INT64_MIN ||
        __builtin_mul_overflow(into.stored_strides[n], into.stored_shape[n] - 1, &reach) ||
        __builtin_mul_overflow(reach, bytes, &reach) ||
        __builtin_add_overflow(reach < 0 ? into.low : into.high, reach,
                               reach < 0 ? &into.low : &into.high) ||
        into.low < -kFarthest || into.high > kFarthest;
    if (far) {
      return failure(Code::input_too_large, "tensor '", buffer.name, "' has strides ",
                     print_shape(view.strides), ", expected a tensor within the address space");
    }
  }
  return {};
}

}  // namespace

Status examine(const Buffer& buffer, const View& view, Bound& into) {
  if (view.type != buffer.type) {
    return failure(Code::dimension_mismatch, "tensor '", buffer.name, "' has type ",
                   name(view.type), ", expected ", name(buffer.type));
  }
  if (view.shape.size() != buffer.shape.size()) {
    return failure(Code::dimension_mismatch, "tensor '", buffer.name, "' has shape ",
                   print_shape(view.shape), ", expected ",
                   static_cast<std::int64_t>(buffer.shape.size()), " axes");
  }
  if (!view.strides.empty() && view.strides.size() != view.shape.size()) {
    return failure(Code::dimension_mismatch, "tensor '", buffer.name, "' has strides ",
                   print_shape(view.strides), ", expected one for each of its ",
                   static_cast<std::int64_t>(view.shape.size()), " axes");
  }
  if (Status status = check_extents(buffer, view); !status.ok()) return status;
  if (Status status = store(buffer, view, into); !status.ok()) return status;
  into.shape.assign(view.shape.begin(), view.shape.end());
  into.strides.assign(view.strides.begin(), view.strides.end());
  into.elements = std::ranges::count(view.shape, 0) > 0 ? 0 : 1;
  for (const std::int64_t extent : view.shape)
    if (into.elements > 0) into.elements *= extent;
  into.dense = true;
  into.low = into.high = 0;
  if (into.elements == 0) return {};
  for (std::size_t n = 0; n < view.shape.size(); ++n) {
    into.dense &= into.stored_shape[n] == 1 || into.stored_strides[n] == into.dense_strides[n];
  }
  if (Status status = measure(buffer, view, into); !status.ok()) return status;
  if (buffer.role == Buffer::Role::output && overlaps_itself(into)) {
    return failure(Code::invalid_input, "output '", buffer.name, "' of shape ",
                   print_shape(view.shape), " has strides ", print_shape(view.strides),
                   ", expected ones that give every element its own place");
  }
  return {};
}

Status check_memory(const Program& program, std::span<const Bound> bound) {
  const auto buffer = [&](const Bound& tensor) -> const Buffer& {
    return program.buffers[static_cast<std::size_t>(tensor.buffer)];
  };
  const auto address = [](const Bound& tensor) {
    return reinterpret_cast<std::uintptr_t>(tensor.data);
  };
  for (const Bound& tensor : bound) {
    if (tensor.elements == 0) continue;
    if (!tensor.data) {
      return failure(Code::empty_input, "tensor '", buffer(tensor).name, "' has no data, expected ",
                     tensor.elements, " elements of ", name(buffer(tensor).type));
    }
    const std::size_t bytes = element_bytes(buffer(tensor).type);
    if (address(tensor) % bytes != 0) {
      return failure(Code::invalid_input, "tensor '", buffer(tensor).name, "' begins ",
                     static_cast<std::int64_t>(address(tensor) % bytes),
                     " bytes past a multiple of its element size, expected alignment to ",
                     static_cast<std::int64_t>(bytes), " bytes");
    }
  }
  const auto low = [&](const Bound& t) { return address(t) + static_cast<std::uintptr_t>(t.low); };
  const auto high = [&](const Bound& t) {
    return address(t) + static_cast<std::uintptr_t>(t.high);
  };
  const auto footprint = [&](const Bound& t) {
    return Footprint{address(t), element_bytes(buffer(t).type), t.stored_shape, t.stored_strides};
  };
  const auto is_near = [](const Bound& t) { return t.high - t.low < kNear; };
  for (const Bound& output : bound) {
    if (buffer(output).role != Buffer::Role::output || output.elements == 0) continue;
    for (const Bound& other : bound) {
      if (&other == &output || other.elements == 0) continue;
      if (low(output) >= high(other) || low(other) >= high(output)) continue;
      if (is_near(output) && is_near(other) && !may_overlap(footprint(output), footprint(other)))
        continue;
      return failure(Code::invalid_input, "output '", buffer(output).name, "' overlaps '",
                     buffer(other).name, "' in memory, expected memory of its own");
    }
  }
  return {};
}

namespace {

template <class T, class F>
std::int64_t extreme(const void* data, std::int64_t count, std::int64_t start, const F& choose) {
  const T* values = static_cast<const T*>(data);
  T best = static_cast<T>(start);
  for (std::int64_t n = 0; n < count; ++n) best = choose(best, values[n]);
  return best;
}

template <class F>
std::int64_t extreme(const Buffer& buffer, const Extents& degrees, const F& choose) {
  const std::int64_t count = degrees.elements;
  if (buffer.type == Dtype::I32) return extreme<std::int32_t>(degrees.data, count, 0, choose);
  if (buffer.type == Dtype::I8) return extreme<std::int8_t>(degrees.data, count, 0, choose);
  if (buffer.type != Dtype::I4) return extreme<std::uint8_t>(degrees.data, count, 0, choose);
  std::int8_t best = 0;
  const std::int64_t row = degrees.shape.empty() ? 1 : degrees.shape.back();
  for (std::int64_t n = 0; n < count; ++n) {
    const std::int64_t place = n / row * ((row + 1) / 2) + n % row / 2;
    const int nibble =
        static_cast<const std::uint8_t*>(degrees.data)[place] >> (n % row % 2 * 4) & 15;
    best = choose(best, static_cast<std::int8_t>(nibble < 8 ? nibble : nibble - 16));
  }
  return best;
}

}  // namespace

Status largest_degree(const Program& program, const Symbol& symbol, const Extents& degrees,
                      std::int64_t& into) {
  const Buffer& buffer = program.buffers[static_cast<std::size_t>(symbol.largest_of)];
  const auto smaller = [](auto a, auto b) { return b < a ? b : a; };
  const auto larger = [](auto a, auto b) { return a < b ? b : a; };
  const std::int64_t least = extreme(buffer, degrees, smaller);
  if (least < 0) {
    return failure(Code::invalid_input, "tensor '", buffer.name, "'", symbol.from, " holds ", least,
                   ", expected extents of axis '", symbol.name, "', which are not negative");
  }
  into = extreme(buffer, degrees, larger);
  return {};
}

}  // namespace fovea::runtime
