// ir/expression.h — one op as an expression of the text form, given how to write its inputs.
#pragma once

#include <functional>
#include <string>

#include "ir/graph.h"

namespace fovea::ir {

// How tightly an expression binds: 0 to 4 are binary operators, loosest first, as in the grammar.
constexpr int kUnaryLevel = 5;
constexpr int kPostfixLevel = 6;

struct Expression {
  std::string text;
  int level = kPostfixLevel;
  int height = 0;          // of the tree below it, as far as it is written out
  bool is_number = false;  // digits, inf or nan, with or without a sign

  // In parentheses if it binds more loosely than that.
  std::string at_level(int least) const { return level < least ? "(" + text + ")" : text; }
};

using WriteOperand = std::function<Expression(std::size_t which)>;

// The op of the node over its operands. Tolerates graphs that are wrong, for messages about them:
// axes that do not exist are `?`.
Expression express(const Graph& graph, NodeId id, const WriteOperand& operand);

// Sums and products of integers and axes.
std::string express(const Graph& graph, const Extent& extent);

// "f32[b, i]"
std::string express(const Graph& graph, const Type& type);

// "[b, i]"
std::string express(const Graph& graph, const std::vector<AxisId>& axes);
std::string express_axis(const Graph& graph, AxisId axis);

// A number, an index or a size: shorter than any name for it.
bool is_leaf(const Graph& graph, NodeId id);

}  // namespace fovea::ir
