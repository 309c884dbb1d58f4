#include "codegen/asserts.h"

#include <HalideRuntime.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ir/require.h"

namespace fovea::codegen {
namespace {

// A function's name, known when its code is compiled.
template <std::size_t kLength>
struct Name {
  consteval Name(const char (&literal)[kLength]) { std::copy_n(literal, kLength, text); }
  char text[kLength];
};

template <class T>
T shown(T argument) {
  return argument;
}
const char* shown(const char* argument) { return argument == nullptr ? "(none)" : argument; }

template <Name kName, int kCode, class Signature>
struct Failure;

template <Name kName, int kCode, class... Arguments>
struct Failure<kName, kCode, int(void*, Arguments...)> {
  static int call(void* /*context*/, Arguments... arguments) {
    std::string all;
    ((all += fmt::format(" {}", shown(arguments))), ...);
    fmt::print(stderr, "fovea: an assertion of a kernel failed: {}{}\n", kName.text, all);
    return kCode;
  }
};

// The function of Halide's runtime that reports a failure, with the code that it returns.
template <Name kName, int kCode, class Signature>
HostFunction failure() {
  return {kName.text, reinterpret_cast<void*>(&Failure<kName, kCode, Signature>::call)};
}

char* append(char* to, const char* end, std::string_view text) {
  const auto room = static_cast<std::size_t>(std::max<std::ptrdiff_t>(end - to - 1, 0));
  const std::size_t size = std::min(room, text.size());
  std::memcpy(to, text.data(), size);
  if (to < end) to[size] = '\0';
  return to + size;
}

char* append_string(char* to, char* end, const char* text) { return append(to, end, text); }
char* append_signed(char* to, char* end, std::int64_t x, int digits) {
  return append(to, end, fmt::format("{:0{}}", x, digits));
}
char* append_unsigned(char* to, char* end, std::uint64_t x, int digits) {
  return append(to, end, fmt::format("{:0{}}", x, digits));
}
char* append_double(char* to, char* end, double x, int /*scientific*/) {
  return append(to, end, fmt::format("{}", x));
}

template <class Function>
HostFunction text(std::string_view name, Function* function) {
  return {name, reinterpret_cast<void*>(function)};
}

}  // namespace

bool has_asserts() {
  const char* value = std::getenv("FOVEA_ASSERTS");
  const std::string_view asked = value == nullptr ? "" : value;
  require(asked.empty() || asked == "0" || asked == "1", Code::invalid_config,
          "FOVEA_ASSERTS is \"{}\"; expected 0 or 1", asked);
  return asked == "1";
}

std::span<const HostFunction> assertion_functions() {
  static const HostFunction functions[] = {
      failure<"halide_error_access_out_of_bounds", halide_error_code_access_out_of_bounds,
              decltype(halide_error_access_out_of_bounds)>(),
      failure<"halide_error_bad_dimensions", halide_error_code_bad_dimensions,
              decltype(halide_error_bad_dimensions)>(),
      failure<"halide_error_bad_extern_fold", halide_error_code_bad_extern_fold,
              decltype(halide_error_bad_extern_fold)>(),
      failure<"halide_error_bad_fold", halide_error_code_bad_fold,
              decltype(halide_error_bad_fold)>(),
      failure<"halide_error_bad_type", halide_error_code_bad_type,
              decltype(halide_error_bad_type)>(),
      failure<"halide_error_bounds_inference_call_failed", halide_error_code_generic_error,
              decltype(halide_error_bounds_inference_call_failed)>(),
      failure<"halide_error_buffer_allocation_too_large",
              halide_error_code_buffer_allocation_too_large,
              decltype(halide_error_buffer_allocation_too_large)>(),
      failure<"halide_error_buffer_argument_is_null", halide_error_code_buffer_argument_is_null,
              decltype(halide_error_buffer_argument_is_null)>(),
      failure<"halide_error_buffer_extents_negative", halide_error_code_buffer_extents_negative,
              decltype(halide_error_buffer_extents_negative)>(),
      failure<"halide_error_buffer_extents_too_large", halide_error_code_buffer_extents_too_large,
              decltype(halide_error_buffer_extents_too_large)>(),
      failure<"halide_error_constraint_violated", halide_error_code_constraint_violated,
              decltype(halide_error_constraint_violated)>(),
      failure<"halide_error_constraints_make_required_region_smaller",
              halide_error_code_constraints_make_required_region_smaller,
              decltype(halide_error_constraints_make_required_region_smaller)>(),
      failure<"halide_error_device_dirty_with_no_device_support",
              halide_error_code_device_dirty_with_no_device_support,
              decltype(halide_error_device_dirty_with_no_device_support)>(),
      failure<"halide_error_explicit_bounds_too_small", halide_error_code_explicit_bounds_too_small,
              decltype(halide_error_explicit_bounds_too_small)>(),
      failure<"halide_error_extern_stage_failed", halide_error_code_generic_error,
              decltype(halide_error_extern_stage_failed)>(),
      failure<"halide_error_fold_factor_too_small", halide_error_code_fold_factor_too_small,
              decltype(halide_error_fold_factor_too_small)>(),
      failure<"halide_error_host_is_null", halide_error_code_host_is_null,
              decltype(halide_error_host_is_null)>(),
      failure<"halide_error_out_of_memory", halide_error_code_out_of_memory,
              decltype(halide_error_out_of_memory)>(),
      failure<"halide_error_requirement_failed", halide_error_code_requirement_failed,
              decltype(halide_error_requirement_failed)>(),
      failure<"halide_error_storage_bound_too_small", halide_error_code_storage_bound_too_small,
              decltype(halide_error_storage_bound_too_small)>(),
      failure<"halide_error_unaligned_host_ptr", halide_error_code_unaligned_host_ptr,
              decltype(halide_error_unaligned_host_ptr)>(),
      text("halide_string_to_string", &append_string),
      text("halide_int64_to_string", &append_signed),
      text("halide_uint64_to_string", &append_unsigned),
      text("halide_double_to_string", &append_double),
  };
  return functions;
}

}  // namespace fovea::codegen
