// ir/error.h — the two kinds of failure.
//
// The user's: `require`, thrown as fovea::Error with a code; the message names the tensor or option,
// what was found and what was expected. Ours: `invariant`, which prints file and line and aborts.
#pragma once

#include <fmt/format.h>

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace fovea {

// One code per cause, the same in C++, on the command line and in the bindings.
enum class Code {
  syntax_error,           // text that does not parse
  dimension_mismatch,     // shapes, axes, ranks or dtypes that do not fit
  empty_input,            // nothing where something is needed
  invalid_input,          // memory, a file or numbers in it that cannot be used
  input_too_large,        // beyond what indices or memory can hold
  invalid_config,         // an option or definition that makes no sense
  out_of_bounds,          // a coordinate outside its axis
  numerical_instability,  // a result that cannot be trusted
  unsupported,            // right, but not offered here
  internal,               // ours
};

// "dimension_mismatch" and so on.
std::string_view name(Code code);

class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Code code() const { return code_; }

 private:
  Code code_;
};

template <class... Args>
[[noreturn]] void fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void require(bool holds, Code code, fmt::format_string<Args...> format, Args&&... args) {
  if (!holds) fail(code, format, std::forward<Args>(args)...);
}

[[noreturn]] void invariant_failed(std::string_view what, const std::source_location& where);

inline void invariant(bool holds, std::string_view what,
                      const std::source_location& where = std::source_location::current()) {
  if (!holds) invariant_failed(what, where);
}

}  // namespace fovea
