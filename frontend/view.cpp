#include "fovea/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "ir/require.h"

namespace fovea {
namespace {

// Rows of i4 start at a byte, so their last axis counts rounded up to even.
std::int64_t stored_extent(Dtype dtype, const Shape& shape, int axis) {
  const std::int64_t extent = shape[axis];
  const bool packed = runtime::is_packed(dtype) && axis == shape.rank() - 1;
  const bool odd = extent % 2 != 0 && extent < std::numeric_limits<std::int64_t>::max();
  return packed && odd ? extent + 1 : extent;
}

void check_strides(Dtype dtype, const Shape& shape, const Shape& strides) {
  require(strides.rank() == shape.rank(), Code::dimension_mismatch,
          "a view has {} strides and {} extents; expected as many of both", strides.rank(),
          shape.rank());
  if (!runtime::is_packed(dtype)) return;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] <= 1) continue;
    const bool last = axis == shape.rank() - 1;
    require(last ? strides[axis] == 1 : strides[axis] % 2 == 0, Code::unsupported,
            "a view of i4 has stride {} along axis {}; expected {}", strides[axis], axis,
            last ? "1 along the last axis" : "an even number: rows start at a byte");
  }
}

// The distance of the farthest element from the first must be addressable.
void check_reach(Dtype dtype, const Shape& shape, const Shape& strides) {
  std::int64_t reach = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    std::int64_t step = 0;
    const bool overflows = __builtin_mul_overflow(shape[axis] - 1, strides[axis], &step) ||
                           step == std::numeric_limits<std::int64_t>::min() ||
                           __builtin_add_overflow(reach, step < 0 ? -step : step, &reach);
    require(
        !overflows && reach < std::numeric_limits<std::int64_t>::max() / 8, Code::input_too_large,
        "the strides of a view of {} reach beyond memory; extent {} along axis {} has stride {}",
        ir::name(dtype), shape[axis], axis, strides[axis]);
  }
}

}  // namespace

void Shape::too_large(std::uint64_t number) {
  fail(Code::input_too_large, "a shape holds {}; expected at most {}", number, INT64_MAX);
}

void Shape::check_rank(std::string_view tensor, std::size_t rank) {
  require(rank <= static_cast<std::size_t>(kMaxRank), Code::unsupported,
          "tensor '{}' has {} axes; expected at most {}", tensor, rank, kMaxRank);
}

void Shape::append(std::int64_t number) {
  require(rank_ < kMaxRank, Code::unsupported,
          "a tensor has more than {} axes; expected at most {}", kMaxRank, kMaxRank);
  numbers_[static_cast<std::size_t>(rank_++)] = number;
}

std::int64_t byte_size(Dtype dtype, const Shape& shape) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::int64_t count = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const std::int64_t extent = stored_extent(dtype, shape, axis);
    require(shape[axis] >= 0, Code::dimension_mismatch,
            "a tensor has extent {} along axis {}; expected at least 0", shape[axis], axis);
    require(extent <= std::numeric_limits<std::int64_t>::max() / 64 / count, Code::input_too_large,
            "a tensor of {} with extent {} along axis {} exceeds what memory can hold",
            ir::name(dtype), extent, axis);
    count *= extent;
  }
  return (count * runtime::row(dtype).bits + 7) / 8;
}

Shape dense_strides(const Shape& shape) {
  std::array<std::int64_t, kMaxRank> strides = {};
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<std::size_t>(axis)] = step;
    // Overflows only in a tensor without elements: byte_size() has refused the others.
    if (__builtin_mul_overflow(step, std::max<std::int64_t>(shape[axis], 1), &step)) step = 0;
  }
  return Shape(
      std::span<const std::int64_t>(strides.data(), static_cast<std::size_t>(shape.rank())));
}

std::string describe(const View& view) {
  return fmt::format("{}[{}]", ir::name(view.dtype),
                     fmt::join(view.shape.begin(), view.shape.end(), ", "));
}

View view(void* pointer, Dtype dtype, const Shape& shape, const Shape& strides) {
  for (int axis = 0; axis < shape.rank(); ++axis)
    require(shape[axis] >= 0, Code::dimension_mismatch,
            "a view has extent {} along axis {}; expected at least 0", shape[axis], axis);
  check_strides(dtype, shape, strides);
  const View made{pointer, dtype, shape, strides, false};
  if (byte_size(dtype, shape) == 0) return made;
  check_reach(dtype, shape, strides);
  require(pointer != nullptr, Code::empty_input, "a view of {} has a null pointer", describe(made));
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  const auto element = std::uintptr_t{runtime::element_bytes(dtype)};
  require(address % element == 0, Code::invalid_input,
          "a view of {} starts at an address that is {} bytes past a multiple of {}; expected a "
          "pointer aligned to its elements",
          describe(made), address % element, element);
  return made;
}

View view(void* pointer, Dtype dtype, const Shape& shape) {
  byte_size(dtype, shape);  // before the strides: their product could overflow
  Shape strides = dense_strides(shape);
  if (!runtime::is_packed(dtype) || shape.rank() == 0) return view(pointer, dtype, shape, strides);
  std::array<std::int64_t, kMaxRank> padded = {};
  for (int axis = 0; axis < shape.rank(); ++axis)
    padded[static_cast<std::size_t>(axis)] = stored_extent(dtype, shape, axis);
  strides = dense_strides(
      std::span<const std::int64_t>(padded.data(), static_cast<std::size_t>(shape.rank())));
  return view(pointer, dtype, shape, strides);
}

View view(const void* pointer, Dtype dtype, const Shape& shape) {
  View made = view(const_cast<void*>(pointer), dtype, shape);
  made.read_only = true;
  return made;
}

View view(const void* pointer, Dtype dtype, const Shape& shape, const Shape& strides) {
  View made = view(const_cast<void*>(pointer), dtype, shape, strides);
  made.read_only = true;
  return made;
}

}  // namespace fovea
