#include "ir/require.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

namespace fovea {

std::string_view name(Code code) {
  switch (code) {
    case Code::syntax_error: return "syntax_error";
    case Code::dimension_mismatch: return "dimension_mismatch";
    case Code::empty_input: return "empty_input";
    case Code::invalid_input: return "invalid_input";
    case Code::input_too_large: return "input_too_large";
    case Code::invalid_config: return "invalid_config";
    case Code::out_of_bounds: return "out_of_bounds";
    case Code::numerical_instability: return "numerical_instability";
    case Code::unsupported: return "unsupported";
    case Code::internal: return "internal";
  }
  return "internal";
}

void invariant_failed(std::string_view what, const std::source_location& where) {
  fmt::print(stderr, "fovea: internal error: {} ({}:{})\n", what, where.file_name(), where.line());
  std::abort();
}

}  // namespace fovea
