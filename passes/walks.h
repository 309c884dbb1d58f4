// passes/walks.h — which values a kernel computes by walking one axis for each of their points:
// attention of a node to its neighbours, which are a ragged axis or gathered. A part of `fuse`.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "ir/graph.h"

namespace fovea::passes {

class Walks {
 public:
  // `group_of`: by node, the reductions that a pair plane folds already. With neither: no walks.
  Walks(const ir::Graph& graph, std::vector<int> group_of);
  explicit Walks(const ir::Graph& graph) : graph_(graph) {}

  // The one axis that a kernel with this result walks; kNone where no walk ends in it. A walk folds
  // an axis that is ragged, or along which something is gathered; what it folds, and everything
  // along that axis, it computes inside. The result has no axis that its folds lack.
  ir::AxisId axis_of(ir::NodeId result) const;

  // Whether the node is a fold that such a kernel computes inside itself.
  bool folds(ir::NodeId node, ir::AxisId axis) const;

 private:
  bool is_walk(ir::NodeId reduction) const;
  bool is_gathered(ir::NodeId reduction) const;
  bool is_product(ir::NodeId reduction) const;
  bool is_computable(ir::NodeId node, ir::AxisId axis, std::set<ir::NodeId>& seen) const;
  void find_folds(ir::NodeId node, std::set<ir::NodeId>& seen, std::vector<ir::NodeId>& into) const;

  const ir::Graph& graph_;
  std::vector<bool> walked_;  // by node; empty without walks
  std::vector<bool> loads_;   // by node: of folds at other coordinates
};

}  // namespace fovea::passes
