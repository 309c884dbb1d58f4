#include "codegen/predicate.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ir/query.h"
#include "ir/require.h"

namespace fovea::codegen {
namespace {

using ir::AxisId;
using ir::Dtype;
using ir::Fn;
using ir::NodeId;
using Kind = runtime::PredicateOp::Kind;

// Reads elsewhere copy the code of their coordinates; longer code than this is not worth running.
// Lists of some hundred ranges are shorter.
constexpr std::size_t kLongest = 10000;

struct Code {
  runtime::Predicate ops;
  bool is_ranged = false;  // differs within a rectangle
  bool decided = true;
};
using Maybe = std::optional<Code>;

Code leaf(Kind kind, std::int64_t value = 0) {
  const bool is_unknown = kind == Kind::unknown;
  return {{{kind, value}}, kind == Kind::row || kind == Kind::column || is_unknown, !is_unknown};
}

Code number(std::int64_t value) { return leaf(Kind::constant, value); }

Maybe apply(Kind kind, std::initializer_list<Maybe> operands, std::int64_t value = 0) {
  Code result;
  for (const Maybe& operand : operands) {
    if (!operand) return std::nullopt;
    result.ops.insert(result.ops.end(), operand->ops.begin(), operand->ops.end());
    result.is_ranged = result.is_ranged || operand->is_ranged;
    result.decided = result.decided && operand->decided;
  }
  result.ops.push_back({kind, value});
  if (result.ops.size() > kLongest) return std::nullopt;
  return result;
}

bool is_only(const Code& code, Kind kind) {
  return code.ops.size() == 1 && code.ops[0].kind == kind;
}

bool is_whole_number(Dtype dtype) { return dtype == Dtype::Bool || ir::is_integer(dtype); }

// The kind of a function of two numbers, or of bools.
std::optional<Kind> binary(Fn fn) {
  switch (fn) {
    case Fn::Add: return Kind::add;
    case Fn::Sub: return Kind::sub;
    case Fn::Mul: return Kind::mul;
    case Fn::Div: return Kind::div;
    case Fn::Mod: return Kind::mod;
    case Fn::Min: return Kind::min;
    case Fn::Max: return Kind::max;
    case Fn::Eq: return Kind::eq;
    case Fn::Ne: return Kind::ne;
    case Fn::Lt:
    case Fn::Gt: return Kind::lt;
    case Fn::Le:
    case Fn::Ge: return Kind::le;
    case Fn::And: return Kind::logical_and;
    case Fn::Or: return Kind::logical_or;
    default: return std::nullopt;
  }
}

Maybe cast(Dtype to, const Maybe& x) {
  const auto saturate = [&](std::int64_t low, std::int64_t high) {
    return apply(Kind::min, {apply(Kind::max, {x, number(low)}), number(high)});
  };
  if (to == Dtype::I32) return x;
  const runtime::DtypeRow& row = runtime::row(to);
  switch (row.kind) {
    case runtime::DtypeKind::real: return std::nullopt;
    case runtime::DtypeKind::integer: return saturate(row.min, row.max);
    case runtime::DtypeKind::truth: return apply(Kind::ne, {x, number(0)});
  }
  return std::nullopt;
}

// Translates nodes at given coordinates of their axes.
class Translator {
 public:
  Translator(const ir::Graph& graph, const Places& places, std::vector<Maybe> coordinates)
      : graph_(graph), places_(places), coordinates_(std::move(coordinates)) {}

  Maybe translate(NodeId id) {
    const auto known = memo_.find(id);
    if (known != memo_.end()) return known->second;
    const ir::Node& node = graph_.node(id);
    Maybe code = is_whole_number(node.type.dtype) || ir::is_constant(node)
                     ? stored_or_computed(id, node)
                     : std::nullopt;
    if (!code && node.type.dtype == Dtype::Bool) code = leaf(Kind::unknown);
    memo_.emplace(id, code);
    return code;
  }

 private:
  Maybe stored_or_computed(NodeId id, const ir::Node& node);
  Maybe load(const Places::Stored& stored, Dtype dtype) const;
  Maybe map(const ir::Map& op, const ir::Node& node);
  Maybe reduce(const ir::Reduce& op, const ir::Node& node) const;
  Maybe read(const ir::Read& op, const ir::Node& node);
  Maybe extent(AxisId axis) const;
  bool is_inside(NodeId coordinate, AxisId axis) const;
  const Maybe& coordinate(AxisId axis) const {
    return coordinates_[static_cast<std::size_t>(axis)];
  }

  const ir::Graph& graph_;
  const Places& places_;
  std::vector<Maybe> coordinates_;  // of each axis
  std::map<NodeId, Maybe> memo_;
};

Maybe Translator::stored_or_computed(NodeId id, const ir::Node& node) {
  if (const auto stored = places_.stored(id)) return load(*stored, node.type.dtype);
  return ir::match(
      node.op, [](const ir::Input&) { return Maybe(); },
      [](const ir::Constant& op) {
        // A float is understood where an integer is compared with it.
        const bool is_integer = op.value == std::floor(op.value) && std::abs(op.value) < 1e15;
        return is_integer ? Maybe(number(static_cast<std::int64_t>(op.value))) : std::nullopt;
      },
      [&](const ir::Index& op) { return coordinate(op.axis); },
      [&](const ir::Map& op) { return map(op, node); },
      [&](const ir::Reduce& op) { return reduce(op, node); },
      [](const ir::Scan&) { return Maybe(); }, [&](const ir::Read& op) { return read(op, node); },
      [](const ir::TopK&) { return Maybe(); });
}

Maybe Translator::load(const Places::Stored& stored, Dtype dtype) const {
  if (dtype == Dtype::I4) return std::nullopt;
  Code code;
  int ranged = 0;
  bool along_row = false, along_column = false;
  for (const AxisId axis : stored.axes) {
    const Maybe& at = coordinate(axis);
    if (!at) return std::nullopt;
    code.ops.insert(code.ops.end(), at->ops.begin(), at->ops.end());
    code.decided = code.decided && at->decided;
    ranged += at->is_ranged ? 1 : 0;
    along_row = along_row || is_only(*at, Kind::row);
    along_column = along_column || is_only(*at, Kind::column);
  }
  // The plane itself has too many elements in any rectangle.
  if (along_row && along_column) return std::nullopt;
  code.ops.push_back({Kind::load, stored.buffer});
  code.is_ranged = ranged > 0;
  code.decided = code.decided && ranged <= 1;
  return code;
}

Maybe Translator::map(const ir::Map& op, const ir::Node& node) {
  std::vector<Maybe> x;
  for (const NodeId input : node.inputs) x.push_back(translate(input));
  switch (op.fn) {
    case Fn::Cast:
      return is_whole_number(graph_.node(node.inputs[0]).type.dtype) ? cast(node.type.dtype, x[0])
                                                                     : std::nullopt;
    case Fn::Where: return apply(Kind::select, {x[0], x[1], x[2]});
    case Fn::Neg: return apply(Kind::neg, {x[0]});
    case Fn::Abs: return apply(Kind::abs, {x[0]});
    case Fn::Not: return apply(Kind::logical_not, {x[0]});
    case Fn::Gt:
    case Fn::Ge: return apply(*binary(op.fn), {x[1], x[0]});
    default: break;
  }
  const std::optional<Kind> kind = binary(op.fn);
  return kind ? apply(*kind, {x[0], x[1]}) : std::nullopt;
}

// Sizes, and any and all over an axis: over all of its coordinates at once.
Maybe Translator::reduce(const ir::Reduce& op, const ir::Node& node) const {
  const ir::Node& of = graph_.node(node.inputs[0]);
  const Maybe size = extent(op.axis);
  if (const auto* constant = ir::constant_of(of)) {
    const bool is_size = op.fn == ir::ReduceFn::Sum && is_whole_number(of.type.dtype);
    if (!is_size) return std::nullopt;
    const auto value = static_cast<std::int64_t>(constant->value);
    return value == 1 ? size : apply(Kind::mul, {size, number(value)});
  }
  const bool is_any = op.fn == ir::ReduceFn::Max, is_all = op.fn == ir::ReduceFn::Min;
  if (of.type.dtype != Dtype::Bool || !(is_any || is_all)) return std::nullopt;
  std::vector<Maybe> coordinates = coordinates_;
  // There is no op for a range; not knowing which of its ends is one.
  coordinates[static_cast<std::size_t>(op.axis)] =
      apply(Kind::select, {leaf(Kind::unknown), number(0), apply(Kind::sub, {size, number(1)})});
  const Maybe each = Translator(graph_, places_, std::move(coordinates)).translate(node.inputs[0]);
  return is_any ? apply(Kind::logical_and, {each, apply(Kind::lt, {number(0), size})})
                : apply(Kind::logical_or, {each, apply(Kind::eq, {number(0), size})});
}

Maybe Translator::read(const ir::Read& op, const ir::Node& node) {
  std::vector<Maybe> coordinates = coordinates_;
  std::size_t next = 1;
  for (const ir::Read::Coordinate& at : op.at) {
    coordinates[static_cast<std::size_t>(at.axis)] = translate(node.inputs[next]);
    next += at.otherwise ? 2 : 1;
  }
  Maybe value = Translator(graph_, places_, coordinates).translate(node.inputs[0]);
  // The first coordinate that is outside decides, so it comes to stand around the others.
  for (std::size_t n = op.at.size(); n-- > 0;) {
    const ir::Read::Coordinate& at = op.at[n];
    next -= at.otherwise ? 2 : 1;
    if (is_inside(node.inputs[next], at.axis)) continue;
    const Maybe& here = coordinates[static_cast<std::size_t>(at.axis)];
    const Maybe inside = apply(Kind::logical_and, {apply(Kind::le, {number(0), here}),
                                                   apply(Kind::lt, {here, extent(at.axis)})});
    const Maybe outside = at.otherwise ? translate(node.inputs[next + 1]) : number(0);
    value = apply(Kind::select, {inside, value, outside});
  }
  return value;
}

Maybe Translator::extent(AxisId axis) const {
  const ir::Axis& of = graph_.axis(axis);
  if (of.degree != ir::kNone) return std::nullopt;
  if (of.extent.size() == 1 && of.extent[0].kind == ir::ExtentTerm::Kind::Number) {
    return number(of.extent[0].number);
  }
  const std::optional<int> symbol = places_.symbol(axis);
  return symbol ? Maybe(leaf(Kind::size, *symbol)) : std::nullopt;
}

// Whether a coordinate is the index of an axis of the same extent. A read around this one may have
// put another coordinate there, but looks itself whether that is inside.
bool Translator::is_inside(NodeId coordinate, AxisId axis) const {
  const auto* index = ir::index_of(graph_.node(coordinate));
  if (index == nullptr) return false;
  const ir::Axis &a = graph_.axis(index->axis), &b = graph_.axis(axis);
  const auto is_extent_of = [](const ir::Axis& x, AxisId of) {
    return x.extent.size() == 1 && x.extent[0].kind == ir::ExtentTerm::Kind::Axis &&
           x.extent[0].axis == of;
  };
  const bool is_same = index->axis == axis || (!a.extent.empty() && a.extent == b.extent) ||
                       is_extent_of(a, axis) || is_extent_of(b, index->axis);
  return is_same && a.degree == ir::kNone && b.degree == ir::kNone;
}

}  // namespace

BlockPredicate predicate(const ir::Graph& graph, NodeId condition, const Places& places) {
  if (condition == ir::kNone) return {};
  invariant(graph.node(condition).type.dtype == Dtype::Bool, "conditions are bool");
  std::vector<Maybe> coordinates(graph.axes.size());
  for (AxisId axis = 0; axis < static_cast<AxisId>(graph.axes.size()); ++axis) {
    Maybe& at = coordinates[static_cast<std::size_t>(axis)];
    if (axis == places.row) {
      at = leaf(Kind::row);
    } else if (axis == places.column) {
      at = leaf(Kind::column);
    } else if (const std::optional<int> batch = places.batch(axis)) {
      at = leaf(Kind::batch, *batch);
    }
  }
  const Maybe code = Translator(graph, places, std::move(coordinates)).translate(condition);
  return {code->ops, code->decided};
}

}  // namespace fovea::codegen
