// codegen/emit.h — nodes as Halide expressions at a point. For .cpp files of this folder, which include
// Halide.h first.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/ranges.h"
#include "ir/region.h"

namespace fovea::codegen {

// A point of the space of all axes: a coordinate for each axis that has one there.
struct Scope {
  std::vector<Halide::Expr> at;  // by AxisId; undefined where the axis has none
  std::map<std::pair<ir::NodeId, bool>, Halide::Expr> memo;
  std::map<std::pair<ir::NodeId, double>, Halide::Expr> multiples;  // by factor
  std::set<ir::NodeId> confined;  // integers and bools whose ends Halide knows
  bool moved = false;             // below a Read
};
using ScopePtr = std::shared_ptr<Scope>;

// Emits values. What a kernel does not compute inline (loads of leaves, calls of Funcs) comes from
// `resolve`; everything else follows the definitions of ir/interpret.
class Emitter {
 public:
  // exact: in double, and exact zeros annihilate in sums of products.
  Emitter(const ir::Graph& graph, bool exact);

  // The value if it is not to be computed inline, else an undefined Expr.
  std::function<Halide::Expr(ir::NodeId, const ScopePtr&)> resolve;
  // The extent of an axis.
  std::function<Halide::Expr(ir::AxisId)> extent;
  // Whether a Read's coordinates are known to be inside (checked before the kernel runs).
  std::vector<bool> checked;
  // Within long arithmetic that becomes one call: nothing of it need be hidden from Halide.
  bool encloses = false;
  // If set, conditions "this read is inside" that vary only along `uniform` axes are collected here
  // instead of being applied; the caller's product is zero where any of them is false.
  std::vector<Halide::Expr>* guards = nullptr;
  std::vector<ir::AxisId> uniform;

  bool exact() const { return exact_; }
  bool decides(ir::NodeId id) const { return decides_[static_cast<std::size_t>(id)]; }
  Halide::Type type(ir::Dtype dtype) const;  // what values of that dtype are computed in
  // `annihilating`: as the term of a sum; only of effect if exact.
  Halide::Expr value(ir::NodeId id, const ScopePtr& scope, bool annihilating = false);
  // The value of a condition as a bool, also where a tensor holds it as numbers.
  Halide::Expr truth(ir::NodeId id, const ScopePtr& scope);
  // The value of a result, but where it is -inf and no `where(c, x, -inf)` around it says so, NaN:
  // not to be trusted, and computed again, exactly.
  Halide::Expr marked(ir::NodeId result, const ir::Leaves& leaves, const Halide::Expr& x,
                      const ScopePtr& scope);
  Halide::Expr number(double x) const;

  ScopePtr scope() const;  // no coordinates
  ScopePtr with(const ScopePtr& scope, ir::AxisId axis, Halide::Expr at) const;

 private:
  Halide::Expr compute(ir::NodeId id, const ScopePtr& scope, bool annihilating);
  Halide::Expr map(ir::NodeId id, const ScopePtr& scope, bool annihilating);
  Halide::Expr of(ir::NodeId id, std::vector<Halide::Expr> x) const;  // a Map of computed inputs
  Halide::Expr enclosed(ir::NodeId id, const ScopePtr& scope);
  bool is_enclosed(ir::NodeId id) const;
  Halide::Expr multiple(ir::NodeId id, const ScopePtr& scope, bool annihilating);
  Halide::Expr with_ends(ir::NodeId id, const ScopePtr& scope, const Halide::Expr& x) const;
  Halide::Expr read(ir::NodeId id, const ScopePtr& scope, bool annihilating);

  const ir::Graph& graph_;
  bool exact_;
  ir::Overflow overflow_;
  std::vector<bool> decides_;   // by NodeId
  std::vector<int> decisions_;  // of arithmetic on integers and bools, by NodeId
};

// The loop variable of an axis; the same wherever a kernel loops over it.
Halide::Var var(ir::AxisId axis);

// Storage types as they lie in memory (bf16 and f16 as u16, i4 two to a byte, bool as u8).
Halide::Type stored_type(ir::Dtype dtype);
// From what was loaded (for i4 the nibble's byte and its coordinate) to f32 or i32 or bool.
Halide::Expr decode(ir::Dtype dtype, Halide::Expr raw, Halide::Expr coordinate);
// From a computed value to what is stored; i4 gives the low nibble.
Halide::Expr encode(ir::Dtype dtype, Halide::Expr value);

// What a running maximum starts from.
constexpr float kLowest = -std::numeric_limits<float>::max();

// 2^x for x <= 0 or so: relative error 2.4e-7, 2^0 == 1, 0 below 2^-99.5 (a weight that no sum with a
// largest weight of 1 would notice), NaN stays NaN.
Halide::Expr exp2_below(Halide::Expr x);
// The same for any x: infinity from 2^128 up, 0 below 2^-125.5.
Halide::Expr exp2_any(Halide::Expr x);
// x, rounded to f32 before anything else is made of it (codegen/multiply_adds.h).
Halide::Expr rounded(const Halide::Expr& x);
// NaN: what holds one is computed again, exactly.
Halide::Expr not_trusted();
// By the bits: Halide folds x != x to false.
Halide::Expr not_a_number(Halide::Expr x);
// An integer that is known to lie between these: Halide is told so, and with FOVEA_ASSERTS=1 the
// kernel looks whether it is true.
Halide::Expr promised(const Halide::Expr& x, const Halide::Expr& low, const Halide::Expr& high);
// Arithmetic of i32 that wraps around: of its own, Halide takes for granted that it does not.
Halide::Expr wrapping(ir::Fn fn, const std::vector<Halide::Expr>& x);
// The same integer, of which Halide knows nothing: neither its ends, nor arithmetic that it could
// move to the other side of a comparison, where it takes for granted that nothing wraps around.
Halide::Expr hidden(const Halide::Expr& x);
// An element function on computed values, whose integers do not wrap around. `to`: the dtype of the result.
Halide::Expr apply(ir::Fn fn, std::vector<Halide::Expr> x, ir::Dtype to, bool exact);

}  // namespace fovea::codegen
