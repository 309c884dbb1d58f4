#include <Halide.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string_view>
#include <utility>

#include "codegen/plane.h"
#include "codegen/stages.h"
#include "codegen/staging.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::Var;
using Halide::Internal::Variable;
using namespace ir;

// Whether an expression is made of the function's numbers alone.
bool is_given(const Expr& e) {
  struct Search : Halide::Internal::IRVisitor {
    using IRVisitor::visit;
    void visit(const Variable* op) override { given &= op->param.defined(); }
    void visit(const Halide::Internal::Call* /*op*/) override { given = false; }
    bool given = true;
  } search;
  e.accept(&search);
  return search.given;
}

bool equal(const std::vector<Expr>& a, const std::vector<Expr>& b) {
  return std::ranges::equal(
      a, b, [](const Expr& x, const Expr& y) { return Halide::Internal::equal(x, y); });
}

// Rows that are turned at once: what vectors hold, as far as it divides the tiles of rows.
int turned_rows(const Tiling& tiling, int bits) {
  const int widest = bits == 32 ? tiling.lanes : 128 / bits;
  const int rows = std::gcd(tiling.rows, tiling.score_rows);
  return std::min(widest, rows & -rows);
}

// Calls `ahead_of` a stage in the loop over register tiles that reads it.
class FetchAhead : public Halide::Internal::IRMutator {
 public:
  using IRMutator::mutate;

 private:
  using IRMutator::visit;
  using Stmt = Halide::Internal::Stmt;

  Stmt visit(const Halide::Internal::LetStmt* op) override {
    const auto* call = op->value.as<Halide::Internal::Call>();
    const auto name = call ? ahead_of(call->name) : std::nullopt;
    if (name && std::ranges::all_of(call->args, is_plain))
      stages_[producing_] = {*name, call->args};
    const Stmt result = IRMutator::visit(op);
    // Beyond its memory there is nothing to fetch, whether somebody has read it or not.
    if (op->name.ends_with(kBuffer))
      stages_.erase(op->name.substr(0, op->name.size() - kBuffer.size()));
    return result;
  }

  Stmt visit(const Halide::Internal::ProducerConsumer* op) override {
    if (!op->is_producer) return IRMutator::visit(op);
    const std::string outer = std::exchange(producing_, op->name);
    const Stmt result = IRMutator::visit(op);
    producing_ = outer;
    return result;
  }

  Stmt visit(const Halide::Internal::For* op) override {
    Stmt body = mutate(op->body);
    if (op->name.ends_with("$y"))  // of a panel's walk (step.cpp)
      for (const auto& [producer, stage] : stages_) {
        std::vector<Expr> arguments = stage.arguments;
        arguments.insert(arguments.end(), {Variable::make(Halide::Int(32), op->name), op->extent});
        body = Halide::Internal::Block::make(
            Halide::Internal::Evaluate::make(Halide::Internal::Call::make(
                Halide::Int(32), stage.name, arguments, Halide::Internal::Call::Extern)),
            body);
      }
    return Halide::Internal::For::make(op->name, op->min, op->extent, op->for_type, op->device_api,
                                       body);
  }

  static constexpr std::string_view kBuffer = ".buffer";

  // Whether it means the same wherever the stage can be read.
  static bool is_plain(const Expr& argument) {
    const auto* variable = argument.as<Variable>();
    return is_given(argument) || (variable && variable->name.ends_with(kBuffer));
  }

  struct Called {
    std::string name;
    std::vector<Expr> arguments;
  };
  std::map<std::string, Called> stages_;  // by Func
  std::string producing_;
};

}  // namespace

void fetch_ahead(Halide::Module& module) {
  for (auto& function : module.functions()) function.body = FetchAhead().mutate(function.body);
}

// An input whose rows are the fastest is staged too: they end anywhere, and to stop there a vector
// would have to be gathered.
Expr Stages::load(NodeId leaf, const ScopePtr& scope, const Point& point,
                  const Halide::ImageParam& blocks, bool partial) {
  const Place& place = context_->source.places.at(leaf);
  const AxisId row = context_->kernel.row, column = context_->kernel.column;
  const auto is_own = [&](AxisId axis) {
    return scope->at[axis].defined() && scope->at[axis].same_as(point.scope->at[axis]);
  };
  if (place.dtype == Dtype::I4 || !is_own(row) || !is_own(column)) return {};
  const std::vector<AxisId> axes(place.layout.rbegin(), place.layout.rend());
  const auto row_at = std::ranges::find(axes, row), column_at = std::ranges::find(axes, column);
  if (row_at == axes.end() || column_at == axes.end()) return {};
  const bool turned = row_at != axes.begin();
  if (turned && row_at < column_at) return {};
  Stage wanted{leaf, partial, {}, {}, 0, {}, {}};
  std::vector<int> along;
  for (auto axis = axes.begin(); axis != axes.end(); ++axis) {
    const Expr at = scope->at[*axis];
    const bool in_run = turned && axis < column_at;
    wanted.given.push_back(*axis == row ? signature_->number(runtime::Argument::Kind::row, 0, "row")
                           : is_given(at) ? at
                                          : Expr(0));
    if (*axis == row || *axis == column) {
      along.push_back(*axis == row ? 0 : 1);
    } else if (is_given(at) && !in_run) {
      along.push_back(-1);
    } else if (at.as<Variable>() && !is_given(at) &&  // a run is staged whole
               (!in_run || (is_own(*axis) && signature_->fixed_extent(*axis) >= 0))) {
      along.push_back(3 + static_cast<int>(wanted.free.size()));
      wanted.free.push_back(at);
      wanted.run += in_run;
    } else {
      return {};
    }
  }
  std::vector<Expr> arguments{point.r, point.j, point.n};
  arguments.insert(arguments.end(), wanted.free.begin(), wanted.free.end());
  const Stage& found = stage(std::move(wanted), along, blocks);
  return decode(place.dtype, found.func(arguments), 0);
}

Stages::Stage& Stages::stage(Stage wanted, const std::vector<int>& along,
                             const Halide::ImageParam& blocks) {
  const auto known = std::ranges::find_if(stages_, [&](const Stage& other) {
    return other.leaf == wanted.leaf && other.partial == wanted.partial &&
           equal(other.given, wanted.given) && equal(other.free, wanted.free);
  });
  if (known != stages_.end()) return *known;
  const Place& place = context_->source.places.at(wanted.leaf);
  const Halide::Type type = stored_type(place.dtype);
  std::vector<Halide::ExternFuncArgument> arguments{
      signature_->buffer(place.buffer, type, signature_->fixed_extents(place)), blocks};
  arguments.insert(arguments.end(), wanted.given.begin(), wanted.given.end());
  wanted.vars = {Var("r"), Var("j"), Var("n")};
  for (std::size_t n = 0; n < wanted.free.size(); n++)
    wanted.vars.emplace_back("x" + std::to_string(n));
  wanted.func = Func("staged" + std::to_string(wanted.leaf) + (wanted.partial ? "p" : "") +
                     std::to_string(stages_.size()));
  const Staging staging{type.bits(),
                        turned_rows(context_->tiling, type.bits()),
                        context_->tiling.rows,
                        context_->tiling.block,
                        along,
                        context_->source.target.wide_indices};
  wanted.func.define_extern(symbol_of(staging), arguments, type, wanted.vars,
                            Halide::NameMangling::C);
  // What it needs is known: Halide need not ask the function.
  wanted.func.function().extern_definition_proxy_expr() = 0;
  std::vector<Var> order{wanted.vars[0]};
  order.insert(order.end(), wanted.vars.begin() + 3,
               wanted.vars.begin() + 3 + std::ptrdiff_t(wanted.run));
  order.insert(order.end(), {wanted.vars[1], wanted.vars[2]});
  order.insert(order.end(), wanted.vars.begin() + 3 + std::ptrdiff_t(wanted.run),
               wanted.vars.end());
  wanted.func.reorder_storage(order);
  stages_.push_back(std::move(wanted));
  return stages_.back();
}

// As far inside as nothing is staged twice; what has many elements to a pair, for a register tile.
void Stages::schedule(const Func& panel, const StageLoops& loops, bool partial) {
  for (Stage& stage : stages_) {
    if (stage.partial != partial) continue;
    Halide::LoopLevel level(panel, loops.pieces);
    const auto along = [&](AxisId axis, std::size_t first) {
      const std::string name = var(axis).name();
      return std::any_of(stage.free.begin() + std::ptrdiff_t(first), stage.free.end(),
                         [&](const Expr& at) { return at.as<Variable>()->name == name; });
    };
    std::size_t n = 0;
    while (n < loops.inner.size() && along(loops.inner[n], stage.run))
      level = Halide::LoopLevel(panel, var(loops.inner[n++]));
    if (n == loops.inner.size() && loops.rows)
      level = stage.run > 0 ? Halide::LoopLevel(panel, *loops.columns)
                            : Halide::LoopLevel(panel, *loops.rows);
    stage.func.compute_at(level);
  }
}

}  // namespace fovea::codegen
