// The end of a tile: results from what its columns were folded to (codegen/tiled.h).
#include <Halide.h>

#include <algorithm>
#include <limits>

#include "codegen/tiled.h"
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

  Function build(int& doubt) {
    for (const NodeId result : context_.kernel.results) {
      const auto* reduction = context_.region.find(result);
      const bool stored =
          is_on_plane(graph_, context_.kernel, result) || (reduction && !reduction->over_columns);
      if (!stored) add(result);
    }
    if (const std::vector<const State*> maxima = row_maxima(); !maxima.empty())
      doubt = add_doubt(maxima);
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
    return {};
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

  // Maxima that sums follow, one number for a row of the tile.
  std::vector<const State*> row_maxima() const {
    std::vector<const State*> maxima;
    for (const State& state : context_.states)
      if (context_.is_followed(state.reduction->node) &&
          std::ranges::all_of(state.inner, [&](AxisId axis) { return axis == shared_; }))
        maxima.push_back(&state);
    return maxima;
  }

  // Whether a row's coordinates, inputs and states tell a condition.
  bool is_of_rows(NodeId condition) const {
    Worklist todo(graph_, {condition});
    while (const auto at = todo.next()) {
      const Node& node = graph_.node(*at);
      for (const AxisId axis : node.type.axes)
        if (!is_walked(axis)) return false;
      if (context_.source.leaves[*at]) continue;
      if (!std::holds_alternative<Map>(node.op) && !std::holds_alternative<Index>(node.op) &&
          !std::holds_alternative<Constant>(node.op))
        return false;
      todo.add(node.inputs);
    }
    return true;
  }

  // Of what must hold for a score to count, that which the row alone tells.
  Expr shows_row(NodeId condition, const ScopePtr& scope) {
    const Node& node = graph_.node(condition);
    const auto* map = std::get_if<Map>(&node.op);
    if (map && map->fn == Fn::And)
      return shows_row(node.inputs[0], scope) && shows_row(node.inputs[1], scope);
    if (!is_of_rows(condition)) return Halide::Internal::const_true();
    return Halide::cast<bool>(emitter_.value(condition, scope));
  }

  // Scores are masked by `where` around them.
  Expr may_have_scores(NodeId maximum, const ScopePtr& scope) {
    Expr result = Halide::Internal::const_true();
    NodeId at = graph_.node(maximum).inputs[0];
    while (true) {
      const Node& node = graph_.node(at);
      const auto* map = std::get_if<Map>(&node.op);
      if (!map || map->fn != Fn::Where || context_.source.leaves[at]) return result;
      const auto* hidden = std::get_if<Constant>(&graph_.node(node.inputs[2]).op);
      if (!hidden || hidden->value != -std::numeric_limits<double>::infinity()) return result;
      result = result && shows_row(node.inputs[0], scope);
      at = node.inputs[1];
    }
  }

  // Marks rows whose scores all fell to -inf, though the row was not masked as a whole: masked one
  // by one, or too large for f32. The buffer.
  int add_doubt(const std::vector<const State*>& maxima) {
    const std::vector<AxisId> axes =
        shared_ == kNone ? std::vector<AxisId>{row_} : std::vector<AxisId>{shared_, row_};
    const int doubt = context_.add({context_.source.name + ".doubt", runtime::Buffer::Role::scratch,
                                    runtime::Type::i32, context_.sizes(axes)});
    const Var r("r"), m("m");
    const ScopePtr scope = context_.scope(emitter_, signature_, r);
    if (shared_ != kNone) scope->at[shared_] = first_member_ + m;
    Expr fell = Halide::Internal::const_false();
    unbounded_ = axes;
    for (const State* state : maxima)
      fell = fell || (context_.state_at(*state, signature_, emitter_, scope, r) ==
                          -std::numeric_limits<float>::max() &&
                      may_have_scores(state->reduction->node, scope));
    for (const AxisId axis : axes) fell = fell && scope->at[axis] < signature_.extent(axis);
    Func f("doubt");
    f(shared_ == kNone ? std::vector<Var>{r} : std::vector<Var>{r, m}) = Halide::select(fell, 1, 0);
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
  Signature signature_;
  Emitter emitter_;
  const Expr first_row_;
  Expr first_member_;
  Function function_;
};

}  // namespace

Function lower_finish(TiledContext& context, int& doubt) { return Finish(context).build(doubt); }

}  // namespace fovea::codegen
