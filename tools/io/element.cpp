#include "tools/io/element.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <source_location>
#include <type_traits>

#include "ir/require.h"

namespace fovea::tools {
namespace {

template <class T>
T load_as(const std::byte* memory, std::int64_t n) {
  T value;
  std::memcpy(&value, memory + n * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

template <class T>
void store_as(std::byte* memory, std::int64_t n, T value) {
  std::memcpy(memory + n * static_cast<std::int64_t>(sizeof(T)), &value, sizeof(T));
}

// A real of 16 bits.
double from_bits(Dtype dtype, std::uint16_t bits) {
  const runtime::DtypeRow& row = runtime::row(dtype);
  const int hidden = 1 << (row.digits - 1), sign = 1 << (row.bits - 1);
  const int exponent = (bits & (sign - 1)) / hidden, fraction = bits & (hidden - 1);
  const int unit = row.min_exponent - row.digits + 1;
  double size = exponent == 0 ? std::ldexp(fraction, unit)
                              : std::ldexp(fraction + hidden, exponent - 1 + unit);
  if (exponent == sign / hidden - 1) size = fraction == 0 ? INFINITY : NAN;
  return (bits & sign) != 0 ? -size : size;
}

// Of a value that the dtype holds.
std::uint16_t to_bits(Dtype dtype, double value) {
  const runtime::DtypeRow& row = runtime::row(dtype);
  const int hidden = 1 << (row.digits - 1), infinity = (1 << (row.bits - 1)) - hidden;
  const int sign = std::signbit(value) ? 1 << (row.bits - 1) : 0;
  const double size = std::abs(value);
  int bits = 0;
  if (std::isnan(value)) return static_cast<std::uint16_t>(infinity | hidden / 2);
  if (std::isinf(value)) {
    bits = infinity;
  } else if (size != 0) {
    const int exponent = std::max(std::ilogb(size), row.min_exponent);
    const auto fraction = static_cast<int>(std::ldexp(size, row.digits - 1 - exponent));
    bits = (exponent - row.min_exponent) * hidden + fraction;  // the hidden digit carries
  }
  return static_cast<std::uint16_t>(sign | bits);
}

double load_i4(const std::byte* memory, std::int64_t n) {
  const int nibble = std::to_integer<int>(memory[n / 2]) >> (n % 2 * 4) & 15;
  return nibble >= 8 ? nibble - 16 : nibble;
}

void store_i4(std::byte* memory, std::int64_t n, int value) {
  const auto shift = static_cast<int>(n % 2 * 4);
  std::byte& byte = memory[n / 2];
  byte = (byte & ~(std::byte{15} << shift)) | (static_cast<std::byte>(value & 15) << shift);
}

bool is_equal(double stored, double number) {
  return stored == number || (std::isnan(stored) && std::isnan(number));
}

// Beyond 2^53 a 64-bit integer may be rounded on its way to double.
template <class Integer>
bool is_equal(double stored, Integer number) {
  constexpr double kEnd = std::is_signed_v<Integer> ? 0x1p63 : 0x1p64;
  return std::isfinite(stored) && stored < kEnd && static_cast<Integer>(stored) == number &&
         static_cast<double>(static_cast<Integer>(stored)) == stored;
}

}  // namespace

std::string describe(const Exact& value) {
  return std::visit([](auto number) { return fmt::format("{}", number); }, value);
}

Exact load(Stored type, const std::byte* memory, std::int64_t n) {
  switch (type) {
    case Stored::F64: return load_as<double>(memory, n);
    case Stored::F32: return double{load_as<float>(memory, n)};
    case Stored::BF16: return from_bits(Dtype::BF16, load_as<std::uint16_t>(memory, n));
    case Stored::F16: return from_bits(Dtype::F16, load_as<std::uint16_t>(memory, n));
    case Stored::I64: return load_as<std::int64_t>(memory, n);
    case Stored::I32: return std::int64_t{load_as<std::int32_t>(memory, n)};
    case Stored::I16: return std::int64_t{load_as<std::int16_t>(memory, n)};
    case Stored::I8: return std::int64_t{load_as<std::int8_t>(memory, n)};
    case Stored::U64: return load_as<std::uint64_t>(memory, n);
    case Stored::U32: return std::int64_t{load_as<std::uint32_t>(memory, n)};
    case Stored::U16: return std::int64_t{load_as<std::uint16_t>(memory, n)};
    case Stored::U8:
    case Stored::Bool: return std::int64_t{load_as<std::uint8_t>(memory, n)};
  }
  invariant_failed("a type without elements", std::source_location::current());
}

double load(Dtype dtype, const std::byte* memory, std::int64_t n) {
  switch (dtype) {
    case Dtype::F32: return load_as<float>(memory, n);
    case Dtype::BF16:
    case Dtype::F16: return from_bits(dtype, load_as<std::uint16_t>(memory, n));
    case Dtype::I32: return load_as<std::int32_t>(memory, n);
    case Dtype::U8: return load_as<std::uint8_t>(memory, n);
    case Dtype::I8: return load_as<std::int8_t>(memory, n);
    case Dtype::I4: return load_i4(memory, n);
    case Dtype::Bool: return load_as<std::uint8_t>(memory, n) != 0 ? 1 : 0;
  }
  invariant_failed("a type without elements", std::source_location::current());
}

void store(Dtype dtype, std::byte* memory, std::int64_t n, double value) {
  switch (dtype) {
    case Dtype::F32: return store_as(memory, n, static_cast<float>(value));
    case Dtype::BF16:
    case Dtype::F16: return store_as(memory, n, to_bits(dtype, value));
    case Dtype::I32: return store_as(memory, n, static_cast<std::int32_t>(value));
    case Dtype::U8: return store_as(memory, n, static_cast<std::uint8_t>(value));
    case Dtype::I8: return store_as(memory, n, static_cast<std::int8_t>(value));
    case Dtype::I4: return store_i4(memory, n, static_cast<int>(value));
    case Dtype::Bool: return store_as(memory, n, static_cast<std::uint8_t>(value != 0));
  }
  invariant_failed("a type without elements", std::source_location::current());
}

Fit store_nearest(Dtype dtype, std::byte* memory, std::int64_t n, const Exact& value) {
  const auto nearest = [&](auto v) -> std::optional<double> {
    if (dtype == Dtype::F32) return static_cast<float>(v);  // of 64-bit integers too
    const auto number = static_cast<double>(v);
    if (ir::is_float(dtype)) return ir::round_to(dtype, number);
    if (std::isnan(number)) return std::nullopt;
    return dtype == Dtype::Bool ? static_cast<double>(number == 1) : ir::round_to(dtype, number);
  };
  return std::visit(
      [&](auto v) {
        const std::optional<double> stored = nearest(v);
        if (!stored) return Fit::None;
        const bool exact = is_equal(*stored, v);
        const bool overflows = std::isinf(*stored) && !exact;
        if (overflows || (!exact && !ir::is_float(dtype))) return Fit::None;
        store(dtype, memory, n, *stored);
        return exact ? Fit::Exact : Fit::Rounded;
      },
      value);
}

}  // namespace fovea::tools
