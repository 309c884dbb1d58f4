// ir/rewrite.h — the only way to change a graph.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ir/build.h"
#include "ir/graph.h"

namespace fovea::ir {

// Copies a graph into a new one. `visit` is shown every node in dependency order, with the builder of
// the new graph and the node's inputs already there, and returns the node that replaces it, or
// nothing to copy it as it is. Names are kept. What no output, degree or kernel reaches is left behind.
using Visit = std::function<std::optional<NodeId>(Builder& into, NodeId id, const Node& old,
                                                  const std::vector<NodeId>& inputs)>;
Graph rewrite(const Graph& graph, const Visit& visit);

// The same with other kernels.
Graph with_kernels(const Graph& graph, std::vector<Kernel> kernels);

// How many nodes (and outputs, degrees and kernel results) use each node.
std::vector<int> count_uses(const Graph& graph);

// Whether each node depends on any Input; through TopK and ArgMax does not count if `positions_free`.
std::vector<bool> depends_on_input(const Graph& graph, bool positions_free = false);

}  // namespace fovea::ir
