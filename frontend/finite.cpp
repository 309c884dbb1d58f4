// Numbers that callers want to be told of before they are computed with.
#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "fovea/view.h"
#include "ir/require.h"

namespace fovea {
namespace {

// The mask of an exponent, all of whose bits NaN and infinities have.
std::uint32_t exponent_of(Dtype dtype) {
  const runtime::DtypeRow& row = runtime::row(dtype);
  return (1U << (row.bits - 1)) - (1U << (row.digits - 1));
}

std::uint32_t bits_at(const View& view, std::int64_t place) {
  const std::size_t bytes = runtime::element_bytes(view.dtype);
  std::uint32_t bits = 0;  // little-endian, as all targets are
  std::memcpy(&bits,
              static_cast<const std::byte*>(view.data) + place * static_cast<std::int64_t>(bytes),
              bytes);
  return bits;
}

const char* describe(std::uint32_t bits, std::uint32_t exponent) {
  const std::uint32_t fraction = (exponent & -exponent) - 1, sign = (exponent | fraction) + 1;
  if ((bits & fraction) != 0) return "NaN";
  return (bits & sign) != 0 ? "-infinity" : "infinity";
}

}  // namespace

void require_finite(const NamedView& tensor) {
  const View& view = tensor.view;
  if (!ir::is_float(view.dtype) || !view.data || view.strides.rank() != view.shape.rank()) return;
  for (const std::int64_t extent : view.shape)
    if (extent <= 0) return;
  const std::uint32_t exponent = exponent_of(view.dtype);
  std::vector<std::int64_t> at(static_cast<std::size_t>(view.shape.rank()));
  std::int64_t place = 0;
  for (;;) {
    const std::uint32_t bits = bits_at(view, place);
    require((bits & exponent) != exponent, Code::invalid_input,
            "input '{}' holds {} at [{}]; expected finite numbers, as check_finite asks",
            tensor.name, describe(bits, exponent), fmt::join(at, ", "));
    int axis = view.shape.rank() - 1;
    for (; axis >= 0; --axis) {
      std::int64_t& coordinate = at[static_cast<std::size_t>(axis)];
      place += view.strides[axis];
      if (++coordinate < view.shape[axis]) break;
      place -= coordinate * view.strides[axis];
      coordinate = 0;
    }
    if (axis < 0) return;
  }
}

}  // namespace fovea
