#include "passes/masked_value.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "ir/element.h"
#include "ir/query.h"

namespace fovea::passes {
namespace {

using ir::Fn;
using ir::NodeId;
using ir::ReduceFn;
using Value = std::optional<double>;  // the same number at every element in question, or unknown

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool is(const Value& value, double number) { return value && *value == number; }
bool is_infinite(const Value& value) { return value && std::isinf(*value); }

// The functions of numbers that masks meet; the others are unknown.
Value compute(Fn fn, std::span<const Value> x) {
  const double a = *x[0], b = x.size() > 1 ? *x[1] : 0;
  switch (fn) {
    case Fn::Add: return a + b;
    case Fn::Sub: return a - b;
    case Fn::Mul: return a == 0 || b == 0 ? 0 : a * b;
    case Fn::Min: return std::min(a, b);
    case Fn::Max: return std::max(a, b);
    case Fn::Eq: return a == b;
    case Fn::Ne: return a != b;
    case Fn::Lt: return a < b;
    case Fn::Le: return a <= b;
    case Fn::Gt: return a > b;
    case Fn::Ge: return a >= b;
    case Fn::And: return a != 0 && b != 0;
    case Fn::Or: return a != 0 || b != 0;
    case Fn::Neg: return -a;
    case Fn::Not: return a == 0;
    case Fn::Abs: return std::abs(a);
    case Fn::Exp: return std::exp(a);
    case Fn::Exp2: return std::exp2(a);
    case Fn::Log: return std::log(a);
    case Fn::Log1p: return std::log1p(a);
    case Fn::Sqrt: return std::sqrt(a);
    case Fn::Tanh: return std::tanh(a);
    case Fn::Sigmoid: return 1 / (1 + std::exp(-a));
    case Fn::Relu: return a < 0 ? 0 : a;
    case Fn::Elu: return a < 0 ? std::expm1(a) : a;
    case Fn::LeakyRelu: return a < 0 ? b * a : a;
    case Fn::Erf: return std::erf(a);
    case Fn::Sin: return std::isinf(a) ? Value() : std::sin(a);
    case Fn::Atan: return std::atan(a);
    case Fn::Floor: return std::floor(a);
    case Fn::Round: return std::nearbyint(a);
    case Fn::Where: return a != 0 ? x[1] : x[2];
    case Fn::Div:
    case Fn::Mod:
    case Fn::Pow:
    case Fn::Rsqrt:
    case Fn::Gelu:
    case Fn::Cos:
    case Fn::Asin:
    case Fn::Acos:
    case Fn::Acosh:
    case Fn::Atanh:
    case Fn::Cast: return std::nullopt;
  }
  return std::nullopt;
}

// Integers wrap around.
Value compute_integer(Fn fn, std::span<const Value> x) {
  std::array<double, 3> numbers{};
  std::array<const double*, 3> in{};
  for (std::size_t n = 0; n < x.size(); ++n) {
    numbers[n] = *x[n];
    in[n] = &numbers[n];
  }
  double result = 0;
  ir::apply({fn, ir::Dtype::I32}, in, &result, 1);
  return result;
}

Value cast(ir::Dtype to, const Value& x) {
  if (!x) return x;
  if (to == ir::Dtype::Bool) return *x != 0;
  const bool exact = *x == 0 || *x == 1 || (ir::is_float(to) && !std::isfinite(*x));
  return exact || to == ir::Dtype::F32 ? x : std::nullopt;
}

// The result where not all operands are known.
Value compute_partly(Fn fn, std::span<const Value> x) {
  const auto either = [&](double number) -> Value {
    return is(x[0], number) || is(x[1], number) ? Value(number) : std::nullopt;
  };
  switch (fn) {
    case Fn::Add: return is_infinite(x[0]) ? x[0] : is_infinite(x[1]) ? x[1] : std::nullopt;
    case Fn::Sub:
      if (is_infinite(x[0])) return x[0];
      return is_infinite(x[1]) ? Value(-*x[1]) : std::nullopt;
    case Fn::Mul: return either(0);
    case Fn::Div: return is(x[0], 0) ? x[0] : std::nullopt;
    case Fn::Min: return either(-kInfinity);
    case Fn::Max: return either(kInfinity);
    case Fn::And: return either(0);
    case Fn::Or: return either(1);
    case Fn::LeakyRelu: return is(x[0], 0) ? x[0] : std::nullopt;
    case Fn::Where:
      if (x[0]) return *x[0] != 0 ? x[1] : x[2];
      return x[1] && is(x[2], *x[1]) ? x[1] : std::nullopt;
    default: return std::nullopt;
  }
}

// What a fold along an axis that is not the plane's gives; the axis may be empty.
Value fold(ReduceFn fn, ir::Dtype dtype, const Value& x) {
  const bool is_bool = dtype == ir::Dtype::Bool;
  switch (fn) {
    case ReduceFn::Sum: return is(x, 0) ? x : std::nullopt;
    case ReduceFn::Max: return is(x, is_bool ? 0 : -kInfinity) ? x : std::nullopt;
    case ReduceFn::Min: return is(x, is_bool ? 1 : kInfinity) ? x : std::nullopt;
    case ReduceFn::ArgMax: return std::nullopt;
  }
  return std::nullopt;
}

Value identity(ReduceFn fn, ir::Dtype dtype) {
  const bool is_bool = dtype == ir::Dtype::Bool;
  switch (fn) {
    case ReduceFn::Sum: return 0;
    case ReduceFn::Max:
      return is_bool ? Value(0) : ir::is_float(dtype) ? Value(-kInfinity) : Value();
    case ReduceFn::Min:
      return is_bool ? Value(1) : ir::is_float(dtype) ? Value(kInfinity) : Value();
    case ReduceFn::ArgMax: return -1;
  }
  return std::nullopt;
}

bool is_along_plane(const ir::Kernel& kernel, ir::AxisId axis) {
  return axis == kernel.row || axis == kernel.column;
}

// The values of all nodes that a kernel computes, under one assumption.
class Evaluation {
 public:
  Evaluation(const ir::Graph& graph, const ir::Kernel& kernel)
      : graph_(graph), kernel_(kernel), inside_(computed_inside(graph, kernel)) {}

  // In a row (or column) of which every element is excluded: reductions of the plane are over
  // nothing.
  std::vector<Value> in_empty_rows() {
    exclusions_ = {};
    empty_rows_ = true;
    return run();
  }
  // Where all of these apply.
  std::vector<Value> where(std::span<const Exclusion> exclusions) {
    exclusions_ = exclusions;
    empty_rows_ = false;
    return run();
  }
  // Operands that were taken to be finite: of a sum with an infinity, or as the divisor of 0.
  const std::vector<std::pair<NodeId, Fn>>& presumed() const { return presumed_; }

 private:
  std::vector<Value> run();
  Value value(const ir::Node& node);
  Value map(const ir::Map& op, const ir::Node& node);
  Value read(const ir::Read& op, const ir::Node& node) const;
  Value reduce(const ir::Reduce& op, const ir::Node& node) const;
  const Value& at(NodeId id) const { return values_[static_cast<std::size_t>(id)]; }

  const ir::Graph& graph_;
  const ir::Kernel& kernel_;
  std::vector<bool> inside_;
  std::span<const Exclusion> exclusions_;
  bool empty_rows_ = false;
  std::vector<Value> values_;
  std::vector<std::pair<NodeId, Fn>> presumed_;
};

std::vector<Value> Evaluation::run() {
  values_.assign(graph_.nodes.size(), std::nullopt);
  presumed_.clear();
  for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); ++id) {
    const auto k = static_cast<std::size_t>(id);
    const auto set = std::ranges::find(exclusions_, id, &Exclusion::condition);
    if (set != exclusions_.end()) {
      values_[k] = set->value ? 1 : 0;
    } else if (inside_[k]) {
      values_[k] = value(graph_.node(id));
    }
  }
  return values_;
}

Value Evaluation::value(const ir::Node& node) {
  return ir::match(
      node.op, [](const ir::Input&) { return Value(); },
      [](const ir::Constant& op) { return Value(op.value); },
      [](const ir::Index&) { return Value(); }, [&](const ir::Map& op) { return map(op, node); },
      [&](const ir::Reduce& op) { return reduce(op, node); },
      [](const ir::Scan&) { return Value(); }, [&](const ir::Read& op) { return read(op, node); },
      [](const ir::TopK&) { return Value(); });
}

Value Evaluation::map(const ir::Map& op, const ir::Node& node) {
  if (op.fn == Fn::Cast) return cast(node.type.dtype, at(node.inputs[0]));
  std::array<Value, 3> operands;
  const std::span<const Value> x(operands.data(), node.inputs.size());
  bool all = true;
  for (std::size_t n = 0; n < node.inputs.size(); ++n) {
    operands[n] = at(node.inputs[n]);
    all = all && operands[n].has_value();
  }
  if (all && node.type.dtype == ir::Dtype::I32) return compute_integer(op.fn, x);
  if (all && op.fn == Fn::Div) return *x[0] / *x[1];
  if (all) return compute(op.fn, x);
  const Value result = compute_partly(op.fn, x);
  if (result && (op.fn == Fn::Add || op.fn == Fn::Sub || op.fn == Fn::Div)) {
    presumed_.emplace_back(node.inputs[x[0] ? 1 : 0], op.fn);
  }
  return result;
}

Value Evaluation::reduce(const ir::Reduce& op, const ir::Node& node) const {
  const ir::Type& of = graph_.node(node.inputs[0]).type;
  if (is_along_plane(kernel_, op.axis)) {
    // Along the plane other elements join in, of which nothing is known.
    return empty_rows_ && is_on_plane(kernel_, of) ? identity(op.fn, of.dtype) : std::nullopt;
  }
  return fold(op.fn, of.dtype, at(node.inputs[0]));
}

// At other coordinates the exclusions need not apply, unless they do not vary along them.
Value Evaluation::read(const ir::Read& op, const ir::Node& node) const {
  Value result = at(node.inputs[0]);
  std::size_t next = 1;
  for (const ir::Read::Coordinate& coordinate : op.at) {
    const bool varies = std::ranges::any_of(exclusions_, [&](const Exclusion& each) {
      return graph_.node(each.condition).type.has(coordinate.axis);
    });
    if (varies || is_along_plane(kernel_, coordinate.axis)) return std::nullopt;
    const Value outside = coordinate.otherwise ? at(node.inputs[next + 1]) : Value(0);
    if (!result || !outside || *result != *outside) result = std::nullopt;
    next += coordinate.otherwise ? 2 : 1;
  }
  return result;
}

// What a reduction of the plane may be given without its result changing.
bool is_neutral(const ir::Graph& graph, NodeId reduction, const std::vector<Value>& values) {
  const ir::Node& node = graph.node(reduction);
  const NodeId of = node.inputs[0];
  const Value& x = values[static_cast<std::size_t>(of)];
  const auto* reduce = ir::reduce_of(node);
  if (reduce != nullptr) {
    return fold(reduce->fn, graph.node(of).type.dtype, x).has_value();
  }
  return is(x, ir::is_topk(node) ? -kInfinity : 0);
}

}  // namespace

std::vector<bool> computed_inside(const ir::Graph& graph, const ir::Kernel& kernel) {
  std::vector<bool> inside(graph.nodes.size(), false), stored(graph.nodes.size(), false);
  for (const ir::Kernel& other : graph.kernels) {
    for (const NodeId id : other.results) stored[static_cast<std::size_t>(id)] = true;
  }
  for (const NodeId id : kernel.results) {
    inside[static_cast<std::size_t>(id)] = true;
    stored[static_cast<std::size_t>(id)] = false;
  }
  for (std::size_t k = graph.nodes.size(); k-- > 0;) {
    if (!inside[k]) continue;
    for (const NodeId input : graph.nodes[k].inputs) {
      const auto in = static_cast<std::size_t>(input);
      const bool is_input = ir::is_input(graph.nodes[in]);
      if (!is_input && !stored[in]) inside[in] = true;
    }
  }
  return inside;
}

bool is_on_plane(const ir::Kernel& kernel, const ir::Type& type) {
  return type.has(kernel.row) && type.has(kernel.column);
}

std::vector<NodeId> plane_reductions(const ir::Graph& graph, const ir::Kernel& kernel) {
  const std::vector<bool> inside = computed_inside(graph, kernel);
  std::vector<NodeId> found;
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id) {
    const ir::Node& node = graph.node(id);
    if (!inside[static_cast<std::size_t>(id)] || node.inputs.empty()) continue;
    if (!is_on_plane(kernel, graph.node(node.inputs[0]).type)) continue;
    const ir::AxisId along = ir::match(
        node.op, [](const ir::Input&) { return ir::kNone; },
        [](const ir::Constant&) { return ir::kNone; }, [](const ir::Index&) { return ir::kNone; },
        [](const ir::Map&) { return ir::kNone; }, [](const ir::Reduce& op) { return op.axis; },
        [](const ir::Scan& op) { return op.axis; }, [](const ir::Read&) { return ir::kNone; },
        [](const ir::TopK& op) { return op.axis; });
    if (along != ir::kNone && is_along_plane(kernel, along)) found.push_back(id);
  }
  return found;
}

bool contributes_nothing(const ir::Graph& graph, const ir::Kernel& kernel,
                         std::span<const Exclusion> exclusions, NodeId* blames) {
  Evaluation evaluation(graph, kernel);
  const std::vector<Value> values = evaluation.where(exclusions);
  const auto presumed = evaluation.presumed();
  for (const NodeId reduction : plane_reductions(graph, kernel)) {
    if (is_neutral(graph, reduction, values)) continue;
    if (blames != nullptr) *blames = reduction;
    return false;
  }
  for (const NodeId result : kernel.results) {
    if (!is_on_plane(kernel, graph.node(result).type)) continue;
    if (is(values[static_cast<std::size_t>(result)], 0)) continue;
    if (blames != nullptr) *blames = result;
    return false;
  }
  const std::vector<Value> empty = evaluation.in_empty_rows();
  for (const auto& [operand, fn] : presumed) {
    const Value& x = empty[static_cast<std::size_t>(operand)];
    if (!x || (std::isfinite(*x) && (fn != Fn::Div || *x != 0))) continue;
    const bool all_nan = std::ranges::all_of(kernel.results, [&](NodeId result) {
      const Value& r = empty[static_cast<std::size_t>(result)];
      return r && std::isnan(*r);
    });
    if (blames != nullptr) *blames = operand;
    if (!all_nan) return false;
  }
  return true;
}

}  // namespace fovea::passes
