#include "passes/stored.h"

#include <algorithm>

namespace fovea::passes {

using namespace ir;

std::set<NodeId> all_results(const Graph& graph) {
  std::set<NodeId> all;
  for (const Kernel& kernel : graph.kernels)
    all.insert(kernel.results.begin(), kernel.results.end());
  return all;
}

Needs needs_of(const Graph& graph, const Kernel& kernel, const std::set<NodeId>& stored) {
  Needs needs;
  std::set<NodeId> seen;
  std::vector<NodeId> stack(kernel.results);
  for (const NodeId mask : {kernel.visible, kernel.solid})
    if (mask != kNone) stack.push_back(mask);
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (!seen.insert(id).second) continue;
    const bool own = std::ranges::find(kernel.results, id) != kernel.results.end();
    if (stored.contains(id) && !own) {
      needs.read.insert(id);
      continue;
    }
    needs.computed.push_back(id);
    stack.insert(stack.end(), graph.node(id).inputs.begin(), graph.node(id).inputs.end());
  }
  return needs;
}

}  // namespace fovea::passes
