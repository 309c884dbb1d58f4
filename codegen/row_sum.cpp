#include <Halide.h>

#include "codegen/row_sum.h"

#include <algorithm>
#include <set>

#include "ir/contraction.h"
#include "ir/query.h"
#include "ir/worklist.h"

namespace fovea::codegen {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;

bool lies_along(const Source& source, NodeId root, AxisId axis) {
  bool varies = false;
  Worklist todo(source.graph, {root});
  while (const auto id = todo.next()) {
    const Node& node = source.graph.node(*id);
    if (source.leaves[static_cast<std::size_t>(*id)]) {
      const Place& place = source.places.at(*id);
      if (std::ranges::find(place.layout, axis) == place.layout.end()) continue;
      if (place.layout.back() != axis || place.dtype != Dtype::F32) return false;
      varies = true;
      continue;
    }
    // Read at one place, the whole of a row is read there.
    const bool reads = is_read(node) && node.inputs.size() == 2 &&
                       !source.graph.node(node.inputs[1]).type.has(axis);
    if (!reads && !is_pointwise(node)) return false;
    todo.add(node.inputs);
  }
  return varies;
}

std::optional<Special> lower_row_sum(const Source& source, Signature& signature,
                                     const Result& result, int number) {
  const auto found = sum_of(source.graph, result.node, source.leaves);
  if (!found || found->axes.size() != 1 || result.place.dtype != Dtype::F32) return std::nullopt;
  const AxisId axis = found->axes[0];
  const int lanes = source.target.lanes;
  const std::int64_t extent = signature.fixed_extent(axis);
  if (extent < lanes || !lies_along(source, found->term, axis)) return std::nullopt;

  Emitter emitter(source.graph, false);
  emitter.extent = [&](AxisId id) { return signature.extent(id); };
  emitter.checked = source.checked;
  emitter.resolve = [&](NodeId id, const ScopePtr& scope) {
    return source.leaves[static_cast<std::size_t>(id)] ? signature.load(id, scope, {}) : Expr();
  };
  std::vector<Var> vars;
  const ScopePtr row = emitter.scope();
  const std::vector<AxisId>& layout = result.place.layout;
  for (auto outer = layout.rbegin(); outer != layout.rend(); ++outer) {
    vars.push_back(var(*outer));
    row->at[static_cast<std::size_t>(*outer)] = vars.back();
  }
  const auto term = [&](const Expr& at) {
    return Halide::cast<float>(emitter.value(found->term, emitter.with(row, axis, at)));
  };

  const std::string suffix = "_" + std::to_string(number);
  const Var lane("lane");
  std::vector<Var> wide{lane};
  wide.insert(wide.end(), vars.begin(), vars.end());
  Func partial("partial" + suffix), sum("sum" + suffix), out(source.name + suffix);
  const RDom step(0, static_cast<int>(extent) / lanes, "step" + suffix);
  const RDom each(0, lanes, "each" + suffix);
  partial(wide) = 0.f;
  partial(wide) += term(step.x * lanes + lane);
  std::vector<Expr> at{each.x};
  at.insert(at.end(), vars.begin(), vars.end());
  sum(vars) = 0.f;
  sum(vars) += partial(at);
  sum.update(0).atomic().vectorize(each.x);
  if (extent % lanes != 0) {
    const RDom rest(static_cast<int>(extent) / lanes * lanes, static_cast<int>(extent) % lanes,
                    "rest" + suffix);
    sum(vars) += term(rest.x);
    sum.update(1).unscheduled();
  }
  out(vars) = sum(vars);
  if (vars.empty()) {
    sum.compute_root();
    partial.compute_root();
  } else {
    sum.compute_at(out, vars.front()).store_in(Halide::MemoryType::Stack);
    partial.compute_at(out, vars.front()).store_in(Halide::MemoryType::Stack);
  }
  partial.bound_extent(lane, lanes).vectorize(lane);
  partial.update().reorder(lane, step.x).vectorize(lane);
  if (extent / lanes <= 16) partial.update().unroll(step.x);
  promise(out.output_buffer(), signature.fixed_extents(result.place), false);
  signature.add_result(result.place.buffer);
  return Special{out, static_cast<int>(layout.size())};
}

}  // namespace fovea::codegen
