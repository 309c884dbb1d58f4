// Every node's expression is made from those of its inputs in the order of the list, so nothing
// here recurses, however deep the graph.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "ir/expression.h"
#include "ir/lexer.h"
#include "ir/query.h"
#include "ir/text.h"

namespace fovea::ir {
namespace {

// Deeper expressions are cut by names, well before parse would refuse them (kMaxNesting).
constexpr int kMaxHeight = 60;

constexpr std::size_t kLineLength = 100;

class Printer {
 public:
  explicit Printer(const Graph& graph) : graph_(graph), nodes_(graph.nodes.size()) {
    count_uses();
    for (std::size_t k = 0; k < nodes_.size(); ++k) name_and_write(static_cast<NodeId>(k));
  }

  std::string run() const {
    std::string inputs, statements, kernels;
    std::size_t next_output = 0;
    for (std::size_t k = 0; k < nodes_.size(); ++k) {
      const Node& node = graph_.nodes[k];
      if (const auto* input = input_of(node))
        inputs += fmt::format("{} : {}\n", input->name, express(graph_, node.type));
      if (nodes_[k].stated)
        statements += fmt::format("{} = {}\n", nodes_[k].name, nodes_[k].expression.text);
      for (; is_due(next_output, static_cast<NodeId>(k)); ++next_output)
        statements += print(graph_.outputs[next_output]);
    }
    for (const Kernel& kernel : graph_.kernels) kernels += print(kernel);
    std::string all;
    for (const std::string& part : {axes(), inputs, statements, kernels}) {
      if (!all.empty() && !part.empty()) all += '\n';
      all += part;
    }
    return all;
  }

  // What defines the node, its operands by name where they have one.
  const std::string& definition(NodeId id) const { return state(id).expression.text; }

 private:
  struct State {
    int uses = 0;
    bool must_be_named = false;  // where the language takes only a name
    bool stated = false;         // has a statement `name = expression`
    std::string name;            // what users call it; empty: they contain its expression
    Expression expression;
  };

  const State& state(NodeId id) const { return nodes_[static_cast<std::size_t>(id)]; }
  bool exists(NodeId id) const {
    return id >= 0 && static_cast<std::size_t>(id) < graph_.nodes.size();
  }
  bool is_index(NodeId id) const { return exists(id) && ir::is_index(graph_.node(id)); }

  // ---- which nodes get a name

  void use(NodeId id, bool must_be_named = false) {
    if (!exists(id)) return;
    State& used = nodes_[static_cast<std::size_t>(id)];
    ++used.uses;
    used.must_be_named = used.must_be_named || must_be_named;
  }

  void count_uses() {
    for (const Node& node : graph_.nodes) {
      taken_.insert(node.name);
      for (NodeId input : node.inputs) use(input);
      // max(j, x) would fold j away: here the index needs a name that is not its axis.
      const auto* map = map_of(node);
      if (map != nullptr && (map->fn == Fn::Max || map->fn == Fn::Min) && !node.inputs.empty() &&
          is_index(node.inputs[0]))
        use(node.inputs[0], true);
    }
    for (const Axis& axis : graph_.axes) {
      taken_.insert(axis.name);
      use(axis.degree, !is_index(axis.degree));
    }
    for (const Output& output : graph_.outputs) {
      taken_.insert(output.name);
      use(output.node);
    }
    for (const Kernel& kernel : graph_.kernels) {
      for (NodeId result : kernel.results) use(result, true);
      use(kernel.visible, true);
      use(kernel.solid, true);
    }
  }

  std::string generated_name() {
    std::string name;
    do {
      name = fmt::format("_{}", ++generated_);
    } while (taken_.contains(name));
    return name;
  }

  // Whether the output can be stated once this node has been.
  bool is_due(std::size_t output, NodeId id) const {
    return output < graph_.outputs.size() && graph_.outputs[output].node <= id;
  }

  // Outputs keep their order, so one states its node itself only if no earlier output needs it.
  void name_and_write(NodeId id) {
    State& state = nodes_[static_cast<std::size_t>(id)];
    const Node& node = graph_.node(id);
    state.expression = express(graph_, id, [&](std::size_t which) { return operand(id, which); });
    std::string stored_as;
    for (; is_due(outputs_passed_, id); ++outputs_passed_) {
      const Output& output = graph_.outputs[outputs_passed_];
      if (output.node == id && stored_as.empty()) stored_as = output.name;
    }
    if (const auto* input = input_of(node)) {
      state.name = input->name;
    } else if (!node.name.empty() && !is_generated_name(node.name)) {
      state.stated = true;
      state.name = node.name;
    } else if (!stored_as.empty() && (state.must_be_named || !is_leaf(graph_, id))) {
      state.name = stored_as;
    } else if (state.must_be_named || is_worth_a_name(id)) {
      state.stated = true;
      state.name = generated_name();
    }
  }

  bool is_worth_a_name(NodeId id) const {
    if (is_leaf(graph_, id)) return false;
    return state(id).uses > 1 || state(id).expression.height > kMaxHeight;
  }

  Expression operand(NodeId user, std::size_t which) const {
    const Node& node = graph_.node(user);
    if (which >= node.inputs.size()) return {"?"};
    const NodeId id = node.inputs[which];
    return id < user ? reference(id) : Expression{fmt::format("?{}", id)};
  }

  Expression reference(NodeId id) const {
    if (!exists(id)) return {fmt::format("?{}", id)};
    return state(id).name.empty() ? state(id).expression : Expression{state(id).name};
  }

  // ---- statements

  std::string axes() const {
    std::string all, line;
    for (const Axis& axis : graph_.axes) {
      std::string one = axis.name;
      if (!axis.extent.empty()) one += " = " + express(graph_, axis.extent);
      if (axis.degree != kNone) one += " < " + reference(axis.degree).text;
      if (!line.empty() && line.size() + one.size() + 2 > kLineLength)
        all += std::exchange(line, "") + "\n";
      line += (line.empty() ? "axis " : ", ") + one;
    }
    return line.empty() ? all : all + line + "\n";
  }

  std::string print(const Output& output) const {
    if (!exists(output.node)) return fmt::format("out {} = ?{}\n", output.name, output.node);
    const State& stored = state(output.node);
    std::vector<AxisId> plain = graph_.node(output.node).type.axes;
    std::ranges::sort(plain);
    const bool states_it = !stored.stated && stored.name == output.name;
    return fmt::format("out {}{} = {}\n", output.name,
                       output.layout == plain ? "" : express(graph_, output.layout),
                       states_it ? stored.expression.text : reference(output.node).text);
  }

  std::string print(const Kernel& kernel) const {
    std::vector<std::string> results;
    for (NodeId result : kernel.results) results.push_back(reference(result).text);
    std::string line =
        fmt::format("kernel {}({})", is_identifier(kernel.name) ? kernel.name : quote(kernel.name),
                    fmt::join(results, ", "));
    if (kernel.row != kNone || kernel.column != kNone)
      line += " over " + (kernel.row == kNone ? "_" : express_axis(graph_, kernel.row));
    if (kernel.column != kNone) line += ", " + express_axis(graph_, kernel.column);
    if (kernel.visible != kNone) line += " visible=" + reference(kernel.visible).text;
    if (kernel.solid != kNone) line += " solid=" + reference(kernel.solid).text;
    if (kernel.carries) line += " carry=solid";
    if (kernel.row_tile != 0) line += fmt::format(" rows={}", kernel.row_tile);
    if (kernel.column_block != 0) line += fmt::format(" columns={}", kernel.column_block);
    if (kernel.chunk != 0) line += fmt::format(" chunk={}", kernel.chunk);
    if (kernel.lanes == Lanes::Columns) line += " lanes=columns";
    if (kernel.shared != kNone) line += " share=" + express_axis(graph_, kernel.shared);
    if (kernel.members != 0) line += fmt::format(" members={}", kernel.members);
    if (!kernel.slots.empty()) {
      std::vector<std::string> slots;
      for (const int slot : kernel.slots)
        slots.push_back(slot == kNone ? "_" : std::to_string(slot));
      line += fmt::format(" slots={}", fmt::join(slots, ","));
    }
    if (!kernel.reason.empty()) line += " because " + quote(kernel.reason);
    return line + "\n";
  }

  const Graph& graph_;
  std::vector<State> nodes_;
  std::set<std::string, std::less<>> taken_;
  std::size_t outputs_passed_ = 0;
  int generated_ = 0;
};

}  // namespace

std::string print(const Graph& graph) { return Printer(graph).run(); }

std::string print(const Graph& graph, NodeId node) {
  const bool exists = node >= 0 && static_cast<std::size_t>(node) < graph.nodes.size();
  return exists ? Printer(graph).definition(node) : fmt::format("?{}", node);
}

}  // namespace fovea::ir
