// ir/worklist.h — walks from some nodes of a graph down to what they are computed from.
#pragma once

#include <optional>
#include <ranges>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

// Nodes that are still to be looked at. Each is handed out once, however often it is added.
class Worklist {
 public:
  Worklist(const Graph& graph, std::vector<NodeId> first)
      : seen_(graph.nodes.size()), todo_(std::move(first)) {}

  void add(NodeId id) { todo_.push_back(id); }
  template <std::ranges::range Ids>
  void add(const Ids& ids) {
    todo_.insert(todo_.end(), std::ranges::begin(ids), std::ranges::end(ids));
  }

  std::optional<NodeId> next() {
    while (!todo_.empty()) {
      const NodeId id = todo_.back();
      todo_.pop_back();
      if (seen_[static_cast<std::size_t>(id)]) continue;
      seen_[static_cast<std::size_t>(id)] = true;
      return id;
    }
    return std::nullopt;
  }

 private:
  std::vector<bool> seen_;
  std::vector<NodeId> todo_;
};

// Whether a node is wanted, or is computed from one that is.
template <class Wanted>
bool needs(const Graph& graph, NodeId node, Wanted wanted) {
  Worklist todo(graph, {node});
  while (const auto at = todo.next()) {
    if (wanted(*at)) return true;
    todo.add(graph.node(*at).inputs);
  }
  return false;
}

}  // namespace fovea::ir
