// A sum of products off the plane: accumulators of a tile in registers, one operand packed in panels.
#include <Halide.h>

#include <algorithm>
#include <optional>
#include <set>

#include "codegen/lower.h"
#include "ir/error.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::Var;
using namespace ir;

// sum(m, a[y, m] * b[x, m]): x is the fastest axis of the result, y one along which b is constant.
struct Contraction {
  AxisId x = kNone, y = kNone, m = kNone;
  std::vector<Factor> a, b;
  double scale = 1;
};

bool has_fold(const Graph& graph, NodeId id, const Leaves& leaves) {
  std::vector<NodeId> stack{id};
  std::set<NodeId> seen;
  while (!stack.empty()) {
    const NodeId at = stack.back();
    stack.pop_back();
    if (leaves[at] || !seen.insert(at).second) continue;
    const Node& node = graph.node(at);
    if (std::holds_alternative<Reduce>(node.op) || std::holds_alternative<Scan>(node.op) ||
        std::holds_alternative<TopK>(node.op))
      return true;
    for (const NodeId input : node.inputs) stack.push_back(input);
  }
  return false;
}

std::optional<Contraction> recognise(const Source& source, const Result& result) {
  const Graph& graph = source.graph;
  const Node& node = graph.node(result.node);
  const Reduce* reduce = std::get_if<Reduce>(&node.op);
  if (source.leaves[result.node] || !reduce || reduce->fn != ReduceFn::Sum || is_multiple(graph, result.node) ||
      node.type.dtype != Dtype::F32 || graph.axis(reduce->axis).degree != kNone ||
      result.place.layout.size() < 2)
    return std::nullopt;
  Contraction found;
  found.x = result.place.layout.back();
  found.m = reduce->axis;
  const Product product = product_of(graph, node.inputs[0], source.leaves);
  if (product.negative) found.scale = -1;
  for (const Factor& factor : product.factors) {
    const Node& of = graph.node(factor.node);
    if (has_fold(graph, factor.node, source.leaves)) return std::nullopt;
    if (const Constant* c = std::get_if<Constant>(&of.op))
      found.scale = factor.inverted ? found.scale / c->value : found.scale * c->value;
    else
      (of.type.has(found.x) ? found.b : found.a).push_back(factor);
  }
  const auto any_has = [&](const std::vector<Factor>& factors, AxisId axis) {
    return std::ranges::any_of(factors, [&](const Factor& f) { return graph.node(f.node).type.has(axis); });
  };
  for (const AxisId axis : result.place.layout)
    if (axis != found.x && any_has(found.a, axis) && !any_has(found.b, axis)) found.y = axis;
  if (found.b.empty() || found.y == kNone || !any_has(found.b, found.m)) return std::nullopt;
  return found;
}

Var var(AxisId axis) { return Var("a" + std::to_string(axis)); }

}  // namespace

std::optional<Func> lower_contraction(const Source& source, Signature& signature, const Result& result, int number) {
  const std::optional<Contraction> found = recognise(source, result);
  if (!found) return std::nullopt;
  const Graph& graph = source.graph;
  const int lanes = source.target.lanes, many = source.target.registers >= 32;
  const std::int64_t columns = signature.fixed_extent(found->x);
  if (columns >= 0 && columns < lanes) return std::nullopt;
  // 24 or 12 accumulators; the tile that divides the columns, if one does.
  const bool four = many && columns >= 0 && columns % (4 * lanes) == 0 && columns % (3 * lanes) != 0;
  const int width = (four ? 4 : many ? 3 : 2) * lanes, height = many && !four ? 8 : 6;

  Emitter emitter(graph, false);
  emitter.extent = [&](AxisId axis) { return signature.extent(axis); };
  emitter.checked = source.checked;
  emitter.resolve = [&](NodeId id, const ScopePtr& scope) {
    return source.leaves[id] ? signature.load(id, scope, {found->x, found->y}) : Expr();
  };
  const std::string suffix = "_" + std::to_string(number);
  const auto multiply = [&](const std::vector<Factor>& factors, const ScopePtr& scope, double scale) {
    Expr all;
    for (const Factor& factor : factors) {
      const Expr value = Halide::cast<float>(emitter.value(factor.node, scope));
      all = !all.defined() ? (factor.inverted ? 1.f / value : value) : factor.inverted ? all / value : all * value;
    }
    if (!all.defined()) return Expr(float(scale));
    return scale == 1 ? all : all * float(scale);
  };

  // b, its column tile contiguous for every m.
  Func panel("panel" + suffix);
  std::vector<Var> panel_vars{var(found->x), var(found->m)};
  const ScopePtr there = emitter.scope();
  there->at[found->x] = var(found->x);
  there->at[found->m] = var(found->m);
  std::vector<AxisId> others;
  for (const AxisId axis : result.place.layout)
    if (axis != found->x && std::ranges::any_of(found->b, [&](const Factor& f) { return graph.node(f.node).type.has(axis); })) {
      others.push_back(axis);
      panel_vars.push_back(var(axis));
      there->at[axis] = var(axis);
    }
  panel(panel_vars) = multiply(found->b, there, found->scale);

  Func sum("sum" + suffix), out(source.name + suffix);
  std::vector<Var> vars;
  const ScopePtr here = emitter.scope();
  for (auto axis = result.place.layout.rbegin(); axis != result.place.layout.rend(); ++axis) {
    vars.push_back(var(*axis));
    here->at[*axis] = vars.back();
  }
  const Halide::RDom m(0, signature.extent(found->m), "m" + suffix);
  here->at[found->m] = m.x;
  std::vector<Expr> at{var(found->x), m.x};
  for (const AxisId axis : others) at.push_back(var(axis));
  // a is read one number at a time; what has to be computed is computed for a tile before.
  const bool computed = std::ranges::any_of(found->a, [&](const Factor& f) { return !source.leaves[f.node]; });
  Func rows("rows" + suffix);
  std::vector<Var> row_vars{var(found->m)};
  std::vector<Expr> row_at{m.x};
  const ScopePtr along = emitter.scope();
  along->at[found->m] = var(found->m);
  for (auto axis = result.place.layout.rbegin(); axis != result.place.layout.rend(); ++axis) {
    if (*axis == found->x) continue;
    row_vars.push_back(var(*axis));
    row_at.push_back(var(*axis));
    along->at[*axis] = var(*axis);
  }
  if (computed) rows(row_vars) = multiply(found->a, along, 1);
  sum(vars) = 0.f;
  sum(vars) += (computed ? rows(row_at) : multiply(found->a, here, 1)) * panel(at);
  out(vars) = encode(result.place.dtype, sum(vars));

  const Var xo("xo"), xi("xi"), yo("yo"), yi("yi"), x = var(found->x), y = var(found->y);
  out.split(x, xo, xi, width, Halide::TailStrategy::GuardWithIf).split(y, yo, yi, height, Halide::TailStrategy::GuardWithIf);
  std::vector<Halide::VarOrRVar> order{xi, yi, yo, xo};
  for (auto axis = result.place.layout.rbegin(); axis != result.place.layout.rend(); ++axis)
    if (*axis != found->x && *axis != found->y) order.push_back(var(*axis));
  out.reorder(order).vectorize(xi, lanes);
  sum.compute_at(out, yo).store_in(Halide::MemoryType::Stack).bound_extent(x, width).bound_extent(y, height);
  sum.vectorize(x, lanes).unroll(x).unroll(y);
  sum.update().reorder(x, y, m.x).vectorize(x, lanes).unroll(x).unroll(y);
  panel.compute_at(out, xo).bound_extent(x, width);
  if (columns >= 0 && columns % width == 0) panel.vectorize(x, lanes);
  if (computed)
    rows.compute_at(out, yo).bound_extent(y, height).vectorize(var(found->m), lanes, Halide::TailStrategy::GuardWithIf);
  promise(out.output_buffer(), signature.fixed_extents(result.place), false);
  signature.add_result(result.place.buffer);
  return out;
}

}  // namespace fovea::codegen
