#include "ir/kernel_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "ir/infer.h"
#include "ir/kernel_graph.h"
#include "ir/query.h"
#include "ir/region.h"
#include "ir/worklist.h"

namespace fovea::ir {
namespace {

class Check {
 public:
  Check(const Graph& graph, const Kernel& kernel)
      : graph_(graph),
        kernel_(kernel),
        leaves_(leaves_of(graph, kernel)),
        known_{graph.axes, graph.nodes} {}

  std::optional<std::string> operator()() {
    if (kernel_.column == kNone) return {};
    if (kernel_.row == kNone) return of_points();
    if (auto defect = of_members()) return defect;
    for (const NodeId id : computed())
      if (auto defect = of_node(id)) return defect;
    for (const NodeId id : kernel_.results)
      if (auto defect = of_result(id)) return defect;
    return {};
  }

 private:
  const Node& node(NodeId id) const { return graph_.node(id); }

  template <class... Args>
  std::string defect(fmt::format_string<Args...> format, Args&&... args) const {
    return fmt::format("kernel '{}' ", kernel_.name) +
           fmt::format(format, std::forward<Args>(args)...);
  }

  std::optional<std::string> of_points() const {
    const bool one =
        kernel_.results.size() == 1 && !node(kernel_.results[0]).type.has(kernel_.column);
    if (!one)
      return defect("walks axis {}: expected one result, without that axis",
                    graph_.axis(kernel_.column).name);
    for (const NodeId id : computed()) {
      if (is_fold(id) && !folds_plane(id) && !stays_along(id))
        return defect("needs {}, which no step of its walk tells, and nobody stores it",
                      known_.call(id));
      if (auto defect = of_read(id)) return defect;
    }
    return {};
  }

  bool stays_along(NodeId id) const {
    return is_reduce(node(id)) && node(id).type.has(kernel_.column);
  }

  // Heads that are walked together have one list of blocks.
  std::optional<std::string> of_members() const {
    for (const NodeId mask : {kernel_.visible, kernel_.solid})
      if (kernel_.shared != kNone && mask != kNone && node(mask).type.has(kernel_.shared))
        return defect("has a mask that varies along axis {}, whose members it walks together",
                      graph_.axis(kernel_.shared).name);
    return {};
  }

  std::vector<NodeId> computed() const {
    std::vector<NodeId> all;
    Worklist todo(graph_, kernel_.results);
    while (const auto id = todo.next()) {
      if (leaves_[static_cast<std::size_t>(*id)]) continue;
      all.push_back(*id);
      todo.add(node(*id).inputs);
    }
    return all;
  }

  bool is_fold(NodeId id) const {
    return !leaves_[static_cast<std::size_t>(id)] && is_single_fold(graph_, id);
  }
  bool folds_plane(NodeId id) const {
    return is_plane_reduction(graph_, id, kernel_.row, kernel_.column);
  }
  bool folds_row_axis(NodeId id) const {
    return folds_plane(id) && std::get<Reduce>(node(id).op).axis == kernel_.row;
  }

  // A node among what others are computed from inside the kernel, itself included.
  template <class Wanted>
  NodeId find_below(NodeId from, Wanted wanted) const {
    Worklist todo(graph_, {from});
    while (const auto id = todo.next()) {
      if (leaves_[static_cast<std::size_t>(*id)]) continue;
      if (wanted(*id)) return *id;
      todo.add(node(*id).inputs);
    }
    return kNone;
  }

  std::optional<std::string> of_read(NodeId id) const {
    if (!is_read(node(id))) return {};
    const NodeId fold = find_below(node(id).inputs[0], [&](NodeId at) { return is_fold(at); });
    if (fold == kNone) return {};
    return defect("reads {} at other coordinates, and nobody stores it", known_.call(fold));
  }

  std::optional<std::string> of_node(NodeId id) const {
    if (auto defect = of_read(id)) return defect;
    if (!is_fold(id)) return {};
    if (folds_plane(id)) return of_plane_fold(id);
    const bool stays = is_reduce(node(id)) && is_on_plane(graph_, kernel_, id);
    if (stays) return {};
    return defect("needs {}, which no tile of its plane tells, and nobody stores it",
                  known_.call(id));
  }

  std::optional<std::string> of_plane_fold(NodeId id) const {
    if (folds_row_axis(id) && kernel_.lanes == Lanes::Columns)
      return defect("has columns across the lanes and folds {} over rows", known_.call(id));
    const std::vector<NodeId> needed =
        plane_reductions_of(graph_, node(id).inputs[0], kernel_.row, kernel_.column, leaves_);
    if (needed.empty() ||
        followed_by(graph_, id, kernel_.row, kernel_.column, leaves_).maximum != kNone)
      return {};
    return defect("folds {} in the same walk as {}, which that needs before", known_.call(id),
                  known_.call(needed.front()));
  }

  std::optional<std::string> of_result(NodeId id) const {
    const Type& type = node(id).type;
    if (folds_plane(id)) return {};
    if (!type.has(kernel_.row))
      return defect("stores {}, which is neither of its rows nor folded over its plane",
                    known_.call(id));
    const NodeId fold = find_below(id, [&](NodeId at) { return folds_row_axis(at); });
    if (fold == kNone) return {};
    return defect("stores {} before {} is folded over all rows", known_.call(id),
                  known_.call(fold));
  }

  const Graph& graph_;
  const Kernel& kernel_;
  const Leaves leaves_;
  const Known known_;
};

}  // namespace

std::optional<std::string> walk_defect(const Graph& graph, const Kernel& kernel) {
  return Check(graph, kernel)();
}

}  // namespace fovea::ir
