// runtime/sizes.h — values of size expressions, and how messages show them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "runtime/program.h"

namespace fovea::runtime {

// Nothing where it overflows, divides by zero or is no expression.
std::optional<std::int64_t> evaluate(const Size& size, std::span<const std::int64_t> symbols);

// As a formula: "past + new".
std::string print(const Size& size, const Program& program);

// The symbol that a size is, or -1 if it is anything else.
int single_symbol(const Size& size);

}  // namespace fovea::runtime
