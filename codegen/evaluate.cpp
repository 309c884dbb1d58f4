// Which blocks of columns a tile of rows sees, and which it sees whole, where intervals cannot
// tell: the mask, evaluated (codegen/tiled.h).
#include <Halide.h>

#include <numeric>

#include "codegen/lengths.h"
#include "codegen/tiled.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;
using Kind = runtime::Argument::Kind;

constexpr int kTogether = 32;  // blocks

// For each block of columns, whether `visible` holds anywhere in the tile and `solid` everywhere.
Func decide(TiledContext& context, Signature& signature, Emitter& emitter) {
  const Kernel& kernel = context.kernel;
  const int block = context.tiling.block, width = std::gcd(block, 4 * context.tiling.lanes);
  const Var x("x"), n("n");
  const Halide::Tuple none(Halide::cast<std::uint8_t>(0), Halide::cast<std::uint8_t>(1));
  Func columns("columns"), blocks("blocks"), out("out");
  columns(x, n) = none;
  // Columns by themselves, row after row: those of whole blocks are loaded as they lie.
  const Expr extent = signature.extent(kernel.column), column = n * block + x;
  for (const bool whole : {true, false}) {
    RDom r(0, context.tiling.rows, whole ? "r" : "rest");
    r.where(r.x < signature.extent(kernel.row) - signature.number(Kind::row, 0, "row"));
    r.where(whole ? n < extent / block : n >= extent / block);
    const ScopePtr scope = context.scope(emitter, signature, r.x);
    scope->at[kernel.column] = whole ? column : Halide::min(column, extent - 1);
    const auto holds = [&](NodeId condition) {
      return condition == kNone ? Halide::Internal::const_true() : emitter.value(condition, scope);
    };
    // Halide loops only along what is mentioned, and a condition may be the same for all rows.
    const Expr inside = r.x >= 0 && (whole ? Halide::Internal::const_true() : column < extent);
    const Expr any = Halide::cast<std::uint8_t>(holds(kernel.visible) && inside);
    const Expr all = Halide::cast<std::uint8_t>(holds(kernel.solid) || !inside);
    columns(x, n) = Halide::Tuple(columns(x, n)[0] | any, columns(x, n)[1] & all);
    auto update = columns.update(whole ? 0 : 1);
    update.reorder(x, n, r.x);
    const bool repeats = !is_long(any) && !is_long(all);
    update.vectorize(x, repeats ? width : std::gcd(block, context.tiling.lanes));
    if (repeats) update.unroll(x);
  }
  const RDom l(0, block, "l");
  blocks(n) = none;
  blocks(n) = Halide::Tuple(blocks(n)[0] | columns(l, n)[0], blocks(n)[1] & columns(l, n)[1]);
  out(n) = blocks(n);
  // Some blocks at a time, whose columns are one run in memory.
  const Var outer("no"), inner("ni");
  out.split(n, outer, inner, kTogether, Halide::TailStrategy::GuardWithIf);
  blocks.compute_at(out, inner);
  columns.compute_at(out, outer).store_in(Halide::MemoryType::Stack).bound_storage(n, kTogether);
  columns.bound_extent(x, block).vectorize(x, width);
  promise(out.output_buffers()[0], {-1}, true);
  return out;
}

}  // namespace

Expr inline_fold(Emitter& emitter, NodeId id, const Graph& graph, const ScopePtr& scope) {
  const auto& reduce = std::get<Reduce>(graph.node(id).op);
  const bool truth = graph.node(id).type.dtype == Dtype::Bool;
  const RDom r(0, emitter.extent(reduce.axis), "over" + std::to_string(id));
  Expr x = emitter.value(graph.node(id).inputs[0], emitter.with(scope, reduce.axis, r.x));
  if (truth) x = Halide::cast<std::uint8_t>(x);
  switch (reduce.fn) {
    case ReduceFn::Sum: return Halide::sum(r, x);
    case ReduceFn::Max: x = Halide::maximum(r, x); break;
    case ReduceFn::Min: x = Halide::minimum(r, x); break;
    case ReduceFn::ArgMax: invariant(false, "a mask does not hold an argmax");
  }
  return truth ? x != Halide::cast<std::uint8_t>(0) : x;
}

Function lower_evaluate(TiledContext& context) {
  const Graph& graph = context.source.graph;
  const Kernel& kernel = context.kernel;
  Signature signature(graph, context.source.places);
  Emitter emitter(graph, false);
  context.open(emitter, signature);
  emitter.resolve = [&](NodeId id, const ScopePtr& scope) {
    if (context.source.leaves[id]) return signature.load(id, scope, {kernel.row});
    const Reduce* reduce = reduce_of(graph.node(id));
    if (!reduce || is_multiple(graph, id)) return Expr();
    return inline_fold(emitter, id, graph, scope);
  };
  Function function;
  function.name = context.source.name + "_evaluate";
  function.outputs.push_back(decide(context, signature, emitter));
  function.halide = signature.halide();
  function.arguments = signature.runtime();
  function.arguments.push_back({Kind::any, 0});
  function.arguments.push_back({Kind::all, 0});
  return function;
}

Function lower_mask(const Source& source, const Kernel& kernel, const Region& region) {
  TiledContext context{source, kernel, region, tiling_of(kernel, source.target),
                       {},     {},     {},     std::vector<bool>(source.graph.nodes.size())};
  return lower_evaluate(context);
}

}  // namespace fovea::codegen
