#include "ir/expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "ir/query.h"

namespace fovea::ir {
namespace {

int level_of(Fn fn) {
  switch (fn) {
    case Fn::Or: return 0;
    case Fn::And: return 1;
    case Fn::Eq:
    case Fn::Ne:
    case Fn::Lt:
    case Fn::Le:
    case Fn::Gt:
    case Fn::Ge: return 2;
    case Fn::Add:
    case Fn::Sub: return 3;
    case Fn::Mul:
    case Fn::Div:
    case Fn::Mod: return 4;
    default: return kPostfixLevel;
  }
}

const Node* input_of(const Graph& graph, const Node& node) {
  if (node.inputs.empty() || node.inputs[0] < 0) return nullptr;
  const auto first = static_cast<std::size_t>(node.inputs[0]);
  return first < graph.nodes.size() ? &graph.nodes[first] : nullptr;
}

bool is_size(const Graph& graph, const Node& node) {
  const auto* reduce = reduce_of(node);
  const Node* of = input_of(graph, node);
  if (reduce == nullptr || reduce->fn != ReduceFn::Sum || of == nullptr) return false;
  return is_number(*of, 1) && of->type.dtype == Dtype::I32;
}

std::string number(const Constant& constant, Dtype dtype) {
  if (dtype == Dtype::I32) return fmt::format("{:.0f}", constant.value);
  // fmt writes the fewest digits that read back exactly, and the sign also of a NaN.
  std::string digits = fmt::format("{}", constant.value);
  if (std::isfinite(constant.value) && digits.find_first_of(".e") == std::string::npos)
    digits += ".0";
  return digits;
}

class Writer {
 public:
  Writer(const Graph& graph, NodeId id, const WriteOperand& operand)
      : graph_(graph), node_(graph.node(id)), operand_(operand) {}

  Expression run() const {
    return match(
        node_.op, [](const Input& op) { return Expression{op.name}; },
        [&](const Constant& op) { return constant(op); },
        [&](const Index& op) { return Expression{axis(op.axis)}; },
        [&](const Map& op) { return map(op.fn); }, [&](const Reduce& op) { return reduce(op); },
        [&](const Scan& op) { return call("cumsum", {axis(op.axis)}); },
        [&](const Read& op) { return read(op); },
        [&](const TopK& op) {
          return call("topk", {axis(op.axis), axis(op.into)});
        });
  }

 private:
  std::string axis(AxisId id) const { return express_axis(graph_, id); }

  Expression constant(const Constant& op) const {
    if (node_.type.dtype == Dtype::Bool) return {op.value != 0 ? "true" : "false"};
    std::string digits = number(op, node_.type.dtype);
    const int level = digits.starts_with('-') ? kUnaryLevel : kPostfixLevel;
    return {std::move(digits), level, 0, true};
  }

  Expression call(std::string_view function, std::vector<std::string> arguments) const {
    int height = 0;
    for (std::size_t k = 0; k < node_.inputs.size(); ++k) {
      const Expression input = operand_(k);
      height = std::max(height, input.height);
      arguments.push_back(input.text);
    }
    return {fmt::format("{}({})", function, fmt::join(arguments, ", ")), kPostfixLevel, height + 1};
  }

  Expression map(Fn fn) const {
    if (fn == Fn::Cast) return call(name(node_.type.dtype), {});
    if (fn == Fn::Neg || fn == Fn::Not) return unary(fn);
    const int level = level_of(fn);
    if (level == kPostfixLevel) return call(name(fn), {});
    const Expression left = operand_(0), right = operand_(1);
    // Mathematics would read a < b == c as two comparisons.
    const int left_least = level == level_of(Fn::Lt) ? level + 1 : level;
    return {fmt::format("{} {} {}", left.at_level(left_least), name(fn), right.at_level(level + 1)),
            level, std::max(left.height, right.height) + 1};
  }

  Expression unary(Fn fn) const {
    const Expression x = operand_(0);
    // A minus sign right before digits would be part of the number.
    const bool apart = fn == Fn::Neg && x.is_number;
    return {fmt::format("{}{}", name(fn), apart ? "(" + x.text + ")" : x.at_level(kUnaryLevel)),
            kUnaryLevel, x.height + 1};
  }

  Expression reduce(const Reduce& op) const {
    if (is_size(graph_, node_)) return {fmt::format("size({})", axis(op.axis))};
    const Node* of = input_of(graph_, node_);
    const bool logical = of != nullptr && of->type.dtype == Dtype::Bool;
    std::string_view function = name(op.fn);
    if (logical && op.fn == ReduceFn::Max) function = "any";
    if (logical && op.fn == ReduceFn::Min) function = "all";
    return call(function, {axis(op.axis)});
  }

  Expression read(const Read& op) const {
    const Expression of = operand_(0);
    int height = of.height;
    std::vector<std::string> all;
    std::size_t next = 1;
    for (const Read::Coordinate& at : op.at) {
      const Expression coordinate = operand_(next++);
      height = std::max(height, coordinate.height);
      std::string one = fmt::format("{} = {}", axis(at.axis), coordinate.text);
      if (at.otherwise) {
        const Expression otherwise = operand_(next++);
        height = std::max(height, otherwise.height);
        one += " else " + otherwise.text;
      }
      all.push_back(std::move(one));
    }
    return {fmt::format("{}[{}]", of.at_level(kPostfixLevel), fmt::join(all, ", ")), kPostfixLevel,
            height + 1};
  }

  const Graph& graph_;
  const Node& node_;
  const WriteOperand& operand_;
};

}  // namespace

Expression express(const Graph& graph, NodeId id, const WriteOperand& operand) {
  return Writer(graph, id, operand).run();
}

std::string express(const Graph& graph, const Extent& extent) {
  using Kind = ExtentTerm::Kind;
  constexpr std::string_view kSymbols = "  +-*/";  // by Kind
  std::vector<Expression> stack;
  for (const ExtentTerm& term : extent) {
    if (term.kind == Kind::Number) {
      stack.push_back({fmt::format("{}", term.number)});
    } else if (term.kind == Kind::Axis) {
      stack.push_back({express_axis(graph, term.axis)});
    } else if (stack.size() > 1) {
      const bool is_sum = term.kind == Kind::Add || term.kind == Kind::Sub;
      const int level = level_of(is_sum ? Fn::Add : Fn::Mul);
      const Expression right = std::move(stack.back());
      stack.pop_back();
      stack.back() = {
          fmt::format("{} {} {}", stack.back().at_level(level),
                      kSymbols[static_cast<std::size_t>(term.kind)], right.at_level(level + 1)),
          level};
    }
  }
  return stack.empty() ? "?" : stack.back().text;
}

std::string express(const Graph& graph, const Type& type) {
  return fmt::format("{}{}", name(type.dtype), express(graph, type.axes));
}

std::string express(const Graph& graph, const std::vector<AxisId>& axes) {
  std::vector<std::string> names;
  for (AxisId axis : axes) names.push_back(express_axis(graph, axis));
  return fmt::format("[{}]", fmt::join(names, ", "));
}

std::string express_axis(const Graph& graph, AxisId axis) {
  const bool exists = axis >= 0 && static_cast<std::size_t>(axis) < graph.axes.size();
  return exists ? graph.axis(axis).name : "?";
}

bool is_leaf(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  return is_constant(node) || is_index(node) || is_size(graph, node);
}

}  // namespace fovea::ir
