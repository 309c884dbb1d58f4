// ir/verify.h — is this graph one that a Builder could have made?
#pragma once

#include <string>
#include <string_view>

#include "ir/graph.h"

namespace fovea::ir {

// The first thing wrong with a graph, with the offending node as text, or nothing. Inputs precede
// users, arities and types are what the builder would infer, no two nodes are equal, axes and
// outputs exist, what a kernel or output needs is there, what nothing needs is not, and the order
// is canonical.
std::string find_defect(const Graph& graph);

// Aborts (an error of ours, not the user's) with that defect. `after` names the pass that made the
// graph.
void verify(const Graph& graph, std::string_view after);

}  // namespace fovea::ir
