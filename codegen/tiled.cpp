#include <Halide.h>

#include "codegen/tiled.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numbers>

#include "ir/deciding.h"
#include "ir/query.h"
#include "ir/require.h"
#include "ir/worklist.h"

namespace fovea::codegen {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;
using Kind = runtime::Argument::Kind;

Tiling tiling_of(const Kernel& kernel, const Target& target) {
  const bool many = target.registers >= 32;
  Tiling tiling{kernel.row_tile, kernel.column_block, kernel.chunk, target.lanes, 0, 0, 0, 0, 0};
  // Accumulators fill the registers but for what the operands of one multiply-add need.
  tiling.score_rows = (many ? 3 : 2) * target.lanes;
  tiling.score_columns = many ? 8 : 6;
  tiling.value_rows = 6;
  tiling.value_columns = (many ? 4 : 2) * target.lanes;
  // Enough independent sums to hide the latency of an addition.
  tiling.fold_rows = tiling.rows % (6 * target.lanes) == 0 ? 6 * target.lanes : tiling.score_rows;
  return tiling;
}

bool TiledContext::is_batch(AxisId axis) const {
  return axis != kernel.shared && std::ranges::find(region.batch, axis) != region.batch.end();
}

std::vector<AxisId> TiledContext::other_axes(const Type& type) const {
  std::vector<AxisId> result;
  for (AxisId a = 0; a < static_cast<AxisId>(source.graph.axes.size()); a++)
    if (type.has(a) && a != kernel.row && a != kernel.column && !is_batch(a)) result.push_back(a);
  return result;
}

std::vector<std::int64_t> TiledContext::extents(const Signature& signature,
                                                const std::vector<AxisId>& axes) const {
  std::vector<std::int64_t> result;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
    result.push_back(*axis == kernel.row      ? tiling.rows
                     : *axis == kernel.shared ? kernel.members
                                              : signature.fixed_extent(*axis));
  return result;
}

std::vector<runtime::Size> TiledContext::sizes(const std::vector<AxisId>& axes) const {
  const auto number = [](int count) {
    return runtime::Size{{runtime::SizeTerm::Kind::number, count}};
  };
  std::vector<runtime::Size> result;
  for (const AxisId axis : axes)
    result.push_back(axis == kernel.row      ? number(tiling.rows)
                     : axis == kernel.shared ? number(kernel.members)
                                             : extent_size(axis));
  return result;
}

Halide::Type TiledContext::packed_type(const Node& node, double scale) {
  if (scale != 1 || is_float(node.type.dtype)) return Halide::Float(32);
  return node.type.dtype == Dtype::Bool ? Halide::UInt(8) : Halide::Int(32);
}

const Packed& TiledContext::pack(NodeId id, double scale) {
  const Scaled what{id, scale};
  const auto known = std::ranges::find(packed, what, &Packed::what);
  if (known != packed.end()) return *known;
  const Node& node = source.graph.node(id);
  const Halide::Type type = packed_type(node, scale);
  Packed fresh{what, other_axes(node.type), -1};
  fresh.buffer =
      add({source.name + ".packed" + std::to_string(packed.size()), runtime::Buffer::Role::scratch,
           type.is_uint()    ? runtime::Dtype::Bool
           : type.is_float() ? runtime::Dtype::F32
                             : runtime::Dtype::I32,
           sizes(packed_axes(fresh))});
  packed.push_back(std::move(fresh));
  return packed.back();
}

std::vector<AxisId> TiledContext::packed_axes(const Packed& operand) const {
  std::vector<AxisId> axes = operand.axes;
  axes.insert(kernel.lanes == Lanes::Rows ? axes.end() : axes.begin(), kernel.row);
  return axes;
}

std::vector<AxisId> TiledContext::state_axes(const State& state) const {
  std::vector<AxisId> axes = state.inner;
  axes.push_back(kernel.row);
  axes.insert(axes.end(), state.features.begin(), state.features.end());
  return axes;
}

void TiledContext::open(Emitter& emitter, Signature& signature) const {
  emitter.extent = [&signature](AxisId axis) { return signature.extent(axis); };
  emitter.checked = source.checked;
}

bool TiledContext::touches_memory(NodeId id) const {
  return needs(source.graph, id, [&](NodeId at) { return source.leaves[at]; });
}

bool TiledContext::is_row_operand(NodeId id) const {
  const Type& type = source.graph.node(id).type;
  if (!type.has(kernel.row) || type.has(kernel.column) || !touches_memory(id)) return false;
  return plane_reductions_of(source.graph, id, kernel.row, kernel.column, source.leaves).empty();
}

bool TiledContext::is_read(const Factor& factor) const {
  const Node* node = &source.graph.node(factor.node);
  while (is_map(*node, Fn::Cast)) node = &source.graph.node(node->inputs[0]);
  return !factor.inverted && ir::is_read(*node);
}

ScopePtr TiledContext::scope(Emitter& emitter, Signature& signature, const Expr& row) const {
  ScopePtr scope = emitter.scope();
  for (std::size_t n = 0; n < region.batch.size(); n++)
    scope->at[region.batch[n]] = signature.number(Kind::batch, static_cast<int>(n),
                                                  "at_" + source.graph.axis(region.batch[n]).name);
  scope->at[kernel.row] = signature.number(Kind::row, 0, "row") + row;
  return scope;
}

Expr TiledContext::first_member(Signature& signature) const {
  const auto at = std::ranges::find(region.batch, kernel.shared);
  invariant(at != region.batch.end(), "a shared axis is one of the batch");
  return signature.number(Kind::batch, static_cast<int>(at - region.batch.begin()),
                          "at_" + source.graph.axis(kernel.shared).name);
}

Expr TiledContext::coordinate(Signature& signature, AxisId axis, const Expr& n) const {
  return axis == kernel.shared ? first_member(signature) + n : n;
}

Expr TiledContext::within(Signature& signature, AxisId axis, const Expr& at) const {
  return axis == kernel.shared ? Halide::Internal::simplify(at - first_member(signature)) : at;
}

RDom TiledContext::present(Signature& signature, const std::string& name) const {
  const auto left = [&](AxisId axis, const Expr& first, int most) {
    return most == 1 ? Expr(1) : Halide::min(signature.extent(axis) - first, most);
  };
  const Expr rows = left(kernel.row, signature.number(Kind::row, 0, "row"), tiling.rows);
  if (kernel.shared == kNone) return RDom(0, rows, name);
  return RDom(0, rows, 0, left(kernel.shared, first_member(signature), kernel.members), name);
}

bool TiledContext::is_followed(NodeId maximum) const {
  return std::ranges::any_of(region.reductions,
                             [&](const PlaneReduction& other) { return other.maximum == maximum; });
}

double TiledContext::kept_scale(NodeId maximum) const {
  return plain.contains(maximum) ? 1 : std::numbers::log2e;
}

double TiledContext::exponent_scale(NodeId maximum, bool base_two) const {
  return plain.contains(maximum) && !base_two ? std::numbers::log2e : 1;
}

Expr TiledContext::state_at(const State& state, Signature& signature, const Emitter& emitter,
                            const ScopePtr& scope, const Expr& r) const {
  const std::vector<AxisId> axes = state_axes(state);
  const Dtype dtype = source.graph.node(state.reduction->node).type.dtype;
  const Halide::Type type = dtype == Dtype::Bool ? Halide::UInt(8) : emitter.type(dtype);
  Halide::ImageParam image = signature.buffer(state.buffer, type, extents(signature, axes));
  std::vector<Expr> at;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
    at.push_back(*axis == kernel.row ? r : within(signature, *axis, scope->at[*axis]));
  return image(at);
}

Expr TiledContext::state_value(const State& state, Signature& signature, const Emitter& emitter,
                               const ScopePtr& scope, const Expr& r) const {
  const NodeId id = state.reduction->node;
  const Expr kept = state_at(state, signature, emitter, scope, r);
  if (is_followed(id)) {
    const Expr value = kept_scale(id) == 1 ? kept : kept * 0.69314718056f;
    return Halide::select(kept <= -std::numeric_limits<float>::max(),
                          -std::numeric_limits<float>::infinity(), value);
  }
  // exp(-inf - -inf), which the state has no term of.
  if (const NodeId maximum = state.reduction->maximum; unguarded.contains(maximum)) {
    const State& followed =
        *std::ranges::find_if(states, [&](const State& s) { return s.reduction->node == maximum; });
    const Expr largest = state_at(followed, signature, emitter, scope, r);
    return Halide::select(largest <= -std::numeric_limits<float>::max(), not_trusted(), kept);
  }
  const bool truth = source.graph.node(id).type.dtype == Dtype::Bool;
  return truth ? kept != Halide::cast<std::uint8_t>(0) : kept;
}

std::vector<NodeId> TiledContext::plane_results(bool late) const {
  std::vector<NodeId> found;
  for (const NodeId id : kernel.results)
    if (is_on_plane(source.graph, kernel, id) &&
        late !=
            plane_reductions_of(source.graph, id, kernel.row, kernel.column, source.leaves).empty())
      found.push_back(id);
  return found;
}

namespace {

// Whether something besides maxima and natural exponentials under these is made of the scores of a
// maximum: a result, another fold, an exponential of base 2, or what another kernel computes too.
bool are_used_otherwise(const TiledContext& context, NodeId maximum) {
  const Graph& graph = context.source.graph;
  const auto on_plane = [&](NodeId id) {
    return !context.source.leaves[id] && is_on_plane(graph, context.kernel, id) &&
           is_float(graph.node(id).type.dtype);
  };
  std::vector<bool> score(graph.nodes.size());
  const auto is_result = [&](NodeId id) {
    return std::ranges::find(context.kernel.results, id) != context.kernel.results.end();
  };
  Worklist made_of(graph, {graph.node(maximum).inputs[0]});
  while (const auto id = made_of.next()) {
    if (!on_plane(*id)) continue;
    if (context.alike[*id] || is_result(*id)) return true;
    score[*id] = true;
    made_of.add(graph.node(*id).inputs);
  }
  Worklist users(graph, context.kernel.results);
  while (const auto id = users.next()) {
    if (context.source.leaves[*id]) continue;
    const auto exponent = stabilised(graph, *id);
    if (exponent && context.is_followed(exponent->maximum) && !exponent->base_two) {
      users.add(std::array{exponent->argument, exponent->maximum});
      continue;
    }
    const std::vector<NodeId>& inputs = graph.node(*id).inputs;
    const bool uses = std::ranges::any_of(inputs, [&](NodeId input) { return score[input]; });
    if (uses && !score[*id] && !context.is_followed(*id)) return true;
    users.add(inputs);
  }
  return false;
}

std::set<NodeId> plain_maxima(const TiledContext& context) {
  std::set<NodeId> plain;
  for (const PlaneReduction& reduction : context.region.reductions)
    if (reduction.maximum != kNone && are_used_otherwise(context, reduction.maximum))
      plain.insert(reduction.maximum);
  return plain;
}

}  // namespace

TiledFunctions lower_tiled(const Source& source, const Kernel& kernel, const Region& region,
                           const std::function<int(runtime::Buffer)>& add) {
  TiledContext context{source, kernel, region, tiling_of(kernel, source.target),
                       add,    {},     {},     decided_alike(source.graph, kernel)};
  context.plain = plain_maxima(context);
  for (const NodeId id : unguarded_maxima(source.graph, kernel.results, source.leaves))
    context.unguarded.insert(id);
  TiledFunctions functions;
  functions.step = lower_step(context, functions, false);
  if (!context.plane_results(true).empty())
    functions.revisit = lower_step(context, functions, true);
  if (kernel.carries) functions.carried = lower_carry(context);
  functions.prepare = lower_prepare(context);
  functions.finish = lower_finish(context, functions);
  functions.states = state_rules(context);
  for (const Packed& packed : context.packed) functions.packed.push_back(packed.buffer);
  functions.pair_work = pair_work(context, Signature(source.graph, source.places));
  return functions;
}

}  // namespace fovea::codegen
