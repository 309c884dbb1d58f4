// The state of a kernel that carries (ir/carry.h): for each sum
//
//   absorb   state[d, e] = state[d, e] * decay[d]
//                        + sum(j of blocks, columns[j, d] * features[j, e])
//   recall   accumulator[r, e] += sum(d, rows[r, d] * state[d, e])
//
// A gap exp(x) is cut at a row of reference, `from` of the last call of absorb: the column's part
// is exp(x) seen from there, the row's part the rest of the way.
#include "ir/carry.h"

#include <Halide.h>

#include <algorithm>
#include <numbers>
#include <optional>
#include <utility>

#include "codegen/tiled.h"
#include "ir/require.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;
using namespace ir;
using Kind = runtime::Argument::Kind;

// A sum, its accumulator and its state.
struct Carried {
  CarriedSum sum;
  const State* into;
  int buffer;
};

// What absorb and recall have in common.
class CarryFunction {
 public:
  CarryFunction(TiledContext& context, std::string name)
      : context_(context),
        graph_(context.source.graph),
        tiling_(context.tiling),
        signature_(graph_, context.source.places),
        emitter_(graph_, false) {
    function_.name = std::move(name);
    emitter_.extent = [this](AxisId axis) { return signature_.extent(axis); };
    emitter_.checked = context.source.checked;
    emitter_.uniform = context.region.batch;
    row_ = signature_.number(Kind::row, 0, "row");
    from_ = signature_.number(Kind::from, 0, "from");
  }

 protected:
  Function finished() {
    function_.halide = signature_.halide();
    function_.arguments = signature_.runtime();
    return std::move(function_);
  }

  ScopePtr scope_at(const Expr& row) {
    const ScopePtr scope = context_.scope(emitter_, signature_, 0);
    scope->at[static_cast<std::size_t>(context_.kernel.row)] = row;
    return scope;
  }

  // How far an additive value is from what it is at another row.
  Expr way(NodeId id, const ScopePtr& to, const ScopePtr& from) {
    const Node& node = graph_.node(id);
    const AxisId row = context_.kernel.row, column = context_.kernel.column;
    if (!node.type.has(row)) return Halide::Internal::make_zero(emitter_.type(node.type.dtype));
    if (!node.type.has(column)) return emitter_.value(id, to) - emitter_.value(id, from);
    const auto input = [&](std::size_t n) { return way(node.inputs[n], to, from); };
    switch (std::get<Map>(node.op).fn) {
      case Fn::Add: return input(0) + input(1);
      case Fn::Sub: return input(0) - input(1);
      case Fn::Neg: return -input(0);
      case Fn::Cast: return Halide::cast<float>(input(0));
      default: break;
    }
    invariant(std::get<Map>(node.op).fn == Fn::Mul, "a gap is not additive");
    const auto& first = graph_.node(node.inputs[0]).type;
    const std::size_t moves = first.has(row) || first.has(column) ? 0 : 1;
    return input(moves) * emitter_.value(node.inputs[1 - moves], to);
  }

  static Expr power(const Gap& gap, const Expr& exponent) {
    const Expr x = Halide::cast<float>(exponent);
    return exp2_any(gap.base_two ? x : x * std::numbers::log2e_v<float>);
  }

  Expr multiply(const Expr& product, const Factor& factor, const ScopePtr& scope) {
    emitter_.guards = context_.is_read(factor) ? guards_ : nullptr;
    const Expr x = Halide::cast<float>(emitter_.value(factor.node, scope));
    emitter_.guards = nullptr;
    if (!product.defined()) return factor.inverted ? 1.F / x : x;
    return factor.inverted ? product / x : product * x;
  }

  // Runs `make` with factors that are read outside collected; what it makes counts as 0 where one
  // is.
  template <class Make>
  std::pair<Expr, Expr> guarded(Make make) {
    std::vector<Expr> guards;
    guards_ = &guards;
    const Expr value = make();
    guards_ = nullptr;
    Expr all = Halide::Internal::const_true();
    for (const Expr& guard : guards) all = all && guard;
    return {value, all};
  }

  std::vector<AxisId> axes(const Carried& carried) const {
    std::vector<AxisId> all;
    if (carried.sum.inner != kNone) all.push_back(carried.sum.inner);
    all.insert(all.end(), carried.into->features.begin(), carried.into->features.end());
    return all;
  }

  static std::vector<Var> vars(const std::vector<AxisId>& axes) {
    std::vector<Var> result;
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) result.push_back(var(*axis));
    return result;
  }

  struct Columns {
    int width, lanes;
    TailStrategy tail;
  };

  // How many feature columns a register tile takes.
  Columns columns(AxisId feature) const {
    const std::int64_t extent = signature_.fixed_extent(feature);
    for (int width = tiling_.value_columns; width >= tiling_.lanes; width /= 2)
      if (extent >= 0 && extent % width == 0) return {width, tiling_.lanes, TailStrategy::RoundUp};
    return {tiling_.lanes, tiling_.lanes, TailStrategy::GuardWithIf};
  }

  TiledContext& context_;
  const Graph& graph_;
  const Tiling& tiling_;
  Signature signature_;
  Emitter emitter_;
  Function function_;
  Expr row_, from_;

 private:
  std::vector<Expr>* guards_ = nullptr;
};

class Absorb : CarryFunction {
 public:
  explicit Absorb(TiledContext& context) : CarryFunction(context, context.source.name + "_absorb") {
    emitter_.resolve = [this](NodeId id, const ScopePtr& scope) {
      return context_.source.leaves[static_cast<std::size_t>(id)]
                 ? signature_.load(id, scope, {context_.kernel.row, context_.kernel.column})
                 : Expr();
    };
    here_ = signature_.number(Kind::here, 0, "here");
    blocks_ = signature_.buffer(0, Halide::Int(32), {-1}, Kind::blocks);
    const Var n("n");
    left_ = Func("left");
    // For a whole chunk, and the list may end before.
    const Expr first = block(Halide::min(n, here_ - 1)) * tiling_.block;
    left_(n) = Halide::min(signature_.extent(context_.kernel.column) - first, tiling_.block);
    left_.compute_root().bound_storage(n, tiling_.chunk);
  }

  Function operator()(const std::vector<Carried>& all) {
    for (const Carried& carried : all) add(carried);
    return finished();
  }

 private:
  Expr block(const Expr& n) {
    const Expr last = (signature_.extent(context_.kernel.column) - 1) / tiling_.block;
    return promised(blocks_(signature_.within(n, 0, here_ - 1)), 0, last);
  }

  ScopePtr scope(const Carried& carried, const Expr& j, const Expr& n) {
    const ScopePtr scope = scope_at(row_);
    scope->at[static_cast<std::size_t>(context_.kernel.column)] = block(n) * tiling_.block + j;
    for (const AxisId axis : axes(carried)) scope->at[static_cast<std::size_t>(axis)] = var(axis);
    return scope;
  }

  bool has_feature(const Carried& carried, NodeId id) const {
    return std::ranges::any_of(carried.into->features,
                               [&](AxisId axis) { return graph_.node(id).type.has(axis); });
  }

  RDom walk(const std::string& name) {
    RDom c(0, tiling_.block, 0, tiling_.chunk, name);
    c.where(c.y < here_);
    c.where(c.x < left_(c.y));
    return c;
  }

  // What has no features: read as it lies if it is one tensor, else computed once.
  Expr without_features(const Carried& carried, const RDom& c) {
    const auto value = [&](const ScopePtr& at) {
      Expr product;
      for (const Factor& factor : carried.sum.columns)
        if (!has_feature(carried, factor.node)) product = multiply(product, factor, at);
      for (const Gap& gap : carried.sum.gaps) {
        const Expr x = power(gap, emitter_.value(gap.exponent, at));
        product = product.defined() ? product * x : x;
      }
      return product;
    };
    const Expr direct = value(scope(carried, c.x, c.y));
    const auto plain = std::ranges::count_if(carried.sum.columns, [&](const Factor& factor) {
      return !has_feature(carried, factor.node);
    });
    if (!direct.defined()) return Expr(1.F);
    if (plain == 1 && carried.sum.gaps.empty()) return direct;
    const std::string id = std::to_string(carried.sum.reduction);
    const Var j("j"), n("n");
    RDom at = walk("p" + id);
    Func part("part" + id);
    const AxisId inner = carried.sum.inner;
    std::vector<Var> pure{j, n};
    std::vector<Expr> here{at.x, at.y}, there{c.x, c.y};
    if (inner != kNone) {
      pure.insert(pure.begin(), var(inner));
      here.insert(here.begin(), var(inner));
      there.insert(there.begin(), var(inner));
    }
    part(pure) = Halide::undef<float>();
    part(here) = value(scope(carried, at.x, at.y));
    part.compute_root().bound(j, 0, tiling_.block).bound(n, 0, tiling_.chunk);
    if (inner != kNone) {
      part.bound(var(inner), 0, signature_.extent(inner));
      part.update().reorder(var(inner), at.x, at.y);
      vectorize(part, inner);
    }
    return part(there);
  }

  void vectorize(Func f, AxisId axis) const {
    const std::int64_t extent = signature_.fixed_extent(axis);
    if (extent < 0 || extent >= tiling_.lanes)
      f.update().vectorize(var(axis), tiling_.lanes, TailStrategy::GuardWithIf);
  }

  void add(const Carried& carried) {
    const std::string id = std::to_string(carried.sum.reduction);
    const std::vector<AxisId> all = axes(carried);
    const RDom c = walk("c" + id);
    const auto [term, inside] = guarded([&] {
      Expr product = without_features(carried, c);
      const ScopePtr at = scope(carried, c.x, c.y);
      for (const Factor& factor : carried.sum.columns)
        if (has_feature(carried, factor.node)) product = multiply(product, factor, at);
      return product;
    });
    // The blocks alone first: fewer roundings, and accumulators that stay in registers.
    Func fresh("fresh" + id), state("state" + id);
    fresh(vars(all)) = 0.F;
    fresh(vars(all)) += term;
    schedule(fresh, carried, c);
    Expr decay(1.F);
    const ScopePtr to = scope(carried, 0, 0), from = scope_at(from_);
    for (const AxisId axis : all) from->at[static_cast<std::size_t>(axis)] = var(axis);
    for (const Gap& gap : carried.sum.gaps) decay = decay * power(gap, way(gap.exponent, to, from));
    state(vars(all)) = Halide::undef<float>();
    state(vars(all)) = state(vars(all)) * decay + Halide::select(inside, fresh(vars(all)), 0.F);
    for (const AxisId axis : all) state.bound(var(axis), 0, signature_.extent(axis));
    promise(state.output_buffer(), context_.extents(signature_, all), true);
    if (!all.empty()) vectorize(state, all.back());
    signature_.add_result(carried.buffer);
    function_.outputs.push_back(state);
  }

  void schedule(Func f, const Carried& carried, const RDom& c) {
    f.compute_root();
    for (const AxisId axis : axes(carried)) f.bound(var(axis), 0, signature_.extent(axis));
    const AxisId inner = carried.sum.inner;
    const std::vector<AxisId>& features = carried.into->features;
    if (features.empty()) {
      if (inner == kNone) return;
      f.update().reorder(var(inner), c.x, c.y);
      vectorize(f, inner);
      return;
    }
    const Var e = var(features.back()), ei("ei"), eo("eo"), di("di"), dO("do");
    const Columns tile = columns(features.back());
    auto update = f.update();
    update.split(e, eo, ei, tile.width, tile.tail);
    std::vector<Halide::VarOrRVar> order{ei};
    const std::int64_t extent = inner == kNone ? 0 : signature_.fixed_extent(inner);
    // A tile of d that divides it: the last would else be moved, and add twice.
    const int rows = extent % 6 == 0 ? 6 : extent % 4 == 0 ? 4 : 1;
    if (inner != kNone) {
      update.split(var(inner), dO, di, extent > 0 ? rows : 1, TailStrategy::GuardWithIf);
      order.insert(order.end(), {di, c.x, dO, eo});
    } else {
      order.insert(order.end(), {c.x, eo});
    }
    order.push_back(c.y);
    for (auto axis = features.rbegin() + 1; axis != features.rend(); ++axis)
      order.push_back(var(*axis));
    update.reorder(order).vectorize(ei, tile.lanes).unroll(ei);
    if (inner != kNone) update.unroll(di);
  }

  Expr here_;
  Halide::ImageParam blocks_;
  Func left_;
};

class Recall : CarryFunction {
 public:
  explicit Recall(TiledContext& context) : CarryFunction(context, context.source.name + "_recall") {
    emitter_.resolve = [this](NodeId id, const ScopePtr& scope) { return resolve(id, scope); };
  }

  Function operator()(const std::vector<Carried>& all) {
    for (const Carried& carried : all) add(carried);
    return finished();
  }

 private:
  Expr resolve(NodeId id, const ScopePtr& scope) {
    const AxisId row = context_.kernel.row;
    if (scope.get() == tile_.get() && context_.is_row_operand(id)) return packed(id, scope);
    return context_.source.leaves[static_cast<std::size_t>(id)] ? signature_.load(id, scope, {row})
                                                                : Expr();
  }

  Expr packed(NodeId id, const ScopePtr& scope) {
    const Packed& operand = context_.pack(id, 1);
    const std::vector<AxisId> axes = context_.packed_axes(operand);
    const Halide::Type type = TiledContext::packed_type(graph_.node(id), 1);
    Halide::ImageParam image =
        signature_.buffer(operand.buffer, type, context_.extents(signature_, axes));
    std::vector<Expr> where;
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis)
      where.push_back(*axis == context_.kernel.row ? r_
                                                   : scope->at[static_cast<std::size_t>(*axis)]);
    const Expr value = image(where);
    return type == Halide::UInt(8) ? value != Halide::cast<std::uint8_t>(0) : value;
  }

  // The row's part at a row of the tile, across the lanes, and at a coordinate of the inner axis.
  Expr rows(const Carried& carried, const Expr& r, const Expr& d) {
    const AxisId inner = carried.sum.inner;
    const auto value = [&](const Expr& row, const Expr& at) {
      r_ = row;
      tile_ = scope_at(row_ + row);
      const ScopePtr from = scope_at(from_);
      if (inner != kNone)
        tile_->at[static_cast<std::size_t>(inner)] = from->at[static_cast<std::size_t>(inner)] = at;
      Expr product;
      for (const Factor& factor : carried.sum.rows) product = multiply(product, factor, tile_);
      for (const Gap& gap : carried.sum.gaps) {
        const Expr x = power(gap, way(gap.exponent, tile_, from));
        product = product.defined() ? product * x : x;
      }
      if (!product.defined()) return Expr(static_cast<float>(carried.sum.scale));
      return carried.sum.scale == 1 ? product : product * static_cast<float>(carried.sum.scale);
    };
    const bool simple = carried.sum.rows.size() == 1 && carried.sum.gaps.empty() &&
                        carried.sum.scale == 1 && !carried.sum.rows[0].inverted;
    if (simple) return value(r, d);
    const Var x("x");
    Func part("rows" + std::to_string(carried.sum.reduction));
    std::vector<Var> pure{x};
    std::vector<Expr> there{r};
    if (inner != kNone) {
      pure.push_back(var(inner));
      there.push_back(d);
    }
    part(pure) = value(x, inner == kNone ? Expr(0) : Expr(var(inner)));
    if (inner != kNone) part.bound(var(inner), 0, signature_.extent(inner));
    part.compute_root().bound(x, 0, tiling_.rows).vectorize(x, tiling_.lanes);
    return part(there);
  }

  void add(const Carried& carried) {
    const std::string id = std::to_string(carried.sum.reduction);
    const State& into = *carried.into;
    const Var r("r");
    const AxisId inner = carried.sum.inner;
    const std::vector<AxisId> all = axes(carried);
    const RDom d = inner == kNone ? RDom() : RDom(0, signature_.extent(inner), "d" + id);
    Halide::ImageParam state =
        signature_.buffer(carried.buffer, Halide::Float(32), context_.extents(signature_, all));
    std::vector<Expr> there;
    for (auto axis = all.rbegin(); axis != all.rend(); ++axis)
      there.push_back(*axis == inner ? Expr(d.x) : Expr(var(*axis)));
    const auto [term, inside] = guarded([&] {
      return rows(carried, r, inner == kNone ? Expr(0) : Expr(d.x)) * Expr(state(there));
    });
    std::vector<Var> where = vars(into.features);
    where.push_back(r);
    std::vector<AxisId> layout{context_.kernel.row};
    layout.insert(layout.end(), into.features.begin(), into.features.end());
    Func f("recall" + id);
    f(where) = Halide::undef<float>();
    f(where) += Halide::select(inside, term, 0.F);
    f.bound(r, 0, tiling_.rows);
    for (const AxisId axis : into.features) f.bound(var(axis), 0, signature_.extent(axis));
    promise(f.output_buffer(), context_.extents(signature_, layout), true);
    schedule(f, into, d, r);
    signature_.add_result(into.buffer);
    function_.outputs.push_back(f);
  }

  void schedule(Func f, const State& into, const RDom& d, const Var& r) {
    const Var ri("ri"), ro("ro"), ei("ei"), eo("eo");
    auto update = f.update();
    if (into.features.empty()) {
      update.split(r, ro, ri, tiling_.fold_rows);
      if (d.defined()) update.reorder(ri, d.x, ro);
      update.vectorize(ri, tiling_.lanes).unroll(ri);
      return;
    }
    const Columns tile = columns(into.features.back());
    update.split(r, ro, ri, tiling_.value_rows)
        .split(var(into.features.back()), eo, ei, tile.width, tile.tail);
    std::vector<Halide::VarOrRVar> order{ei, ri};
    if (d.defined()) order.push_back(d.x);
    order.insert(order.end(), {ro, eo});
    for (auto axis = into.features.rbegin() + 1; axis != into.features.rend(); ++axis)
      order.push_back(var(*axis));
    update.reorder(order).vectorize(ei, tile.lanes).unroll(ei).unroll(ri);
  }

  ScopePtr tile_;  // where row operands are packed
  Expr r_;
};

}  // namespace

CarryFunctions lower_carry(TiledContext& context) {
  const auto sums = carried_sums(context.source.graph, context.kernel, context.region);
  require(sums.has_value(), Code::invalid_config,
          "kernel '{}' says carry=solid: expected a mask that opens along its rows, and sums of "
          "products of what rows and columns bring",
          context.kernel.name);
  CarryFunctions result;
  std::vector<Carried> all;
  for (const CarriedSum& sum : *sums) {
    const auto state = std::ranges::find_if(
        context.states, [&](const State& each) { return each.reduction->node == sum.reduction; });
    invariant(state != context.states.end() && state->inner.empty(), "a carried sum has no state");
    std::vector<AxisId> axes;
    if (sum.inner != kNone) axes.push_back(sum.inner);
    axes.insert(axes.end(), state->features.begin(), state->features.end());
    const int buffer =
        context.add({context.source.name + ".carried" + std::to_string(sum.reduction),
                     runtime::Buffer::Role::scratch, runtime::Dtype::F32, context.sizes(axes)});
    all.push_back({sum, &*state, buffer});
    result.buffers.push_back(buffer);
  }
  result.absorb = Absorb(context)(all);
  result.recall = Recall(context)(all);
  return result;
}

}  // namespace fovea::codegen
