// tests/passes/same_meaning.h — do two graphs mean the same? Asks the interpreter, on small inputs;
// where a graph has kernels, the interpreter of kernels.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/interpret.h"

namespace fovea::passes {

enum class Values : std::uint8_t {
  Ordinary,  // floats in [-2, 2], integers 0, 1 and 2 (coordinates inside every axis)
  Special,   // also 0, -0, infinity and NaN; integers from -4 to 4
};

// The seeds of random graphs: so many from `first` on, or as FOVEA_FUZZ_SEED and
// FOVEA_FUZZ_PROGRAMS say.
struct Seeds {
  std::uint32_t first, count;
};
Seeds seeds(std::uint32_t first, std::uint32_t count);

// Every axis that has no extent of its own gets a small one.
ir::Sizes small_sizes(const ir::Graph& graph);

ir::Arrays random_inputs(const ir::Graph& graph, Values values, std::uint32_t seed);

// What a graph is interpreted on.
struct Example {
  ir::Sizes sizes;
  ir::Arrays inputs;
};

// The first place where `after` differs from what `before` means, its kernels aside, by more than
// this share of the larger of 1 and the element; nothing if they agree. Zeros of either sign are
// equal, and so are NaNs, and errors of the same code. If `before` has kernels, it must agree with
// itself.
constexpr double kSameDigits = 1e-12;
std::optional<std::string> difference(const ir::Graph& before, const ir::Graph& after,
                                      std::span<const Example> examples,
                                      double tolerance = kSameDigits);

std::vector<Example> random_examples(const ir::Graph& graph, Values values = Values::Ordinary);

// The same on these.
std::optional<std::string> difference(const ir::Graph& before, const ir::Graph& after,
                                      Values values = Values::Ordinary);

// The first of the stages (tests/passes/stages.h) that means something else than the graph, and
// how.
std::optional<std::string> differing_stage(const ir::Graph& graph,
                                           std::span<const Example> examples,
                                           double tolerance = kSameDigits);

}  // namespace fovea::passes
