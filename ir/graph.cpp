#include "ir/graph.h"

#include <algorithm>
#include <bit>

namespace fovea::ir {
namespace {

struct FnInfo {
  std::string_view name;
  int arity;
};

constexpr FnInfo kFns[] = {
    {"+", 2},     {"-", 2},    {"*", 2},     {"/", 2},     {"%", 2},          {"pow", 2},
    {"min", 2},   {"max", 2},  {"==", 2},    {"!=", 2},    {"<", 2},          {"<=", 2},
    {">", 2},     {">=", 2},   {"&&", 2},    {"||", 2},    {"leaky_relu", 2}, {"where", 3},
    {"-", 1},     {"!", 1},    {"abs", 1},   {"exp", 1},   {"exp2", 1},       {"log", 1},
    {"log1p", 1}, {"sqrt", 1}, {"rsqrt", 1}, {"tanh", 1},  {"sigmoid", 1},    {"relu", 1},
    {"elu", 1},   {"gelu", 1}, {"erf", 1},   {"sin", 1},   {"cos", 1},        {"asin", 1},
    {"acos", 1},  {"atan", 1}, {"acosh", 1}, {"atanh", 1}, {"floor", 1},      {"round", 1},
    {"cast", 1}};

}  // namespace

std::string_view name(Fn fn) { return kFns[static_cast<std::size_t>(fn)].name; }
int arity(Fn fn) { return kFns[static_cast<std::size_t>(fn)].arity; }

std::string_view name(ReduceFn fn) {
  constexpr std::string_view kNames[] = {"sum", "max", "min", "argmax"};
  return kNames[static_cast<std::size_t>(fn)];
}

bool is_transcendental(Fn fn) {
  switch (fn) {
    case Fn::Pow:
    case Fn::Exp:
    case Fn::Exp2:
    case Fn::Log:
    case Fn::Log1p:
    case Fn::Tanh:
    case Fn::Sigmoid:
    case Fn::Elu:
    case Fn::Gelu:
    case Fn::Erf:
    case Fn::Sin:
    case Fn::Cos:
    case Fn::Asin:
    case Fn::Acos:
    case Fn::Atan:
    case Fn::Acosh:
    case Fn::Atanh: return true;
    default: return false;
  }
}

bool Constant::operator==(const Constant& other) const {
  return std::bit_cast<std::uint64_t>(value) == std::bit_cast<std::uint64_t>(other.value);
}

bool Type::has(AxisId axis) const { return std::ranges::find(axes, axis) != axes.end(); }

AxisId find_axis(const Graph& graph, std::string_view name) {
  const auto at = std::ranges::find(graph.axes, name, &Axis::name);
  return at == graph.axes.end() ? kNone : static_cast<AxisId>(at - graph.axes.begin());
}

}  // namespace fovea::ir
