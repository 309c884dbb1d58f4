// The beginning of a tile: operands of its rows packed, accumulators as they start
// (codegen/tiled.h).
#include <Halide.h>

#include <limits>

#include "codegen/tiled.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;
using Kind = runtime::Argument::Kind;

class Prepare {
 public:
  explicit Prepare(TiledContext& context)
      : context_(context),
        graph_(context.source.graph),
        row_(context.kernel.row),
        lanes_(context.tiling.lanes),
        signature_(graph_, context.source.places),
        emitter_(graph_, false) {
    context.open(emitter_, signature_);
    emitter_.resolve = [this](NodeId id, const ScopePtr& scope) {
      return context_.source.leaves[id] ? signature_.load(id, scope, {row_, context_.kernel.shared})
                                        : Expr();
    };
    there_ = Halide::min(signature_.extent(row_) - signature_.number(Kind::row, 0, "row"),
                         context.tiling.rows);
  }

  Function build() {
    for (const Packed& packed : context_.packed) pack(packed);
    for (const State& state : context_.states) begin(state);
    if (context_.kernel.visible != kNone)
      for (const bool late : {false, true})
        for (const NodeId id : context_.plane_results(late)) clear(id);
    function_.name = context_.source.name + "_prepare";
    function_.halide = signature_.halide();
    function_.arguments = signature_.runtime();
    return std::move(function_);
  }

 private:
  void pack(const Packed& packed) {
    const auto value = [&](const Expr& r) {
      const ScopePtr scope = context_.scope(emitter_, signature_, r);
      for (const AxisId axis : packed.axes)
        scope->at[axis] = context_.coordinate(signature_, axis, var(axis));
      Expr x = emitter_.value(packed.what.first, scope);
      if (packed.what.second != 1) x = Halide::cast<float>(x) * float(packed.what.second);
      return x.type().is_bool() ? Halide::cast<std::uint8_t>(x) : x;
    };
    fill("packed" + std::to_string(packed.buffer), context_.packed_axes(packed), packed.buffer,
         value);
  }

  void begin(const State& state) {
    const Node& node = graph_.node(state.reduction->node);
    const Halide::Type type =
        node.type.dtype == Dtype::Bool ? Halide::UInt(8) : emitter_.type(node.type.dtype);
    const Expr neutral = Halide::Internal::make_const(type, neutral_of(node));
    fill("begin" + std::to_string(state.reduction->node), context_.state_axes(state), state.buffer,
         [&](const Expr&) { return neutral; });
  }

  static double neutral_of(const Node& node) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const ReduceFn fn = std::get<Reduce>(node.op).fn;
    const bool truth = node.type.dtype == Dtype::Bool, real = is_float(node.type.dtype);
    if (fn == ReduceFn::Max) return truth ? 0 : real ? -kInfinity : -2147483648.0;
    if (fn == ReduceFn::Min) return truth ? 1 : real ? kInfinity : 2147483647.0;
    return 0;
  }

  // Only the rows that there are: by whole vectors where rows lie fastest.
  void fill(const std::string& name, const std::vector<AxisId>& axes, int buffer, auto value_at) {
    const bool in_lanes = axes.back() == row_ && context_.tiling.rows % lanes_ == 0;
    const RDom rows(0, in_lanes ? lanes_ : 1, 0, in_lanes ? (there_ + lanes_ - 1) / lanes_ : there_,
                    "rows_" + name);
    const Expr r = in_lanes ? rows.y * lanes_ + rows.x : Expr(rows.y);
    std::vector<Var> vars;
    std::vector<Expr> at;
    std::vector<Halide::VarOrRVar> order;
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
      vars.push_back(*axis == row_ ? Var("r") : var(*axis));
      at.push_back(*axis == row_ ? r : Expr(vars.back()));
      if (*axis == row_)
        order.insert(order.end(), {rows.x, rows.y});
      else
        order.push_back(vars.back());
    }
    Func f(name);
    const Expr value = value_at(r);
    f(vars) = Halide::undef(value.type());
    f(at) = value;
    if (in_lanes) {  // what only the rows know stays in registers along the features
      order.erase(order.begin() + 1);
      order.push_back(rows.y);
    }
    f.update().reorder(order);
    const auto extents = context_.extents(signature_, axes);
    promise(f.output_buffer(), extents, true);
    if (in_lanes)
      f.update().allow_race_conditions().vectorize(rows.x);
    else if (extents[0] >= lanes_ && axes.back() != row_)
      f.update().vectorize(vars[0], lanes_, Halide::TailStrategy::GuardWithIf);
    signature_.add_result(buffer);
    function_.outputs.push_back(f);
  }

  // A result on the plane is zero where no block is visited for it.
  void clear(NodeId result) {
    const Place& place = context_.source.places.at(result);
    const RDom r(0, there_, "zeros" + std::to_string(result));
    const ScopePtr scope = context_.scope(emitter_, signature_, r.x);
    std::vector<Var> pure;
    std::vector<Expr> at;
    std::vector<Halide::VarOrRVar> order;
    for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis) {
      const bool given = *axis == row_ || context_.is_batch(*axis);
      pure.push_back(var(*axis));
      at.push_back(given ? scope->at[*axis] : Expr(pure.back()));
      if (!given) order.push_back(pure.back());
    }
    order.push_back(r.x);
    Func f("empty" + std::to_string(result));
    const Dtype dtype = graph_.node(result).type.dtype;
    const Expr zero = encode(place.dtype, Halide::Internal::make_zero(emitter_.type(dtype)));
    f(pure) = Halide::undef(zero.type());
    f(at) = zero;
    promise(f.output_buffer(), signature_.fixed_extents(place), true);
    f.update().reorder(order);
    const AxisId last = place.layout.back();
    if (last != row_ && !context_.is_batch(last))
      f.update().vectorize(var(last), lanes_, Halide::TailStrategy::GuardWithIf);
    signature_.add_result(place.buffer);
    function_.outputs.push_back(f);
  }

  TiledContext& context_;
  const Graph& graph_;
  const AxisId row_;
  const int lanes_;
  Signature signature_;
  Emitter emitter_;
  Expr there_;  // rows of this tile
  Function function_;
};

}  // namespace

Function lower_prepare(TiledContext& context) { return Prepare(context).build(); }

}  // namespace fovea::codegen
