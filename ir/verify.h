// ir/verify.h — is this graph one that a Builder could have made?
#pragma once

#include "ir/graph.h"

namespace fovea::ir {

// Aborts (an error of ours, not the user's) with the offending node as text unless inputs precede
// users, arities and types are what the builder would infer, axes and outputs exist, and every node
// that a kernel or output needs is there. `after` names the pass that made the graph.
void verify(const Graph& graph, std::string_view after);

}  // namespace fovea::ir
