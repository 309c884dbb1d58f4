#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "ir/expression.h"
#include "ir/infer.h"
#include "ir/query.h"
#include "ir/text.h"

namespace fovea::ir {
namespace {

constexpr int kOutside = -1;  // of all kernels

constexpr std::string_view kHead = R"(digraph fovea {
  graph [rankdir=TB, newrank=true, nodesep=0.35, ranksep=0.45, pad=0.3, bgcolor=white,
         fontname="Helvetica,Arial,sans-serif", fontsize=13, fontcolor="#1f2933"];
  node [shape=box, style="rounded,filled", color="#52606d", fillcolor="#f1f3f5", margin="0.14,0.08",
        fontname="Helvetica,Arial,sans-serif", fontsize=12, fontcolor="#1f2933"];
  edge [color="#7b8794", arrowsize=0.7,
        fontname="Helvetica,Arial,sans-serif", fontsize=10, fontcolor="#52606d"];
)";
constexpr std::string_view kOnPlane = "#ffd8a8";
constexpr std::string_view kOffPlane = "#d0ebff";
constexpr std::string_view kInput = "#e6fcf5";
constexpr std::string_view kOutput = "#fff3bf";

// Longer arithmetic over indices gets a node of its own.
constexpr std::size_t kLongestInlined = 28;

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (c == '\n') {
      result += "\\n";
    } else {
      result += c;
    }
  }
  return result + '"';
}

// A node is drawn once in every kernel that computes it, and outside if none does.
class Drawing {
 public:
  explicit Drawing(const Graph& graph) : graph_(graph), inlined_(graph.nodes.size()) {
    find_inlined();
    find_kernels();
  }

  std::string run() {
    std::string all(kHead);
    if (!graph_.kernels.empty())
      all +=
          "  label=\"orange: on the pair plane, never stored    blue: off the plane    thick: "
          "stored\";\n  labelloc=b;\n";
    for (NodeId id : every_node())
      if (is_input(id)) all += "  " + input(id);
    for (std::size_t k = 0; k < graph_.kernels.size(); ++k) all += kernel(static_cast<int>(k));
    for (NodeId id : every_node())
      if (!is_input(id) && is_loose(id) && inlined(id).empty()) all += "  " + op(id, kOutside);
    for (std::size_t k = 0; k < graph_.outputs.size(); ++k) all += output(k);
    for (NodeId id : every_node())
      for (int place : places(id)) all += edges(id, place);
    return all + "}\n";
  }

 private:
  // ---- what is drawn where

  std::vector<NodeId> every_node() const {
    std::vector<NodeId> all(graph_.nodes.size());
    for (std::size_t k = 0; k < all.size(); ++k) all[k] = static_cast<NodeId>(k);
    return all;
  }

  bool is_input(NodeId id) const { return ir::is_input(graph_.node(id)); }

  const std::string& inlined(NodeId id) const { return inlined_[static_cast<std::size_t>(id)]; }

  // Numbers, axes and short unnamed arithmetic over them are written where they are used.
  void find_inlined() {
    std::set<NodeId> drawn;
    for (const Output& output : graph_.outputs) drawn.insert(output.node);
    for (const Axis& axis : graph_.axes) drawn.insert(axis.degree);
    for (const Kernel& kernel : graph_.kernels) {
      drawn.insert(kernel.results.begin(), kernel.results.end());
      drawn.insert({kernel.visible, kernel.solid});
    }
    for (NodeId id : every_node()) {
      const Node& node = graph_.node(id);
      const bool pure =
          is_map(node) && node.name.empty() &&
          std::ranges::none_of(node.inputs, [&](NodeId input) { return inlined(input).empty(); });
      if (drawn.contains(id) || (!pure && !is_leaf(graph_, id))) continue;
      std::string text = expression(id).text;
      if (text.size() <= kLongestInlined) inlined_[static_cast<std::size_t>(id)] = std::move(text);
    }
  }

  // The op over the names of its inputs; `…` for those that have none.
  Expression expression(NodeId id) const {
    return express(graph_, id, [&](std::size_t which) -> Expression {
      const NodeId input = graph_.node(id).inputs[which];
      const Node& node = graph_.node(input);
      if (!inlined(input).empty()) return expression(input);
      return {node.name.empty() ? "…" : node.name};
    });
  }

  std::vector<NodeId> needs(NodeId id) const {
    std::vector<NodeId> all = graph_.node(id).inputs;
    std::ranges::copy(degrees(id), std::back_inserter(all));
    return all;
  }

  std::vector<NodeId> degrees(NodeId id) const {
    std::vector<NodeId> all;
    for (AxisId axis : axes_of(graph_.node(id).op))
      if (graph_.axis(axis).degree != kNone) all.push_back(graph_.axis(axis).degree);
    return all;
  }

  void find_kernels() {
    inside_.resize(graph_.kernels.size());
    for (std::size_t k = 0; k < graph_.kernels.size(); ++k)
      for (NodeId result : graph_.kernels[k].results) stored_.try_emplace(result, k);
    for (std::size_t k = 0; k < graph_.kernels.size(); ++k) {
      const Kernel& kernel = graph_.kernels[k];
      std::vector<NodeId> open = kernel.results;
      for (NodeId id : {kernel.visible, kernel.solid})
        if (id != kNone) open.push_back(id);
      while (!open.empty()) {
        const NodeId id = open.back();
        open.pop_back();
        const auto stored = stored_.find(id);
        const bool elsewhere = stored != stored_.end() && stored->second != k;
        if (is_input(id) || elsewhere || !inside_[k].insert(id).second) continue;
        std::ranges::copy(needs(id), std::back_inserter(open));
      }
    }
  }

  bool is_inside(NodeId id, int place) const {
    return place != kOutside && inside_[static_cast<std::size_t>(place)].contains(id);
  }
  bool is_loose(NodeId id) const {
    return std::ranges::none_of(inside_, [&](const auto& nodes) { return nodes.contains(id); });
  }

  std::vector<int> places(NodeId id) const {
    if (is_input(id) || !inlined(id).empty()) return {};
    std::vector<int> all;
    for (std::size_t k = 0; k < inside_.size(); ++k)
      if (inside_[k].contains(id)) all.push_back(static_cast<int>(k));
    if (all.empty()) all.push_back(kOutside);
    return all;
  }

  // The drawn node that stands for this one where it is used in `place`.
  std::string id_seen_from(NodeId id, int place) const {
    if (is_inside(id, place)) return fmt::format("k{}n{}", place, id);
    const auto stored = stored_.find(id);
    if (stored != stored_.end()) return fmt::format("k{}n{}", stored->second, id);
    const std::vector<int> all = places(id);
    if (all.empty() || all.front() == kOutside) return fmt::format("n{}", id);
    return fmt::format("k{}n{}", all.front(), id);
  }

  // ---- nodes

  std::string input(NodeId id) const {
    const Node& node = graph_.node(id);
    return fmt::format(
        "n{} [shape=cylinder, style=filled, fillcolor=\"{}\", label={}];\n", id, kInput,
        quoted(fmt::format("{}\n{}", std::get<Input>(node.op).name, express(graph_, node.type))));
  }

  std::string output(std::size_t which) const {
    const Output& output = graph_.outputs[which];
    const Type stored{graph_.node(output.node).type.dtype, output.layout};
    const std::string label = fmt::format("{}\n{}", output.name, express(graph_, stored));
    return fmt::format(
        "  out{} [shape=house, orientation=180, style=filled, fillcolor=\"{}\", label={}];\n"
        "  {} -> out{};\n",
        which, kOutput, quoted(label), id_seen_from(output.node, kOutside), which);
  }

  std::string op(NodeId id, int place) const {
    const Node& node = graph_.node(id);
    std::string label = node.name.empty() ? "" : node.name + "\n";
    label += expression(id).text;
    std::string style;
    if (place != kOutside) {
      const Kernel& kernel = graph_.kernels[static_cast<std::size_t>(place)];
      if (id == kernel.visible) label += "\nvisible: elsewhere nothing contributes";
      if (id == kernel.solid) label += "\nsolid: needs no mask";
      const bool on_plane =
          kernel.row != kNone && node.type.has(kernel.row) && node.type.has(kernel.column);
      style = fmt::format(", fillcolor=\"{}\"", on_plane ? kOnPlane : kOffPlane);
      const bool result = std::ranges::count(kernel.results, id) > 0;
      if (result) style += ", penwidth=2.5";
    }
    return fmt::format("{} [label={}{}];\n", id_of(id, place), quoted(label), style);
  }

  static std::string id_of(NodeId id, int place) {
    return place == kOutside ? fmt::format("n{}", id) : fmt::format("k{}n{}", place, id);
  }

  std::string kernel(int place) const {
    const Kernel& kernel = graph_.kernels[static_cast<std::size_t>(place)];
    std::string label = kernel.name;
    if (kernel.row != kNone && kernel.column != kNone) {
      label += fmt::format("   {} × {}", express_axis(graph_, kernel.row),
                           express_axis(graph_, kernel.column));
      if (kernel.row_tile != 0)
        label += fmt::format(" in tiles of {} × {}", kernel.row_tile, kernel.column_block);
      if (kernel.chunk != 0) label += fmt::format(", {} blocks a step", kernel.chunk);
      label += kernel.lanes == Lanes::Columns ? ", columns in lanes" : ", rows in lanes";
      if (kernel.shared != kNone)
        label +=
            fmt::format(", {} {} together", kernel.members, express_axis(graph_, kernel.shared));
    }
    if (!kernel.reason.empty()) label += "\n" + kernel.reason;
    std::string all = fmt::format(
        "  subgraph cluster_{} {{\n    label={};\n    labelloc=t;\n    labeljust=l;\n    "
        "style=\"rounded,filled\";\n"
        "    color=\"#9aa5b1\";\n    fillcolor=\"#fafbfc\";\n",
        place, quoted(label));
    for (NodeId id : inside_[static_cast<std::size_t>(place)])
      if (inlined(id).empty()) all += "    " + op(id, place);
    return all + "  }\n";
  }

  // ---- edges

  std::string edges(NodeId id, int place) const {
    std::string all;
    // An inlined input is made of inlined inputs only, so nothing is lost with it.
    std::set<NodeId> sources;
    for (NodeId input : graph_.node(id).inputs)
      if (inlined(input).empty()) sources.insert(input);
    for (NodeId source : sources)
      all += fmt::format("  {} -> {} [label={}];\n", id_seen_from(source, place), id_of(id, place),
                         quoted(" " + express(graph_, graph_.node(source).type)));
    for (NodeId degree : degrees(id))
      if (inlined(degree).empty())
        all += fmt::format("  {} -> {} [style=dashed, label=\" degree\"];\n",
                           id_seen_from(degree, place), id_of(id, place));
    return all;
  }

  const Graph& graph_;
  std::vector<std::string> inlined_;      // the text of what has no node of its own
  std::vector<std::set<NodeId>> inside_;  // by kernel: what it computes
  std::map<NodeId, std::size_t> stored_;  // results, with the first kernel that stores them
};

}  // namespace

std::string dot(const Graph& graph) { return Drawing(graph).run(); }

}  // namespace fovea::ir
