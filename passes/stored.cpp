#include "passes/stored.h"

#include <algorithm>

#include "ir/query.h"
#include "ir/worklist.h"
#include "passes/planes.h"

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
  Worklist todo(graph, kernel.results);
  for (const NodeId mask : {kernel.visible, kernel.solid})
    if (mask != kNone) todo.add(mask);
  while (const auto id = todo.next()) {
    const bool own = std::ranges::find(kernel.results, *id) != kernel.results.end();
    if (stored.contains(*id) && !own) {
      needs.read.insert(*id);
      continue;
    }
    needs.computed.push_back(*id);
    const Node& node = graph.node(*id);
    todo.add(node.inputs);
    if (const auto* reduce = reduce_of(node); reduce && is_ragged(graph, reduce->axis))
      todo.add(graph.axis(reduce->axis).degree);
  }
  return needs;
}

std::optional<std::vector<Kernel>> in_order(const Graph& graph, std::vector<Kernel> kernels) {
  std::set<NodeId> missing;
  for (const Kernel& kernel : kernels) missing.insert(kernel.results.begin(), kernel.results.end());
  std::vector<Kernel> sorted;
  while (!kernels.empty()) {
    const auto next = std::ranges::find_if(kernels, [&](const Kernel& kernel) {
      return needs_of(graph, kernel, missing).read.empty();
    });
    if (next == kernels.end()) return {};
    for (const NodeId id : next->results) missing.erase(id);
    sorted.push_back(std::move(*next));
    kernels.erase(next);
  }
  return sorted;
}

}  // namespace fovea::passes
