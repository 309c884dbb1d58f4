#include "passes/block_mask.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "ir/build.h"
#include "ir/query.h"
#include "ir/region.h"
#include "passes/masked_value.h"

namespace fovea::passes {
namespace {

using ir::AxisId;
using ir::Fn;
using ir::NodeId;

// Beyond so many masks, those that exclude only together are not looked for.
constexpr std::size_t kManyMasks = 32;

// `visible` is the conjunction of clauses, each the disjunction of "not set apart by this one".
struct Found {
  std::vector<std::vector<Exclusion>> clauses;
  std::vector<Exclusion> masks;
  std::vector<Exclusion> of_columns;  // those that are not applied to whole rows only
  std::string why;                    // there are no clauses
};

void insert(std::vector<AxisId>& axes, std::span<const AxisId> more) {
  for (const AxisId axis : more) {
    if (std::ranges::find(axes, axis) == axes.end()) axes.push_back(axis);
  }
}

bool meet(std::span<const AxisId> a, std::span<const AxisId> b) {
  return std::ranges::any_of(a, [&](AxisId axis) { return std::ranges::find(b, axis) != b.end(); });
}

// Per node, the axes of which a user inside the kernel reads it at other coordinates.
std::vector<std::vector<AxisId>> axes_read_elsewhere(const ir::Graph& graph,
                                                     const std::vector<bool>& inside) {
  std::vector<std::vector<AxisId>> elsewhere(graph.nodes.size());
  for (std::size_t k = graph.nodes.size(); k-- > 0;) {
    if (!inside[k]) continue;
    const ir::Node& node = graph.nodes[k];
    for (std::size_t n = 0; n < node.inputs.size(); ++n) {
      auto& axes = elsewhere[static_cast<std::size_t>(node.inputs[n])];
      insert(axes, elsewhere[k]);
      const auto* read = ir::read_of(node);
      if (read == nullptr || n > 0) continue;
      for (const ir::Read::Coordinate& at : read->at) insert(axes, {&at.axis, 1});
    }
  }
  return elsewhere;
}

// Whether each node depends on something that is known only once the plane's scores are: on its
// reductions, or on numbers contracted onto it.
std::vector<bool> is_known_late(const ir::Graph& graph, const ir::Kernel& kernel,
                                const std::vector<bool>& inside) {
  std::vector<bool> late(graph.nodes.size(), false);
  const std::vector<NodeId> reductions = plane_reductions(graph, kernel);
  for (std::size_t k = 0; k < graph.nodes.size(); ++k) {
    if (!inside[k]) continue;
    const ir::Node& node = graph.nodes[k];
    const bool is_reduction =
        std::ranges::find(reductions, static_cast<NodeId>(k)) != reductions.end();
    const bool is_contraction =
        ir::is_reduce(node) && ir::is_float(node.type.dtype) && is_on_plane(kernel, node.type);
    late[k] = is_reduction || is_contraction;
    for (const NodeId input : node.inputs) {
      late[k] = late[k] || late[static_cast<std::size_t>(input)];
    }
  }
  return late;
}

// The axes of a condition that are neither the plane's nor walked outside of it: those of heads
// that are mixed, and features.
std::vector<AxisId> extra_axes(const ir::Graph& graph, const ir::Kernel& kernel, NodeId condition) {
  std::vector<AxisId> extra;
  const std::vector<AxisId> batch = ir::region_of(graph, kernel).batch;
  for (const AxisId axis : graph.node(condition).type.axes) {
    const bool walked = std::ranges::find(batch, axis) != batch.end();
    if (axis != kernel.row && axis != kernel.column && !walked) extra.push_back(axis);
  }
  return extra;
}

// The value of a condition at which `where` gives a constant. Of two constants it is the one that
// excludes: an infinity, else a zero.
std::vector<Exclusion> masks_of_where(const ir::Graph& graph, const ir::Node& node) {
  const NodeId condition = node.inputs[0];
  const auto then = number_of(graph.node(node.inputs[1]));
  const auto other = number_of(graph.node(node.inputs[2]));
  if (!then && !other) return {};
  if (!then || !other) return {{condition, then.has_value()}};
  return {{condition, std::isinf(*then) || (*then == 0 && *other != 0 && !std::isinf(*other))}};
}

// The masks that a node applies to its operands.
std::vector<Exclusion> masks_of(const ir::Graph& graph, const ir::Kernel& kernel,
                                const ir::Node& node) {
  if (const auto* reduce = ir::reduce_of(node)) {
    const ir::Type& type = graph.node(node.inputs[0]).type;
    const bool is_along_plane = reduce->axis == kernel.row || reduce->axis == kernel.column;
    if (type.dtype != ir::Dtype::Bool || !is_along_plane || !is_on_plane(kernel, type)) return {};
    return {{node.inputs[0], reduce->fn == ir::ReduceFn::Min}};
  }
  const auto* map = ir::map_of(node);
  if (map == nullptr) return {};
  if (map->fn == Fn::Where) return masks_of_where(graph, node);
  std::vector<Exclusion> masks;
  if ((map->fn == Fn::Mul || map->fn == Fn::Cast) && node.type.dtype != ir::Dtype::Bool) {
    for (const NodeId input : node.inputs) {
      const bool is_factor = graph.node(input).type.dtype == ir::Dtype::Bool;
      if (is_factor && extra_axes(graph, kernel, input).empty()) masks.push_back({input, false});
    }
  }
  return masks;
}

Exclusion without_not(const ir::Graph& graph, Exclusion mask) {
  for (;;) {
    const ir::Node& node = graph.node(mask.condition);
    if (!is_map(node, Fn::Not)) return mask;
    mask = {node.inputs[0], !mask.value};
  }
}

Found find_masks(const ir::Graph& graph, const ir::Kernel& kernel) {
  const std::vector<bool> inside = computed_inside(graph, kernel);
  const std::vector<bool> late = is_known_late(graph, kernel, inside);
  const auto elsewhere = axes_read_elsewhere(graph, inside);
  Found found;
  const auto add = [](std::vector<Exclusion>& to, const Exclusion& mask) {
    if (std::ranges::find(to, mask) == to.end()) to.push_back(mask);
  };
  const auto is_usable = [&](const Exclusion& mask) {
    const auto k = static_cast<std::size_t>(mask.condition);
    const ir::Type& type = graph.nodes[k].type;
    const auto extra = extra_axes(graph, kernel, mask.condition);
    const bool is_ragged = std::ranges::any_of(
        extra, [&](AxisId axis) { return graph.axis(axis).degree != ir::kNone; });
    const bool is_walked = type.has(kernel.row) || type.has(kernel.column) || extra.empty();
    return is_walked && !late[k] && !is_ragged && !meet(elsewhere[k], type.axes) &&
           !is_constant(graph.node(mask.condition));
  };
  for (std::size_t k = 0; k < graph.nodes.size(); ++k) {
    if (!inside[k]) continue;
    for (const Exclusion& raw : masks_of(graph, kernel, graph.nodes[k])) {
      const Exclusion mask = without_not(graph, raw);
      if (!is_usable(mask)) continue;
      add(found.masks, mask);
      const ir::Node& node = graph.nodes[k];
      if (node.type.has(kernel.column) || ir::is_reduce(node)) add(found.of_columns, mask);
    }
  }
  return found;
}

bool is_contradictory(std::span<const Exclusion> masks) {
  return std::ranges::any_of(masks, [&](const Exclusion& mask) {
    return std::ranges::find(masks, Exclusion{mask.condition, !mask.value}) != masks.end();
  });
}

// The smallest part of `masks` that can be had by leaving out one after the other.
std::vector<Exclusion> minimal(const ir::Graph& graph, const ir::Kernel& kernel,
                               std::vector<Exclusion> masks) {
  for (std::size_t n = 0; n < masks.size();) {
    std::vector<Exclusion> fewer = masks;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(n));
    if (contributes_nothing(graph, kernel, fewer)) {
      masks = std::move(fewer);
    } else {
      ++n;
    }
  }
  return masks;
}

std::string describe(const ir::Graph& graph, NodeId id) {
  const ir::Node& node = graph.node(id);
  if (const auto* reduce = ir::reduce_of(node)) {
    const std::string& of = graph.node(node.inputs[0]).name;
    return std::string(name(reduce->fn)) + " over " + graph.axis(reduce->axis).name +
           (of.empty() ? "" : " of " + of);
  }
  const auto output = std::ranges::find(graph.outputs, id, &ir::Output::node);
  if (output != graph.outputs.end()) return output->name;
  return node.name.empty() ? "a value of the row" : node.name;
}

Found find(const ir::Graph& graph, const ir::Kernel& kernel) {
  Found found = find_masks(graph, kernel);
  const bool stores_plane = std::ranges::any_of(
      kernel.results, [&](NodeId id) { return is_on_plane(kernel, graph.node(id).type); });
  if (plane_reductions(graph, kernel).empty() && !stores_plane) {
    found.why = "nothing is reduced";
  } else if (found.masks.empty()) {
    found.why = "no mask";
  }
  if (!found.why.empty()) return found;
  std::vector<Exclusion> rest;
  for (const Exclusion& mask : found.masks) {
    if (contributes_nothing(graph, kernel, {&mask, 1})) {
      found.clauses.push_back({mask});
    } else {
      rest.push_back(mask);
    }
  }
  NodeId blamed = ir::kNone;
  while (!rest.empty() && rest.size() <= kManyMasks && !is_contradictory(rest) &&
         contributes_nothing(graph, kernel, rest, &blamed)) {
    found.clauses.push_back(minimal(graph, kernel, rest));
    std::erase_if(rest, [&](const Exclusion& mask) {
      return std::ranges::find(found.clauses.back(), mask) != found.clauses.back().end();
    });
  }
  if (found.clauses.empty()) {
    found.why = blamed == ir::kNone ? "the masks do not exclude together"
                                    : "the mask does not exclude: " + describe(graph, blamed);
  }
  return found;
}

// The new graph in the making: nodes of the old one keep their ids until it is finished.
class Conditions {
 public:
  Conditions(const ir::Graph& graph, const ir::Kernel& kernel, ir::Builder& into,
             const std::vector<NodeId>& to)
      : graph_(graph), kernel_(kernel), into_(into), to_(to) {}

  NodeId visible(const Found& found) {
    NodeId all = ir::kNone;
    for (const auto& clause : found.clauses) {
      NodeId any = ir::kNone;
      for (const Exclusion& mask : clause) any = join(Fn::Or, any, passes(mask, ir::ReduceFn::Max));
      all = join(Fn::And, all, any);
    }
    return all;
  }
  NodeId solid(const Found& found) {
    NodeId all = ir::kNone;
    for (const Exclusion& mask : found.of_columns) {
      all = join(Fn::And, all, passes(mask, ir::ReduceFn::Min));
    }
    return all;
  }

 private:
  NodeId join(Fn fn, NodeId a, NodeId b) {
    return a == ir::kNone || a == b ? b : into_.map(fn, {a, b});
  }
  // True where the mask lets pass: at any, or at all coordinates of the axes that are not the
  // kernel's.
  NodeId passes(const Exclusion& mask, ir::ReduceFn fold) {
    NodeId condition = to_[static_cast<std::size_t>(mask.condition)];
    if (mask.value) condition = into_.map(Fn::Not, {condition});
    for (const AxisId axis : extra_axes(graph_, kernel_, mask.condition)) {
      condition = into_.reduce(fold, axis, condition);
    }
    return condition;
  }

  const ir::Graph& graph_;
  const ir::Kernel& kernel_;
  ir::Builder& into_;
  const std::vector<NodeId>& to_;
};

std::vector<NodeId> copy_nodes(const ir::Graph& graph, ir::Builder& into) {
  std::vector<NodeId> to;
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id) {
    std::vector<NodeId> inputs = graph.node(id).inputs;
    for (NodeId& input : inputs) input = to[static_cast<std::size_t>(input)];
    to.push_back(into.copy(graph.node(id), std::move(inputs)));
    for (AxisId axis = 0; axis < static_cast<AxisId>(graph.axes.size()); ++axis) {
      if (graph.axis(axis).degree == id) into.set_degree(axis, to.back());
    }
  }
  return to;
}

}  // namespace

ir::Graph block_mask(const ir::Graph& graph, const ir::Target&) {
  ir::Builder into(graph);
  const std::vector<NodeId> to = copy_nodes(graph, into);
  std::vector<ir::Output> outputs = graph.outputs;
  for (ir::Output& output : outputs) output.node = to[static_cast<std::size_t>(output.node)];
  std::vector<ir::Kernel> kernels = graph.kernels;
  for (std::size_t n = 0; n < kernels.size(); ++n) {
    const ir::Kernel& old = graph.kernels[n];
    for (NodeId& id : kernels[n].results) id = to[static_cast<std::size_t>(id)];
    kernels[n].visible = kernels[n].solid = ir::kNone;
    if (old.row == ir::kNone || old.column == ir::kNone) continue;
    const Found found = find(graph, old);
    Conditions conditions(graph, old, into, to);
    kernels[n].visible = conditions.visible(found);
    kernels[n].solid = conditions.solid(found);
    const std::string why = found.why.empty() ? "" : "all blocks: " + found.why;
    if (kernels[n].reason.find(why) != std::string::npos) continue;
    kernels[n].reason += (kernels[n].reason.empty() ? "" : "; ") + why;
  }
  return into.finish(std::move(outputs), std::move(kernels));
}

}  // namespace fovea::passes
