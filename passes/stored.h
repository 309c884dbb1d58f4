// passes/stored.h — what kernels store, and what each takes from the others.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "ir/graph.h"

namespace fovea::passes {

std::set<ir::NodeId> all_results(const ir::Graph& graph);

// What a kernel needs for its results and masks: values that it computes, and stored ones of others
// where it need not go further.
struct Needs {
  std::vector<ir::NodeId> computed;
  std::set<ir::NodeId> read;
};
Needs needs_of(const ir::Graph& graph, const ir::Kernel& kernel,
               const std::set<ir::NodeId>& stored);

// The kernels, each behind those whose results it reads, otherwise as they come; nothing where some
// wait for each other.
std::optional<std::vector<ir::Kernel>> in_order(const ir::Graph& graph,
                                                std::vector<ir::Kernel> kernels);

}  // namespace fovea::passes
