// runtime/types.h — what numbers are stored as. One row of a table says all of a dtype; the IR, code
// and the runtime read it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fovea::runtime {

// Computation is in f32, i32 and bool; the others are storage.
enum class Dtype : std::uint8_t { F32, BF16, F16, I32, U8, I8, I4, Bool };

enum class DtypeKind : std::uint8_t { real, integer, truth };

struct DtypeRow {
  Dtype dtype = Dtype::F32;
  std::string_view name;  // in the language and in messages
  DtypeKind kind = DtypeKind::real;
  int bits = 32;        // of an element in memory
  int dlpack_code = 0;  // DLDataTypeCode
  // Of reals, which are laid out as IEEE 754 does it: binary digits of a normal number, with the one
  // that is not stored, and the exponents of 2 that normal numbers have.
  int digits = 0, min_exponent = 0, max_exponent = 0;
  // Of integers and truths.
  std::int32_t min = 0, max = 0;
};

// In the order of the enumeration.
inline constexpr std::array<DtypeRow, 8> kDtypes = {{
    {Dtype::F32, "f32", DtypeKind::real, 32, 2, 24, -126, 127},
    {Dtype::BF16, "bf16", DtypeKind::real, 16, 4, 8, -126, 127},
    {Dtype::F16, "f16", DtypeKind::real, 16, 2, 11, -14, 15},
    {Dtype::I32, "i32", DtypeKind::integer, 32, 0, 0, 0, 0, INT32_MIN, INT32_MAX},
    {Dtype::U8, "u8", DtypeKind::integer, 8, 1, 0, 0, 0, 0, 255},
    {Dtype::I8, "i8", DtypeKind::integer, 8, 0, 0, 0, 0, -128, 127},
    {Dtype::I4, "i4", DtypeKind::integer, 4, 0, 0, 0, 0, -8, 7},
    {Dtype::Bool, "bool", DtypeKind::truth, 8, 6, 0, 0, 0, 0, 1},
}};

constexpr const DtypeRow& row(Dtype dtype) { return kDtypes[static_cast<std::size_t>(dtype)]; }

constexpr std::string_view name(Dtype dtype) { return row(dtype).name; }
constexpr bool is_float(Dtype dtype) { return row(dtype).kind == DtypeKind::real; }
constexpr bool is_integer(Dtype dtype) { return row(dtype).kind == DtypeKind::integer; }

// Whether several elements share a byte: two, low bits first, and rows of them begin with a byte.
constexpr bool is_packed(Dtype dtype) { return row(dtype).bits < 8; }

// The bytes of an element; 1 where several share one, whose innermost extent counts bytes wherever
// memory is meant.
constexpr std::size_t element_bytes(Dtype dtype) {
  return is_packed(dtype) ? 1 : static_cast<std::size_t>(row(dtype).bits / 8);
}

}  // namespace fovea::runtime
