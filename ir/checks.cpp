#include "ir/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "ir/build.h"
#include "ir/query.h"
#include "ir/require.h"
#include "ir/rewrite.h"
#include "ir/worklist.h"

namespace fovea::ir {
namespace {

constexpr std::string_view kReserved = "__";
constexpr std::string_view kLow = "__low_", kHigh = "__high_";

// What follows these: a number, so that no two are the same; the length of the axis's name and the
// name; and the name of the Read, which is gone when the message is made. Names of outputs have to
// be words of the language.
std::string mangle(std::size_t number, std::string_view axis, std::string_view read) {
  return fmt::format("{}_{}{}_{}", number, axis.size(), axis, read);
}

std::pair<std::string, std::string> demangle(std::string_view name) {
  name.remove_prefix(name.find('_') + 1);
  std::size_t length = 0;
  const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), length);
  name.remove_prefix(static_cast<std::size_t>(rest - name.data()));
  invariant(error == std::errc() && length < name.size(), "a check has a name of another form");
  return {std::string(name.substr(0, length)), std::string(name.substr(length + 1))};
}

// The names of inputs that a value depends on, in order of their nodes.
std::set<std::pair<NodeId, std::string>> inputs_of(const Graph& graph, NodeId value,
                                                   bool with_coordinates) {
  std::set<std::pair<NodeId, std::string>> inputs;
  Worklist todo(graph, {value});
  while (const auto id = todo.next()) {
    const Node& node = graph.node(*id);
    if (const auto* input = input_of(node)) inputs.insert({*id, input->name});
    if (!with_coordinates && is_read(node))
      todo.add(node.inputs[0]);
    else
      todo.add(node.inputs);
  }
  return inputs;
}

// Whether an axis is there for one coordinate, which must be 0 (ops/neighbours.cpp).
bool has_one_element(const Axis& axis) {
  return axis.extent.size() == 1 && axis.extent[0].kind == ExtentTerm::Kind::Number &&
         axis.extent[0].number == 1;
}

class Checker {
 public:
  explicit Checker(const Graph& graph)
      : graph_(graph), into_(graph), depends_(depends_on_input(graph, true)) {}

  Graph operator()() {
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++) {
      copy(id);
      if (const Read* read = read_of(graph_.node(id))) check(graph_.node(id), *read);
    }
    std::vector<Output> outputs = std::move(checks_);
    for (const Output& output : graph_.outputs)
      if (!is_check(output))
        outputs.push_back(
            {output.name, made_[static_cast<std::size_t>(output.node)], output.layout});
    return into_.finish(std::move(outputs), kernels());
  }

 private:
  std::vector<Kernel> kernels() const {
    std::vector<Kernel> kernels = graph_.kernels;
    const auto move = [&](NodeId& id) {
      if (id != kNone) id = made_[static_cast<std::size_t>(id)];
    };
    for (Kernel& kernel : kernels) {
      std::ranges::for_each(kernel.results, move);
      move(kernel.visible);
      move(kernel.solid);
    }
    return kernels;
  }

  void copy(NodeId id) {
    const Node& node = graph_.node(id);
    std::vector<NodeId> inputs;
    for (const NodeId input : node.inputs) inputs.push_back(made_[static_cast<std::size_t>(input)]);
    made_.push_back(into_.copy(node, inputs));
    for (std::size_t a = 0; a < graph_.axes.size(); a++)
      if (graph_.axes[a].degree == id) into_.set_degree(static_cast<AxisId>(a), made_.back());
  }

  void check(const Node& node, const Read& read) {
    std::size_t next = 1;
    for (const Read::Coordinate& at : read.at) {
      const NodeId coordinate = node.inputs[next];
      next += at.otherwise ? 2 : 1;
      if (at.otherwise || !depends_[static_cast<std::size_t>(coordinate)] ||
          graph_.axis(at.axis).degree != kNone || !seen_.insert({coordinate, at.axis}).second)
        continue;
      const std::string what = mangle(checks_.size() / 2, graph_.axis(at.axis).name, node.name);
      const NodeId made = made_[static_cast<std::size_t>(coordinate)];
      checks_.push_back({std::string(kLow) + what, fold(ReduceFn::Min, made), {}});
      checks_.push_back({std::string(kHigh) + what, fold(ReduceFn::Max, made), {}});
    }
  }

  // Folding a ragged axis away brings in the axes of its degree, which come before it.
  NodeId fold(ReduceFn fn, NodeId value) {
    if (into_[value].type.dtype != Dtype::I32) value = into_.cast(Dtype::I32, value);
    while (!into_[value].type.axes.empty())
      value = into_.reduce(fn, into_[value].type.axes.back(), value);
    return value;
  }

  const Graph& graph_;
  Builder into_;
  std::vector<bool> depends_;
  std::vector<NodeId> made_;
  std::set<std::pair<NodeId, AxisId>> seen_;
  std::vector<Output> checks_;
};

// Whether an output is one of two bounds that lie side by side, as check_reads makes them.
bool is_of_pair(const std::vector<Output>& outputs, std::size_t n) {
  const std::string_view name = outputs[n].name;
  const auto is_called = [&](std::size_t other, std::string_view prefix, std::string_view what) {
    return other < outputs.size() && outputs[other].name == fmt::format("{}{}", prefix, what);
  };
  if (name.starts_with(kLow)) return is_called(n + 1, kHigh, name.substr(kLow.size()));
  return name.starts_with(kHigh) && n > 0 && is_called(n - 1, kLow, name.substr(kHigh.size()));
}

}  // namespace

Graph check_reads(const Graph& graph) {
  bool any = false;
  for (const Node& node : graph.nodes) any |= is_read(node);
  for (std::size_t n = 0; n < graph.outputs.size(); n++)
    require(!graph.outputs[n].name.starts_with(kReserved) || (any && is_of_pair(graph.outputs, n)),
            Code::invalid_config,
            "output '{}': names that begin with two underscores are the compiler's",
            graph.outputs[n].name);
  return any ? Checker(graph)() : graph;
}

bool is_check(const Output& output) {
  return output.name.starts_with(kLow) || output.name.starts_with(kHigh);
}

std::vector<ReadCheck> read_checks(const Graph& graph) {
  std::vector<ReadCheck> all;
  for (std::size_t n = 0; n < graph.outputs.size(); n++) {
    const Output& low = graph.outputs[n];
    if (!low.name.starts_with(kLow)) continue;
    invariant(n + 1 < graph.outputs.size() && graph.outputs[n + 1].name.starts_with(kHigh),
              "a lower bound of coordinates without its upper bound");
    const auto [axis, read] = demangle(std::string_view(low.name).substr(kLow.size()));
    const AxisId along = find_axis(graph, axis);
    const std::string what = has_one_element(graph.axis(along)) ? axis
                             : read.empty()
                                 ? fmt::format("{0} coordinate along '{0}'", axis)
                                 : fmt::format("{0} coordinate along '{0}' in '{1}'", axis, read);
    all.push_back(
        {low.node, graph.outputs[n + 1].node, along, what + from_inputs(graph, low.node)});
  }
  return all;
}

std::string from_inputs(const Graph& graph, NodeId value) {
  if (is_input(graph.node(value))) return "";
  auto inputs = inputs_of(graph, value, false);
  if (inputs.empty()) inputs = inputs_of(graph, value, true);
  if (inputs.empty()) return "";
  std::string names;
  for (const auto& [id, name] : inputs) names += fmt::format(" '{}'", name);
  return fmt::format(" (from input{}{})", inputs.size() > 1 ? "s" : "", names);
}

std::vector<bool> checked_reads(const Graph& graph) {
  std::vector<bool> checked(graph.nodes.size(), false);
  const std::vector<bool> depends = depends_on_input(graph, true);
  for (std::size_t id = 0; id < graph.nodes.size(); id++) {
    const Node& node = graph.nodes[id];
    const Read* read = read_of(node);
    if (read == nullptr) continue;
    bool all = true;
    std::size_t next = 1;
    for (const Read::Coordinate& at : read->at) {
      all = all && (at.otherwise || depends[static_cast<std::size_t>(node.inputs[next])]);
      next += at.otherwise ? 2 : 1;
    }
    checked[id] = all;
  }
  return checked;
}

}  // namespace fovea::ir
