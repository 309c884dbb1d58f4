#include "passes/elsewhere.h"

#include <algorithm>

#include "ir/query.h"
#include "ir/region.h"
#include "passes/partition.h"
#include "passes/planes.h"

namespace fovea::passes {

using namespace ir;

std::vector<bool> fold_holders(const Graph& graph) {
  std::vector<bool> holds(graph.nodes.size());
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); id++) {
    const Node& node = graph.node(id);
    holds[id] = is_single_fold(graph, id) ||
                std::ranges::any_of(node.inputs, [&](NodeId input) { return holds[input]; });
  }
  return holds;
}

std::vector<bool> loads_of_folds(const Graph& graph) {
  const std::vector<bool> holds = fold_holders(graph);
  std::vector<bool> loads(graph.nodes.size());
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); id++) {
    const Node& node = graph.node(id);
    if (!is_read(node) || !holds[node.inputs[0]]) continue;
    loads[id] = std::ranges::none_of(graph.node(node.inputs[0]).type.axes,
                                     [&](AxisId axis) { return is_ragged(graph, axis); });
  }
  return loads;
}

}  // namespace fovea::passes
