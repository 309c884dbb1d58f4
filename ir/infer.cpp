#include "ir/infer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "ir/require.h"

namespace fovea::ir {
namespace {

using AxisSet = std::vector<AxisId>;

AxisSet sorted(AxisSet axes) {
  std::ranges::sort(axes);
  return axes;
}

void add(AxisSet& axes, const AxisSet& more) {
  AxisSet both;
  std::ranges::set_union(axes, sorted(more), std::back_inserter(both));
  axes = std::move(both);
}

// A ragged axis has an end at each point of its degree, so what looks for that end varies along it.
void add_degree(const Known& known, AxisSet& axes, AxisId ragged) {
  const NodeId degree = known.axis(ragged).degree;
  if (degree != kNone) add(axes, known.node(degree).type.axes);
}

Dtype map_dtype(Fn fn, std::span<const Dtype> of, Dtype dtype) {
  const auto number = [](Dtype a, Dtype b) {
    return is_float(a) || is_float(b) ? Dtype::F32 : Dtype::I32;
  };
  switch (fn) {
    case Fn::Add:
    case Fn::Sub:
    case Fn::Mul:
    case Fn::Div:
    case Fn::Mod:
    case Fn::Min:
    case Fn::Max: return number(of[0], of[1]);
    case Fn::Eq:
    case Fn::Ne:
    case Fn::Lt:
    case Fn::Le:
    case Fn::Gt:
    case Fn::Ge:
    case Fn::And:
    case Fn::Or:
    case Fn::Not: return Dtype::Bool;
    case Fn::Where: return unify(of[1], of[2]);
    case Fn::Neg:
    case Fn::Abs:
    case Fn::Relu:
    case Fn::Floor:
    case Fn::Round: return number(of[0], of[0]);
    case Fn::Cast: return dtype;
    case Fn::Pow:
    case Fn::LeakyRelu:
    case Fn::Exp:
    case Fn::Exp2:
    case Fn::Log:
    case Fn::Log1p:
    case Fn::Sqrt:
    case Fn::Rsqrt:
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
    case Fn::Atanh: return Dtype::F32;
  }
  return Dtype::F32;
}

Type map_type(const Known& known, const Map& op, std::span<const NodeId> inputs, Dtype dtype) {
  Type type;
  std::vector<Dtype> of;
  for (const NodeId input : inputs) {
    of.push_back(known.node(input).type.dtype);
    add(type.axes, known.node(input).type.axes);
  }
  type.dtype = map_dtype(op.fn, of, dtype);
  return type;
}

Type reduce_type(const Known& known, const Reduce& op, const Type& x) {
  Type type{computed(x.dtype), sorted(x.axes)};
  if (op.fn == ReduceFn::ArgMax || (op.fn == ReduceFn::Sum && type.dtype == Dtype::Bool)) {
    type.dtype = Dtype::I32;
  }
  std::erase(type.axes, op.axis);
  add_degree(known, type.axes, op.axis);
  return type;
}

Type scan_type(const Scan& op, const Type& x) {
  Type type{is_float(x.dtype) ? Dtype::F32 : Dtype::I32, sorted(x.axes)};
  add(type.axes, {op.axis});
  return type;
}

Type read_type(const Known& known, const Read& op, std::span<const NodeId> inputs) {
  const Type& x = known.node(inputs[0]).type;
  Type type{x.dtype, sorted(x.axes)};
  for (const Read::Coordinate& at : op.at) add_degree(known, type.axes, at.axis);
  for (const Read::Coordinate& at : op.at) std::erase(type.axes, at.axis);
  std::size_t next = 1;
  for (const Read::Coordinate& at : op.at) {
    const NodeId coordinate = inputs[next++];
    const Type& found = known.node(coordinate).type;
    require(is_integer(found.dtype), Code::invalid_config,
            "the coordinate of axis {} in a read of {} is {}, found {}; expected an integer",
            known.axis(at.axis).name, known.call(inputs[0]), known.call(coordinate),
            name(found.dtype));
    add(type.axes, found.axes);
    if (!at.otherwise) continue;
    const Type& otherwise = known.node(inputs[next++]).type;
    type.dtype = unify(type.dtype, otherwise.dtype);
    add(type.axes, otherwise.axes);
  }
  return type;
}

Type topk_type(const Known& known, const TopK& op, const Type& x) {
  Type type{Dtype::I32, sorted(x.axes)};
  require(op.axis != op.into, Code::invalid_config,
          "topk along {0} gives coordinates over {0}; expected another axis",
          known.axis(op.axis).name);
  require(!x.has(op.into), Code::dimension_mismatch,
          "topk along {} into {}: the value already varies along {}", known.axis(op.axis).name,
          known.axis(op.into).name, known.axis(op.into).name);
  std::erase(type.axes, op.axis);
  add_degree(known, type.axes, op.axis);
  add(type.axes, {op.into});
  return type;
}

}  // namespace

Dtype computed(Dtype dtype) {
  if (is_float(dtype)) return Dtype::F32;
  return dtype == Dtype::Bool ? Dtype::Bool : Dtype::I32;
}

Dtype unify(Dtype a, Dtype b) {
  if (is_float(a) || is_float(b)) return Dtype::F32;
  return a == Dtype::Bool && b == Dtype::Bool ? Dtype::Bool : Dtype::I32;
}

std::size_t input_count(const Op& op) {
  return match(
      op, [](const Input&) -> std::size_t { return 0; },
      [](const Constant&) -> std::size_t { return 0; },
      [](const Index&) -> std::size_t { return 0; },
      [](const Map& map) { return static_cast<std::size_t>(arity(map.fn)); },
      [](const Reduce&) -> std::size_t { return 1; }, [](const Scan&) -> std::size_t { return 1; },
      [](const Read& read) {
        const auto otherwise = std::ranges::count(read.at, true, &Read::Coordinate::otherwise);
        return 1 + read.at.size() + static_cast<std::size_t>(otherwise);
      },
      [](const TopK&) -> std::size_t { return 1; });
}

std::string Known::call(NodeId id) const {
  const Node& found = node(id);
  if (!found.name.empty()) return found.name;
  return match(
      found.op, [](const Input& op) { return op.name; },
      [](const Constant& op) { return fmt::format("{}", op.value); },
      [&](const Index& op) { return axis(op.axis).name; },
      [](const Map& op) { return fmt::format("the result of '{}'", name(op.fn)); },
      [&](const Reduce& op) {
        return fmt::format("the {} along {}", name(op.fn), axis(op.axis).name);
      },
      [&](const Scan& op) { return fmt::format("the cumsum along {}", axis(op.axis).name); },
      [&](const Read&) { return fmt::format("a read of {}", call(found.inputs[0])); },
      [&](const TopK& op) { return fmt::format("the topk along {}", axis(op.axis).name); });
}

Type infer(const Known& known, const Op& op, std::span<const NodeId> inputs, Dtype dtype) {
  const auto x = [&]() -> const Type& { return known.node(inputs[0]).type; };
  return match(
      op,
      [](const Input&) -> Type {
        invariant(false, "an op does not tell the layout of an input");
        return {};
      },
      [&](const Constant&) {
        return Type{dtype, {}};
      },
      [](const Index& index) {
        return Type{Dtype::I32, {index.axis}};
      },
      [&](const Map& map) { return map_type(known, map, inputs, dtype); },
      [&](const Reduce& reduce) { return reduce_type(known, reduce, x()); },
      [&](const Scan& scan) { return scan_type(scan, x()); },
      [&](const Read& read) { return read_type(known, read, inputs); },
      [&](const TopK& topk) { return topk_type(known, topk, x()); });
}

}  // namespace fovea::ir
