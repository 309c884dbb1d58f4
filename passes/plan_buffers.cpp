#include "passes/plan_buffers.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "ir/checks.h"
#include "ir/region.h"
#include "passes/stored.h"

namespace fovea::passes {
namespace {

using namespace ir;

// Results that are made in the memory of an output.
std::set<NodeId> made_in_outputs(const Graph& graph) {
  std::set<NodeId> all;
  for (const Output& output : graph.outputs)
    if (!is_check(output)) all.insert(output.node);
  for (const Kernel& kernel : graph.kernels)
    for (const NodeId id : kernel.results)
      if (folds_rows(graph, kernel, id)) all.erase(id);
  return all;
}

// By node: the last kernel that reads it; kernels.size() for what lives to the end.
std::map<NodeId, std::size_t> last_reads(const Graph& graph) {
  const std::set<NodeId> stored = all_results(graph);
  const std::size_t end = graph.kernels.size();
  std::map<NodeId, std::size_t> last;
  for (std::size_t k = 0; k < end; k++)
    for (const NodeId id : needs_of(graph, graph.kernels[k], stored).read) last[id] = k;
  for (const Output& output : graph.outputs) last[output.node] = end;
  for (const Axis& axis : graph.axes)
    if (axis.degree != kNone) last[axis.degree] = end;
  return last;
}

// The first slot that nobody needs any more, or a new one.
class Slots {
 public:
  int take(std::size_t from, std::size_t until) {
    const auto free =
        std::ranges::find_if(busy_until_, [&](std::size_t busy) { return busy < from; });
    const auto slot = free - busy_until_.begin();
    if (free == busy_until_.end()) busy_until_.push_back(0);
    busy_until_[static_cast<std::size_t>(slot)] = until;
    return static_cast<int>(slot);
  }

 private:
  std::vector<std::size_t> busy_until_;  // by slot: a kernel
};

}  // namespace

Graph plan_buffers(const Graph& graph, const Target&) {
  Graph result = graph;
  const std::set<NodeId> outputs = made_in_outputs(graph);
  const std::map<NodeId, std::size_t> last = last_reads(graph);
  Slots slots;
  for (std::size_t k = 0; k < result.kernels.size(); k++) {
    Kernel& kernel = result.kernels[k];
    kernel.slots.clear();
    for (const NodeId id : kernel.results) {
      const auto read = last.find(id);
      const std::size_t until = read == last.end() ? k : std::max(read->second, k);
      kernel.slots.push_back(outputs.contains(id) ? kNone : slots.take(k, until));
    }
  }
  return result;
}

}  // namespace fovea::passes
