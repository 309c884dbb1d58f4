// tests/passes/same_meaning.h — do two graphs mean the same? Asks the interpreter, on small inputs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ir/graph.h"
#include "ir/interpret.h"

namespace fovea::passes {

enum class Values : std::uint8_t {
  Ordinary,  // floats in [-2, 2], integers 0, 1 and 2 (coordinates inside every axis)
  Special,   // also 0, -0, infinity and NaN; integers from -4 to 4
};

// Every axis that has no extent of its own gets a small one.
ir::Sizes small_sizes(const ir::Graph& graph);

ir::Arrays random_inputs(const ir::Graph& graph, Values values, std::uint32_t seed);

// The first place where the graphs differ by more than 1e-12 relative; nothing if they agree. Zeros
// of either sign are equal, and so are NaNs.
std::optional<std::string> difference(const ir::Graph& before, const ir::Graph& after,
                                      Values values = Values::Ordinary);

}  // namespace fovea::passes
