// passes/masked_value.h — what the nodes of a kernel are worth at elements that masks set apart.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "ir/graph.h"

namespace fovea::passes {

// A condition and its value at elements that it sets apart: where(condition, s, -inf) sets apart
// where the condition is false.
struct Exclusion {
  ir::NodeId condition = ir::kNone;
  bool value = false;
  bool operator==(const Exclusion&) const = default;
};

// The nodes that a kernel computes itself: from its results down to inputs and to results of other
// kernels, which are not among them.
std::vector<bool> computed_inside(const ir::Graph& graph, const ir::Kernel& kernel);

// Whether a value has both axes of the kernel's plane.
bool is_on_plane(const ir::Kernel& kernel, const ir::Type& type);

// The reductions of the plane: values folded, scanned or picked over its row or column axis.
std::vector<ir::NodeId> plane_reductions(const ir::Graph& graph, const ir::Kernel& kernel);

// Whether nothing of the plane's elements at which all `exclusions` apply reaches the results: sums
// get zeros, maxima -inf, minima inf, and results on the plane are zero there.
//
// The usual liberty of -inf is taken: what is added to an infinity, and what a row is shifted or
// divided by, is taken to be finite, in particular what comes from outside of the kernel. A row
// shift or divisor that is not finite in a row where everything is excluded (a softmax without the
// guard of Builder::softmax) is accepted only if all results are NaN in such a row anyway.
// `blames`, if given, is set to the reduction that still gets something, or to the result that has
// it.
bool contributes_nothing(const ir::Graph& graph, const ir::Kernel& kernel,
                         std::span<const Exclusion> exclusions, ir::NodeId* blames = nullptr);

}  // namespace fovea::passes
