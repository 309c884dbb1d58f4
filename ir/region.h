// ir/region.h — what a kernel on a pair plane consists of: which nodes lie on the plane, which fold it
// away, and which of those a running maximum can carry along (the softmax of one pass).
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

// Nodes that are there before a kernel starts: inputs and what other kernels store.
using Leaves = std::vector<bool>;

// A factor of a product or a numerator, taken apart through Mul, Neg (as the factor -1) and Div (the
// denominator as an inverted factor).
struct Factor {
  NodeId node = kNone;
  bool inverted = false;
};

// Node seen as a product. `negative` collects Neg.
struct Product {
  std::vector<Factor> factors;
  bool negative = false;
};
Product product_of(const Graph& graph, NodeId node, const Leaves& leaves);

// exp(x - m) with m = max(axis, x) or where(m == -inf, 0, m): what keeps a softmax from overflowing.
struct Stabilised {
  NodeId maximum = kNone;   // the Reduce(Max)
  NodeId argument = kNone;  // x
  bool base_two = false;    // exp2 rather than exp
  bool guarded = true;      // a row of -inf is exp(-inf - 0); without the guard it is NaN
};
std::optional<Stabilised> stabilised(const Graph& graph, NodeId exponential);

// The maxima that stand without a guard in exponentials that `roots` are made of, down to the leaves.
std::vector<NodeId> unguarded_maxima(const Graph& graph, const std::vector<NodeId>& roots,
                                     const Leaves& leaves);

// What must hold for a value not to be -inf by `where(c, x, -inf)` around it, outermost first.
std::vector<NodeId> hidden_by(const Graph& graph, NodeId node, const Leaves& leaves);

// A reduction of the plane over its rows or columns.
struct PlaneReduction {
  NodeId node = kNone;
  bool over_columns = true;  // otherwise over rows
  // The Reduce(Max) in whose exp(x - m) it is linear, if that is of this region.
  NodeId maximum = kNone;
  bool base_two = false;  // linear in exp2(x - m)
};

struct Region {
  AxisId row = kNone, column = kNone;
  Leaves leaves;
  std::vector<PlaneReduction> reductions;  // in dependency order, those of this pass over the plane
  std::vector<AxisId> batch;               // axes that everything on the plane has, walked outside
  const PlaneReduction* find(NodeId node) const;
};

// Whether the node is a Reduce over `row` or `column` of something that lies on their plane. Here and
// below, no row (kNone) is any row: what counts is the column, as for a kernel that walks one axis.
bool is_plane_reduction(const Graph& graph, NodeId node, AxisId row, AxisId column);

// Whether a kernel's result is folded over the rows of its plane: then it is added to tile by tile.
bool folds_rows(const Graph& graph, const Kernel& kernel, NodeId result);

// The plane reductions that `node` needs, down to the leaves, in dependency order.
std::vector<NodeId> plane_reductions_of(const Graph& graph, NodeId node, AxisId row, AxisId column,
                                        const Leaves& leaves);

// The Reduce(Max) that the sum `reduction` can follow in one pass: its term is linear in exp(x - m),
// or exp2(x - m), and needs no other plane reduction. kNone if there is none.
struct Followed {
  NodeId maximum = kNone;
  bool base_two = false;
};
Followed followed_by(const Graph& graph, NodeId reduction, AxisId row, AxisId column,
                     const Leaves& leaves);

// Whether a node has both axes of a kernel's plane.
bool is_on_plane(const Graph& graph, const Kernel& kernel, NodeId node);

// The region of one of the graph's kernels.
Region region_of(const Graph& graph, const Kernel& kernel);

// The same for kernels that are being made; `plane_results` lie on the plane.
Region make_region(const Graph& graph, AxisId row, AxisId column,
                   const std::vector<NodeId>& reductions, Leaves leaves,
                   const std::vector<NodeId>& plane_results = {});

}  // namespace fovea::ir
