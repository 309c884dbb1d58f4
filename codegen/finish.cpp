// The end of a tile: results from what its columns were folded to (codegen/tiled.h).
#include <Halide.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "codegen/asserts.h"
#include "codegen/tiled.h"
#include "ir/query.h"
#include "ir/worklist.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;
using Kind = runtime::Argument::Kind;

class Finish {
 public:
  explicit Finish(TiledContext& context)
      : context_(context),
        graph_(context.source.graph),
        row_(context.kernel.row),
        shared_(context.kernel.shared),
        unbounded_{row_},
        signature_(graph_, context.source.places),
        emitter_(graph_, false),
        first_row_(signature_.number(Kind::row, 0, "row")) {
    context.open(emitter_, signature_);
    emitter_.resolve = [this](NodeId id, const ScopePtr& scope) { return resolve(id, scope); };
    if (shared_ != kNone) first_member_ = context.first_member(signature_);
  }

  Function build(TiledFunctions& functions) {
    for (const NodeId result : context_.kernel.results) {
      const auto* reduction = context_.region.find(result);
      const bool stored =
          is_on_plane(graph_, context_.kernel, result) || (reduction && !reduction->over_columns);
      if (!stored) add(result);
    }
    if (const std::vector<const State*> maxima = row_maxima(); !maxima.empty()) {
      functions.doubt = add_doubt(maxima);
      for (const State* state : maxima) functions.maxima.push_back(state->reduction->node);
    }
    function_.name = context_.source.name + "_finish";
    function_.halide = signature_.halide();
    function_.arguments = signature_.runtime();
    return std::move(function_);
  }

 private:
  Expr resolve(NodeId id, const ScopePtr& scope) {
    if (context_.source.leaves[id]) return signature_.load(id, scope, unbounded_);
    const Expr r = scope->at[row_] - first_row_;
    for (const State& state : context_.states)
      if (state.reduction->node == id)
        return context_.state_value(state, signature_, emitter_, scope, r);
    const bool folds = is_reduce(graph_.node(id));
    if (!of_masks_ || !folds || is_multiple(graph_, id)) return {};
    return inline_fold(emitter_, id, graph_, scope);
  }

  bool is_walked(AxisId axis) const {
    return axis == row_ || axis == shared_ || context_.is_batch(axis);
  }

  void add(NodeId result) {
    const Place& place = context_.source.places.at(result);
    const RDom r = context_.present(signature_, "r" + std::to_string(result));
    const ScopePtr scope = context_.scope(emitter_, signature_, r.x);
    if (shared_ != kNone) scope->at[shared_] = first_member_ + r.y;
    std::vector<Var> pure;
    std::vector<Expr> at;
    std::vector<Halide::VarOrRVar> order;
    for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis) {
      pure.push_back(var(*axis));
      if (!is_walked(*axis)) {
        scope->at[*axis] = pure.back();
        order.push_back(pure.back());
      }
      at.push_back(scope->at[*axis]);
    }
    order.push_back(r.x);
    if (shared_ != kNone) order.push_back(r.y);
    Func f("result" + std::to_string(result));
    const Expr value = encode(place.dtype, emitter_.value(result, scope));
    f(pure) = Halide::undef(value.type());
    f(at) = value;
    promise(f.output_buffer(), signature_.fixed_extents(place), true);
    if (order.size() > 1) f.update().reorder(order);
    const AxisId last = place.layout.back();
    const std::int64_t width = signature_.fixed_extent(last);
    if (!is_walked(last) && (width < 0 || width >= context_.tiling.lanes))
      f.update().vectorize(var(last), context_.tiling.lanes, Halide::TailStrategy::GuardWithIf);
    signature_.add_result(place.buffer);
    function_.outputs.push_back(f);
  }

  // Maxima of floats, one number for a row of the tile.
  std::vector<const State*> row_maxima() const {
    std::vector<const State*> maxima;
    for (const State& state : context_.states)
      if (is_maximum(state.reduction->node) &&
          std::ranges::all_of(state.inner, [&](AxisId axis) { return axis == shared_; }))
        maxima.push_back(&state);
    return maxima;
  }

  bool is_maximum(NodeId id) const {
    const Node& node = graph_.node(id);
    return std::get<Reduce>(node.op).fn == ReduceFn::Max && is_float(node.type.dtype);
  }

  // What must hold for a score to count, by `where` around the scores of a maximum.
  std::vector<NodeId> conditions_of(NodeId maximum) const {
    std::vector<NodeId> conditions;
    const std::function<void(NodeId)> add = [&](NodeId id) {
      const bool is_both = is_map(graph_.node(id), Fn::And) && !context_.source.leaves[id];
      if (!is_both) return conditions.push_back(id);
      for (const NodeId input : graph_.node(id).inputs) add(input);
    };
    // Of coordinates alone intervals tell which rows of the kernel's mask see nothing.
    const NodeId scores = graph_.node(maximum).inputs[0];
    for (const NodeId condition : hidden_by(graph_, scores, context_.source.leaves))
      if (condition != context_.kernel.visible || context_.touches_memory(condition))
        add(condition);
    std::erase_if(conditions, [&](NodeId id) { return !is_told(id); });
    return conditions;
  }

  // Whether a condition has no float folds, which this kernel may round in its own way.
  bool is_told(NodeId condition) const {
    Worklist todo(graph_, {condition});
    while (const auto at = todo.next()) {
      const Node& node = graph_.node(*at);
      if (context_.source.leaves[*at]) continue;
      const auto* reduce = reduce_of(node);
      const bool folds = reduce && !is_float(node.type.dtype) && reduce->fn != ReduceFn::ArgMax &&
                         reduce->axis != row_ && reduce->axis != context_.kernel.column;
      if (!folds && !is_pointwise(node)) return false;
      todo.add(node.inputs);
    }
    return true;
  }

  // Whether no score of a row, or a member's, is above -inf.
  Expr has_fallen(const State& state, const std::vector<Var>& vars, const ScopePtr& scope) {
    return context_.state_at(state, signature_, emitter_, scope, vars[0]) <=
           -std::numeric_limits<float>::max();
  }

  // Tiles go on past the last row and member.
  Expr is_there(const ScopePtr& scope) {
    const Expr row = scope->at[row_] < signature_.extent(row_);
    return shared_ == kNone ? row : row && scope->at[shared_] < signature_.extent(shared_);
  }

  // Whether it has lost all scores of a maximum, though no condition hides them.
  Expr has_lost(const State& state, const std::vector<Var>& vars, const ScopePtr& scope) {
    Expr fell = has_fallen(state, vars, scope) && is_there(scope);
    std::vector<NodeId> of_columns;
    for (const NodeId condition : conditions_of(state.reduction->node)) {
      if (graph_.node(condition).type.has(context_.kernel.column))
        of_columns.push_back(condition);
      else
        fell = fell && emitter_.truth(condition, scope);
    }
    return of_columns.empty() ? fell : fell && sees_any(state, of_columns, fell, vars, scope);
  }

  // Whether the conditions hold in any column; looked at only in rows that lost all.
  Expr sees_any(const State& state, const std::vector<NodeId>& conditions, const Expr& fell,
                const std::vector<Var>& vars, const ScopePtr& scope) {
    const std::string id = std::to_string(state.reduction->node);
    Func lost("lost" + id), seen("seen" + id);
    lost(vars) = Halide::cast<std::uint8_t>(fell);
    RDom c(0, signature_.extent(context_.kernel.column), "c" + id);
    // Checks of what is read would come before `lost`, did it not seem to vary along the loop.
    const Expr nothing = has_asserts() ? Halide::min(hidden(c.x), 0) : Expr(0);
    c.where(Halide::cast<int>(lost(vars)) + nothing != 0);
    const ScopePtr there = emitter_.with(scope, context_.kernel.column, c.x);
    Expr all = Halide::Internal::const_true();
    for (const NodeId condition : conditions) all = all && emitter_.truth(condition, there);
    seen(vars) = Halide::cast<std::uint8_t>(0);
    seen(vars) = seen(vars) | Halide::cast<std::uint8_t>(all);
    lost.compute_root();
    seen.compute_root();
    return seen(vars) != Halide::cast<std::uint8_t>(0);
  }

  // Marks rows whose scores all fell to -inf, though not all of them are masked: they are too large
  // for f32; rows that see nothing; and those of which -inf - -inf is asked. The buffer.
  int add_doubt(const std::vector<const State*>& maxima) {
    const std::vector<AxisId> axes =
        shared_ == kNone ? std::vector<AxisId>{row_} : std::vector<AxisId>{shared_, row_};
    const int doubt = context_.add({context_.source.name + ".doubt", runtime::Buffer::Role::scratch,
                                    runtime::Dtype::I32, context_.sizes(axes)});
    const Var r("r"), m("m");
    const ScopePtr scope = context_.scope(emitter_, signature_, r);
    if (shared_ != kNone) scope->at[shared_] = first_member_ + m;
    unbounded_ = axes;
    of_masks_ = true;
    const std::vector<Var> vars = shared_ == kNone ? std::vector<Var>{r} : std::vector<Var>{r, m};
    Expr lost = Halide::Internal::const_false(), nothing = 0, spoilt = lost;
    for (std::size_t n = 0; n < maxima.size(); n++) {
      const Expr fallen = has_fallen(*maxima[n], vars, scope);
      if (context_.unguarded.contains(maxima[n]->reduction->node)) spoilt = spoilt || fallen;
      lost = lost || has_lost(*maxima[n], vars, scope);
      nothing = nothing + Halide::select(fallen, doubt_bit(n), 0);
    }
    Func f("doubt");
    f(vars) = Halide::select(spoilt && is_there(scope), runtime::Tiled::kSpoilt, lost,
                             runtime::Tiled::kDoubted, nothing);
    f.vectorize(r, std::min(context_.tiling.lanes, context_.tiling.rows),
                Halide::TailStrategy::GuardWithIf);
    promise(f.output_buffer(), context_.extents(signature_, axes), true);
    signature_.add_result(doubt);
    function_.outputs.push_back(f);
    return doubt;
  }

  TiledContext& context_;
  const Graph& graph_;
  const AxisId row_, shared_;
  std::vector<AxisId> unbounded_;  // axes whose coordinates loads limit
  bool of_masks_ = false;          // what is emitted are masks, which hold folds of their own
  Signature signature_;
  Emitter emitter_;
  const Expr first_row_;
  Expr first_member_;
  Function function_;
};

}  // namespace

int doubt_bit(std::size_t n) { return n < 30 ? 2 << n : 0; }

Function lower_finish(TiledContext& context, TiledFunctions& functions) {
  return Finish(context).build(functions);
}

}  // namespace fovea::codegen
