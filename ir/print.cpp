// Every node's expression is made from those of its inputs in the order of the list, so nothing
// here recurses, however deep the graph.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "ir/lexer.h"
#include "ir/text.h"

namespace fovea::ir {
namespace {

// Levels as in ast.cpp: 0 to 4 are binary operators.
constexpr int kUnary = 5;
constexpr int kPostfix = 6;

// Deeper expressions are cut by names; parse takes at least two levels of nesting for each.
constexpr int kMaxHeight = 60;

constexpr std::size_t kLineLength = 100;

int binary_level(Fn fn) {
  switch (fn) {
    case Fn::Or:
      return 0;
    case Fn::And:
      return 1;
    case Fn::Eq:
    case Fn::Ne:
    case Fn::Lt:
    case Fn::Le:
    case Fn::Gt:
    case Fn::Ge:
      return 2;
    case Fn::Add:
    case Fn::Sub:
      return 3;
    case Fn::Mul:
    case Fn::Div:
    case Fn::Mod:
      return 4;
    default:
      return kPostfix;
  }
}

struct Text {
  std::string text;
  int level = kPostfix;  // how tightly it binds
  int height = 0;

  std::string at_level(int least) const { return level < least ? "(" + text + ")" : text; }
};

std::string number(const Constant& constant, Dtype dtype) {
  if (dtype == Dtype::Bool) return constant.value != 0 ? "true" : "false";
  if (dtype == Dtype::I32) return fmt::format("{:.0f}", constant.value);
  // The sign of a NaN is part of the constant, and fmt writes it.
  std::string digits = fmt::format("{}", constant.value);
  if (std::isfinite(constant.value) && digits.find_first_of(".e") == std::string::npos)
    digits += ".0";
  return digits;
}

class Printer {
 public:
  explicit Printer(const Graph& graph) : graph_(graph), nodes_(graph.nodes.size()) {
    count_uses();
    for (std::size_t k = 0; k < nodes_.size(); ++k) name_and_write(static_cast<NodeId>(k));
  }

  std::string run() {
    std::string inputs, statements, kernels;
    std::size_t next_output = 0;
    for (std::size_t k = 0; k < nodes_.size(); ++k) {
      const auto id = static_cast<NodeId>(k);
      if (const auto* input = std::get_if<Input>(&graph_.node(id).op))
        inputs += fmt::format("{} : {}{}\n", input->name, name(graph_.node(id).type.dtype),
                              bracketed(graph_.node(id).type.axes));
      if (nodes_[k].stated)
        statements += fmt::format("{} = {}\n", nodes_[k].name, nodes_[k].expression.text);
      for (; output_at(next_output, id); ++next_output) statements += output(next_output);
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
    Text expression;
  };

  const State& state(NodeId id) const { return nodes_[static_cast<std::size_t>(id)]; }
  bool exists(NodeId id) const {
    return id >= 0 && static_cast<std::size_t>(id) < graph_.nodes.size();
  }

  // ---- which nodes get a name

  void use(NodeId id, bool must_be_named = false) {
    if (!exists(id)) return;
    State& used = nodes_[static_cast<std::size_t>(id)];
    ++used.uses;
    used.must_be_named = used.must_be_named || must_be_named;
  }

  void count_uses() {
    for (const Node& node : graph_.nodes) {
      for (NodeId input : node.inputs) use(input);
      // max(j, x) would fold j away: here the index needs a name that is not its axis.
      const auto* map = std::get_if<Map>(&node.op);
      if (map != nullptr && (map->fn == Fn::Max || map->fn == Fn::Min) && !node.inputs.empty() &&
          exists(node.inputs[0]) && std::holds_alternative<Index>(graph_.node(node.inputs[0]).op))
        use(node.inputs[0], true);
    }
    for (const Axis& axis : graph_.axes) {
      taken_.insert(axis.name);
      use(axis.degree,
          !exists(axis.degree) || !std::holds_alternative<Index>(graph_.node(axis.degree).op));
    }
    for (const Kernel& kernel : graph_.kernels) {
      for (NodeId result : kernel.results) use(result, true);
      use(kernel.visible, true);
      use(kernel.solid, true);
    }
    for (const Output& output : graph_.outputs) {
      use(output.node);
      taken_.insert(output.name);
    }
    for (const Node& node : graph_.nodes) taken_.insert(node.name);
  }

  std::string generated_name() {
    std::string name;
    do {
      name = fmt::format("_{}", ++generated_);
    } while (taken_.contains(name));
    return name;
  }

  // A number, an index or a size says everything itself, as often as it is used.
  bool is_leaf(NodeId id) const {
    const Node& node = graph_.node(id);
    return std::holds_alternative<Constant>(node.op) || std::holds_alternative<Index>(node.op) ||
           is_size(node);
  }

  bool is_size(const Node& node) const {
    const auto* reduce = std::get_if<Reduce>(&node.op);
    if (reduce == nullptr || reduce->fn != ReduceFn::Sum) return false;
    if (node.inputs.empty() || !exists(node.inputs[0])) return false;
    const Node& of = graph_.node(node.inputs[0]);
    const auto* constant = std::get_if<Constant>(&of.op);
    return constant != nullptr && constant->value == 1 && of.type.dtype == Dtype::I32;
  }

  bool output_at(std::size_t output, NodeId id) const {
    return output < graph_.outputs.size() && graph_.outputs[output].node <= id;
  }

  // Nodes come in order, so what an output stores is stated by the output itself unless an earlier
  // output needs it.
  void name_and_write(NodeId id) {
    State& state = nodes_[static_cast<std::size_t>(id)];
    const Node& node = graph_.node(id);
    state.expression = write(id);
    std::string first_output;
    for (; output_at(outputs_passed_, id); ++outputs_passed_) {
      const Output& output = graph_.outputs[outputs_passed_];
      if (output.node == id && first_output.empty()) first_output = output.name;
    }
    if (const auto* input = std::get_if<Input>(&node.op)) {
      state.name = input->name;
    } else if (!node.name.empty() && !is_generated_name(node.name)) {
      state.stated = true;
      state.name = node.name;
    } else if (!first_output.empty() && (state.must_be_named || !is_leaf(id))) {
      state.name = first_output;
    } else if (state.must_be_named || needs_name(id)) {
      state.stated = true;
      state.name = generated_name();
    }
  }

  bool needs_name(NodeId id) const {
    if (is_leaf(id)) return false;
    return state(id).uses > 1 || state(id).expression.height > kMaxHeight;
  }

  // ---- expressions

  std::string axis_name(AxisId id) const {
    const bool known = id >= 0 && static_cast<std::size_t>(id) < graph_.axes.size();
    return known ? graph_.axis(id).name : "?";
  }

  // An input of `user` as it appears there. Tolerates graphs that are wrong, for messages about
  // them.
  Text operand(NodeId user, std::size_t which) const {
    const Node& node = graph_.node(user);
    if (which >= node.inputs.size()) return {"?"};
    const NodeId id = node.inputs[which];
    if (!exists(id) || id >= user) return {fmt::format("?{}", id)};
    return state(id).name.empty() ? state(id).expression : Text{state(id).name};
  }

  Text call(std::string_view function, std::vector<std::string> axes, NodeId id) const {
    Text result{"", kPostfix, 0};
    std::vector<std::string>& arguments = axes;
    for (std::size_t k = 0; k < graph_.node(id).inputs.size(); ++k) {
      const Text input = operand(id, k);
      result.height = std::max(result.height, input.height + 1);
      arguments.push_back(input.text);
    }
    result.text = fmt::format("{}({})", function, fmt::join(arguments, ", "));
    return result;
  }

  Text write(NodeId id) const {
    const Node& node = graph_.node(id);
    return match(
        node.op, [&](const Input& op) { return Text{op.name}; },
        [&](const Constant& op) {
          const std::string digits = number(op, node.type.dtype);
          return Text{digits, digits.starts_with('-') ? kUnary : kPostfix};
        },
        [&](const Index& op) { return Text{axis_name(op.axis)}; },
        [&](const Map& op) { return write(op, id); },
        [&](const Reduce& op) { return write(op, id); },
        [&](const Scan& op) { return call("cumsum", {axis_name(op.axis)}, id); },
        [&](const Read& op) { return write(op, id); },
        [&](const TopK& op) {
          return call("topk", {axis_name(op.axis), axis_name(op.into)}, id);
        });
  }

  Text write(const Map& op, NodeId id) const {
    if (op.fn == Fn::Cast) return call(name(graph_.node(id).type.dtype), {}, id);
    if (op.fn == Fn::Neg || op.fn == Fn::Not) {
      const Text x = operand(id, 0);
      // A minus sign before digits is part of the number.
      const bool digits = op.fn == Fn::Neg && is_number(id, 0);
      return {fmt::format("{}{}", name(op.fn), digits ? "(" + x.text + ")" : x.at_level(kUnary)),
              kUnary, x.height + 1};
    }
    const int level = binary_level(op.fn);
    if (level == kPostfix) return call(name(op.fn), {}, id);
    const Text left = operand(id, 0), right = operand(id, 1);
    // Mathematics would read a < b == c as two comparisons.
    const int left_least = level == binary_level(Fn::Lt) ? level + 1 : level;
    return {
        fmt::format("{} {} {}", left.at_level(left_least), name(op.fn), right.at_level(level + 1)),
        level, std::max(left.height, right.height) + 1};
  }

  bool is_number(NodeId user, std::size_t which) const {
    const Node& node = graph_.node(user);
    if (which >= node.inputs.size() || !exists(node.inputs[which])) return false;
    return std::holds_alternative<Constant>(graph_.node(node.inputs[which]).op) &&
           state(node.inputs[which]).name.empty();
  }

  Text write(const Reduce& op, NodeId id) const {
    const Node& node = graph_.node(id);
    if (is_size(node)) return {fmt::format("size({})", axis_name(op.axis))};
    const bool logical = !node.inputs.empty() && exists(node.inputs[0]) &&
                         graph_.node(node.inputs[0]).type.dtype == Dtype::Bool;
    std::string_view function = name(op.fn);
    if (logical && op.fn == ReduceFn::Max) function = "any";
    if (logical && op.fn == ReduceFn::Min) function = "all";
    return call(function, {axis_name(op.axis)}, id);
  }

  Text write(const Read& op, NodeId id) const {
    const Text of = operand(id, 0);
    int height = of.height;
    std::vector<std::string> all;
    std::size_t next = 1;
    for (const Read::Coordinate& at : op.at) {
      const Text coordinate = operand(id, next++);
      std::string one = fmt::format("{} = {}", axis_name(at.axis), coordinate.text);
      height = std::max(height, coordinate.height);
      if (at.otherwise) {
        const Text otherwise = operand(id, next++);
        one += " else " + otherwise.text;
        height = std::max(height, otherwise.height);
      }
      all.push_back(std::move(one));
    }
    return {fmt::format("{}[{}]", of.at_level(kPostfix), fmt::join(all, ", ")), kPostfix,
            height + 1};
  }

  // ---- statements

  std::string bracketed(const std::vector<AxisId>& axes) const {
    std::vector<std::string> names;
    for (AxisId axis : axes) names.push_back(axis_name(axis));
    return fmt::format("[{}]", fmt::join(names, ", "));
  }

  std::string output(std::size_t which) const {
    const Output& output = graph_.outputs[which];
    const State& stored = state(output.node);
    std::vector<AxisId> plain = graph_.node(output.node).type.axes;
    std::ranges::sort(plain);
    const bool itself = stored.name.empty() || (!stored.stated && stored.name == output.name);
    return fmt::format("out {}{} = {}\n", output.name,
                       output.layout == plain ? "" : bracketed(output.layout),
                       itself ? stored.expression.text : stored.name);
  }

  std::string extent(const Extent& terms) const {
    using Kind = ExtentTerm::Kind;
    std::vector<Text> stack;
    for (const ExtentTerm& term : terms) {
      if (term.kind == Kind::Number) {
        stack.push_back({fmt::format("{}", term.number)});
      } else if (term.kind == Kind::Axis) {
        stack.push_back({axis_name(term.axis)});
      } else if (stack.size() > 1) {
        const bool sum = term.kind == Kind::Add || term.kind == Kind::Sub;
        const int level = sum ? 3 : 4;
        const char symbol = term.kind == Kind::Add   ? '+'
                            : term.kind == Kind::Sub ? '-'
                            : term.kind == Kind::Mul ? '*'
                                                     : '/';
        const Text right = std::move(stack.back());
        stack.pop_back();
        stack.back() = {fmt::format("{} {} {}", stack.back().at_level(level), symbol,
                                    right.at_level(level + 1)),
                        level};
      }
    }
    return stack.empty() ? "?" : stack.back().text;
  }

  std::string axes() const {
    std::string all, line;
    for (const Axis& axis : graph_.axes) {
      std::string one = axis.name;
      if (!axis.extent.empty()) one += " = " + extent(axis.extent);
      if (axis.degree != kNone) one += " < " + reference(axis.degree);
      if (!line.empty() && line.size() + one.size() + 2 > kLineLength)
        all += std::exchange(line, "") + "\n";
      line += (line.empty() ? "axis " : ", ") + one;
    }
    return line.empty() ? all : all + line + "\n";
  }

  std::string reference(NodeId id) const {
    if (!exists(id)) return fmt::format("?{}", id);
    return state(id).name.empty() ? state(id).expression.text : state(id).name;
  }

  std::string print(const Kernel& kernel) const {
    std::vector<std::string> results;
    for (NodeId result : kernel.results) results.push_back(reference(result));
    std::string line =
        fmt::format("kernel {}({})", is_identifier(kernel.name) ? kernel.name : quote(kernel.name),
                    fmt::join(results, ", "));
    if (kernel.row != kNone || kernel.column != kNone)
      line += " over " + (kernel.row == kNone ? "_" : axis_name(kernel.row));
    if (kernel.column != kNone) line += ", " + axis_name(kernel.column);
    if (kernel.visible != kNone) line += " visible=" + reference(kernel.visible);
    if (kernel.solid != kNone) line += " solid=" + reference(kernel.solid);
    if (kernel.row_tile != 0) line += fmt::format(" rows={}", kernel.row_tile);
    if (kernel.column_block != 0) line += fmt::format(" columns={}", kernel.column_block);
    if (kernel.chunk != 0) line += fmt::format(" chunk={}", kernel.chunk);
    if (kernel.lanes == Lanes::Columns) line += " lanes=columns";
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
