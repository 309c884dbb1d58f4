// ir/canonical.h — the one order in which the nodes of a graph are listed.
#pragma once

#include "ir/graph.h"

namespace fovea::ir {

// Keeps what outputs, degrees and kernels reach and renumbers it depth first, inputs before users
// and left to right: from the outputs, then the degrees of ragged axes, then the nodes of kernels.
// The degree of a ragged axis precedes what is folded, read or picked along it, and its index.
// Fills in empty layouts and drops names of nodes that an output or an axis has. Keeps every axis.
// What cannot be stored, two outputs of one name, and extents in a circle are the user's errors.
Graph canonical(const Graph& graph);

}  // namespace fovea::ir
