// ir/error.h — what Fovea throws: an error with a code, whose message names the tensor or option,
// what was found and what was expected.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

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

}  // namespace fovea
