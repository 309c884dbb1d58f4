// codegen/tiled.h — the step of a kernel on a pair plane, in the making. For .cpp files of this
// folder, which include Halide.h first.
//
// A tile of rows times the blocks of a chunk:
//   packed    row operands that prepare writes once for the tile
//   contraction  a fold of a term over a feature axis, to a value on the plane
//   panel     a product of plane values, kept for the length of a step
//   folds     of panels, over columns to accumulators of the tile, over rows to stored accumulators
// With many rows they lie across the lanes, the plane as [column][row] (step.cpp); with few rows
// the columns do, the plane as [row][column] (columns.cpp).
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "codegen/lower.h"

namespace fovea::codegen {

struct Tiling {
  int rows, block, chunk;         // of the kernel
  int lanes;                      // f32 of a vector
  int score_rows, score_columns;  // register tile of a contraction to the plane
  int value_rows, value_columns;  // and of one from it
  int fold_rows;                  // rows that a fold without features takes at once
};

Tiling tiling_of(const ir::Kernel& kernel, const ir::Target& target);

// A node times a constant.
using Scaled = std::pair<ir::NodeId, double>;

// A row operand packed by `prepare`: its other axes, then rows, those across the lanes fastest.
struct Packed {
  Scaled what;
  std::vector<ir::AxisId> axes;  // slowest first, without rows and batch
  int buffer;
};

// A row accumulator, kept in scratch from chunk to chunk.
struct State {
  const ir::PlaneReduction* reduction;
  std::vector<ir::AxisId> inner;     // looped outside the tile, slowest first
  std::vector<ir::AxisId> features;  // within a row, slowest first
  int buffer;
};

// What prepare, step and finish share.
struct TiledContext {
  const Source& source;
  const ir::Kernel& kernel;
  const ir::Region& region;
  Tiling tiling;
  std::function<int(runtime::Buffer)> add;
  std::vector<Packed> packed;
  std::vector<State> states;
  std::vector<bool> alike;  // by node: what decides here, and is computed by other kernels too
  // Maxima of scores that are kept as they are, not in units of base 2.
  std::set<ir::NodeId> plain = {};
  // Maxima that exponentials subtract unguarded: where they are -inf, these are NaN.
  std::set<ir::NodeId> unguarded = {};

  // A row operand times `scale` as `prepare` packs it, which from here on it does.
  const Packed& pack(ir::NodeId id, double scale);
  static Halide::Type packed_type(const ir::Node& node, double scale);
  // Walked outside, one coordinate at a time.
  bool is_batch(ir::AxisId axis) const;
  // Axes of a type, ascending, without row, column and batch.
  std::vector<ir::AxisId> other_axes(const ir::Type& type) const;
  // Extents of a scratch buffer over axes with `last` fastest; for Halide and for the runtime.
  std::vector<std::int64_t> extents(const Signature& signature,
                                    const std::vector<ir::AxisId>& axes) const;
  std::vector<runtime::Size> sizes(const std::vector<ir::AxisId>& axes) const;
  // All axes of a packed operand, slowest first.
  std::vector<ir::AxisId> packed_axes(const Packed& packed) const;
  std::vector<ir::AxisId> state_axes(const State& state) const;
  // An emitter that finds extents in the signature.
  void open(Emitter& emitter, Signature& signature) const;
  // Row operands are as far as they go without columns and depend on memory.
  bool is_row_operand(ir::NodeId id) const;
  bool touches_memory(ir::NodeId id) const;
  // Whether a factor is 0 where what it reads is outside.
  bool is_read(const ir::Factor& factor) const;
  // Whether some sum follows this maximum: its state is then in units of base 2.
  bool is_followed(ir::NodeId maximum) const;
  // What the scores that this maximum is taken of are kept times, and what a difference of two of
  // them is multiplied by to be an exponent of 2.
  double kept_scale(ir::NodeId maximum) const;
  double exponent_scale(ir::NodeId maximum, bool base_two) const;
  // A row accumulator at row r of the tile as it is kept, and as the value of its node.
  Halide::Expr state_at(const State& state, Signature& signature, const Emitter& emitter,
                        const ScopePtr& scope, const Halide::Expr& r) const;
  Halide::Expr state_value(const State& state, Signature& signature, const Emitter& emitter,
                           const ScopePtr& scope, const Halide::Expr& r) const;
  // Results on the plane: those that need no accumulator of the tile, or those that do.
  std::vector<ir::NodeId> plane_results(bool late) const;
  // The coordinates of a point of the tile. A shared axis has that of its first member.
  ScopePtr scope(Emitter& emitter, Signature& signature, const Halide::Expr& row) const;
  Halide::Expr first_member(Signature& signature) const;
  // The coordinate along an inner axis of its n-th element in this tile, and the reverse.
  Halide::Expr coordinate(Signature& signature, ir::AxisId axis, const Halide::Expr& n) const;
  Halide::Expr within(Signature& signature, ir::AxisId axis, const Halide::Expr& at) const;
  // Members and rows that there are in this tile, members second.
  Halide::RDom present(Signature& signature, const std::string& name) const;
};

Function lower_prepare(TiledContext& context);
Function lower_step(TiledContext& context, TiledFunctions& functions, bool revisit);
// Also which rows are in doubt, of which maxima.
Function lower_finish(TiledContext& context, TiledFunctions& functions);
Function lower_evaluate(TiledContext& context);
// A fold within a mask, at each point: of what not every head has, `all` or `any` over those that
// have it.
Halide::Expr inline_fold(Emitter& emitter, ir::NodeId id, const ir::Graph& graph,
                         const ScopePtr& scope);
CarryFunctions lower_carry(TiledContext& context);
// How the states of two parts of a tile become one.
std::vector<runtime::Tiled::State> state_rules(const TiledContext& context);
// Cycles or so of one element of the plane.
double pair_work(const TiledContext& context, const Signature& signature);

}  // namespace fovea::codegen
