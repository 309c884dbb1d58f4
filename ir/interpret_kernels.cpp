#include "ir/interpret_kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "ir/checks.h"
#include "ir/infer.h"
#include "ir/interpret_graph.h"
#include "ir/kernel_walk.h"
#include "ir/query.h"
#include "ir/region.h"
#include "ir/require.h"

namespace fovea::ir {
namespace {

// What lies where while the kernels run, without its numbers.
class Memory {
 public:
  explicit Memory(const Graph& graph) : graph_(graph), known_{graph.axes, graph.nodes} {
    for (const Output& output : graph.outputs)
      if (!is_check(output)) outputs_.push_back(output.node);
  }

  // The kernel begins to write: what lies in its slots is lost.
  void begin(const Kernel& kernel) {
    require(kernel.slots.empty() || kernel.slots.size() == kernel.results.size(), Code::internal,
            "kernel '{}' has not one slot to a result", kernel.name);
    for (std::size_t n = 0; n < kernel.slots.size(); n++) {
      const int slot = kernel.slots[n];
      if (slot == kNone) {
        check_output(kernel, kernel.results[n]);
        continue;
      }
      for (auto& [id, place] : places_)
        if (place.slot == slot) place.lost_to = &kernel;
    }
  }

  void read(const std::string& reader, NodeId id) const {
    const auto place = places_.find(id);
    require(place != places_.end(), Code::internal,
            "{} needs {}, which no kernel has stored by then", reader, known_.call(id));
    require(place->second.lost_to == nullptr, Code::internal,
            "{} needs {}, which kernel '{}' has overwritten in slot {}", reader, known_.call(id),
            place->second.lost_to == nullptr ? "" : place->second.lost_to->name,
            place->second.slot);
  }

  void end(const Kernel& kernel) {
    for (std::size_t n = 0; n < kernel.results.size(); n++) {
      const int slot = kernel.slots.empty() ? kNone : kernel.slots[n];
      for (auto& [id, place] : places_)
        if (slot != kNone && place.slot == slot) place.lost_to = &kernel;
      places_[kernel.results[n]] = {slot, nullptr};
    }
  }

 private:
  struct Place {
    int slot = kNone;
    const Kernel* lost_to = nullptr;
  };

  // What is folded over rows lies padded, which no output has room for.
  void check_output(const Kernel& kernel, NodeId id) const {
    require(std::ranges::find(outputs_, id) != outputs_.end() && !folds_rows(graph_, kernel, id),
            Code::internal, "kernel '{}' stores {} in no slot, and no output has its memory",
            kernel.name, known_.call(id));
  }

  const Graph& graph_;
  const Known known_;
  std::vector<NodeId> outputs_;
  std::map<NodeId, Place> places_;
};

// A graph that copies what is stored to the outputs.
KernelGraph copies(const Graph& graph) {
  KernelGraph made;
  made.graph.axes = graph.axes;
  for (Axis& axis : made.graph.axes) axis.degree = kNone;
  for (const Output& output : graph.outputs) {
    const Node& node = graph.node(output.node);
    const bool is_input = ir::is_input(node);
    if (!is_input) made.reads.push_back(output.node);
    made.graph.outputs.push_back(
        {output.name, static_cast<NodeId>(made.graph.nodes.size()), output.layout});
    made.graph.nodes.push_back(
        {is_input ? node.op : Op(Input{stored_name(output.node)}), {}, node.type, node.name});
  }
  made.checked.assign(made.graph.nodes.size(), false);
  return made;
}

// What is stored along a ragged axis has room for its largest degree.
void measure_ragged(const Graph& graph, const Arrays& memory, std::vector<std::int64_t>& extents) {
  for (std::size_t a = 0; a < graph.axes.size(); a++) {
    const NodeId degree = graph.axes[a].degree;
    if (degree == kNone) continue;
    const auto* input = input_of(graph.node(degree));
    const auto found = memory.find(input ? input->name : stored_name(degree));
    if (found == memory.end()) continue;
    double most = 0;
    for (const double x : found->second.data) most = std::max(most, x);
    extents[a] = static_cast<std::int64_t>(most);
  }
}

}  // namespace

KernelProgram::KernelProgram(const Graph& graph) : graph_(graph) {
  Memory memory(graph);
  for (const Kernel& kernel : graph.kernels) {
    const auto defect = walk_defect(graph, kernel);
    require(!defect, Code::internal, "{}", defect.value_or(""));
    kernels_.push_back(kernel_graph(graph, kernel));
    memory.begin(kernel);
    for (const NodeId id : kernels_.back().reads)
      memory.read(fmt::format("kernel '{}'", kernel.name), id);
    memory.end(kernel);
  }
  kernels_.push_back(copies(graph));
  for (std::size_t n = 0; n < graph.outputs.size(); n++)
    if (!is_input(graph.node(graph.outputs[n].node)))
      memory.read(fmt::format("output '{}'", graph.outputs[n].name), graph.outputs[n].node);
}

Arrays KernelProgram::run(const Arrays& inputs, const Sizes& sizes) const {
  std::vector<std::int64_t> extents = extents_of(graph_, inputs, sizes);
  check_inputs(graph_, inputs);
  Arrays memory = inputs, results;
  for (const KernelGraph& kernel : kernels_) {
    measure_ragged(graph_, memory, extents);
    results = evaluate(kernel.graph, kernel.checked, memory, extents);
    for (auto& [name, array] : results) memory.insert_or_assign(name, array);
  }
  return results;
}

Arrays interpret_kernels(const Graph& graph, const Arrays& inputs, const Sizes& sizes) {
  return KernelProgram(graph).run(inputs, sizes);
}

}  // namespace fovea::ir
