// ir/require.h — the two kinds of failure.
//
// The user's: `require`, thrown as fovea::Error with a code; the message names the tensor or option,
// what was found and what was expected. Ours: `invariant`, which prints file and line and aborts.
// Not for public headers: whoever includes them need not read fmt's.
#pragma once

#include <fmt/format.h>

#include <source_location>
#include <string_view>
#include <utility>

#include "ir/error.h"

namespace fovea {

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
