// passes/simplify.h — folds, shares and drops.
//
//   s = sum(d, q * k) * 1.0 / 8.0           s = sum(d, q * k) * 0.125
//   a = where(j <= i, s, -inf)
//   b = where(i - j < 256, a, -inf)         b = where(i - j < 256 && j <= i, s, -inf)
//   o = b + 0 * 7                           o = b
//
// Constants are folded by the interpreter itself. Identities are a table of rules; each keeps NaN
// and infinity (x * 0 stays) and the value to rounding, but not the sign of zero. Equal nodes are
// shared and what nothing reaches is dropped. Leaves alone: comparisons of an index with a
// constant, which `block_mask` reads; the axes of outputs and degrees, which a rule may otherwise
// shrink.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/build.h"
#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph simplify(const ir::Graph& graph, const ir::Target& target);

class Terms;

// One identity. `apply` is shown a node of the graph being made and returns what equals it, or
// nothing. Every rule makes the graph smaller or moves it towards a form that no rule leaves.
struct Rule {
  std::string_view name;  // "x + 0 -> x"
  std::optional<ir::NodeId> (*apply)(Terms& terms, ir::NodeId id);
};

// Where rules look and build: the graph being made. What rules build is simplified by rules in
// turn.
class Terms {
 public:
  Terms(ir::Builder& into, const ir::Graph& graph, std::span<const std::span<const Rule>> rules,
        bool folds)
      : into_(into), graph_(graph), rules_(rules), folds_(folds) {}

  bool is(ir::NodeId id, ir::Fn fn) const;
  bool is(ir::NodeId id, ir::ReduceFn fn) const;
  // The value of a constant.
  std::optional<double> number(ir::NodeId id) const;
  bool is_number(ir::NodeId id, double value) const;
  const ir::Node& operator[](ir::NodeId id) const { return into_[id]; }
  ir::NodeId input(ir::NodeId id, int n) const;
  ir::Dtype dtype(ir::NodeId id) const { return into_[id].type.dtype; }
  bool is_exact(ir::NodeId id) const;  // integer or bool: no NaN, no infinity, no rounding
  // Whether integers may wrap around here.
  bool may_wrap(ir::NodeId id) const;
  // The extent of an axis fixed in the text.
  std::optional<std::int64_t> extent(ir::AxisId axis) const;

  ir::NodeId constant(double value, ir::Dtype dtype);
  ir::NodeId map(ir::Fn fn, std::vector<ir::NodeId> inputs);
  ir::NodeId cast(ir::Dtype to, ir::NodeId x);  // x itself if it is one
  ir::NodeId size(ir::AxisId axis);
  ir::NodeId read(ir::NodeId x, std::vector<ir::Builder::At> at);

  // What equals the node and no rule applies to; of the same dtype.
  ir::NodeId simplified(ir::NodeId id);

 private:
  ir::Builder& into_;
  const ir::Graph& graph_;
  std::span<const std::span<const Rule>> rules_;
  bool folds_;
};

// The table, in three parts.
std::span<const Rule> arithmetic_rules();
std::span<const Rule> logic_rules();
std::span<const Rule> structure_rules();

// One rule alone, for its test.
ir::Graph simplify_with(const ir::Graph& graph, const Rule& rule);

}  // namespace fovea::passes
