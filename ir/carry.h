// ir/carry.h — which sums over a plane can be carried from one tile of rows to the next: those
// whose term, where no mask applies, is a product of what the row brings and of what the column
// brings.
//
//   o[i, e] = sum(j, where(j <= i, sum(d, q[i, d] * k[j, d]), 0) * v[j, e])
//           = sum(d, q[i, d] * state[d, e]) + what the blocks on the diagonal add
//   state[d, e] = sum(j, k[j, d] * v[j, e]) over the blocks before these
//
// Then every row sees a column block that needs no mask through one small state, and the time is
// linear in rows and columns (Katharopoulos 2020, Sun 2023, Yang 2024).
#pragma once

#include <optional>
#include <vector>

#include "ir/region.h"

namespace fovea::ir {

// exp(x) or exp2(x), with x the sum of a part without columns and one without rows.
struct Gap {
  NodeId exponent = kNone;
  bool base_two = false;
  bool operator==(const Gap&) const = default;
};

// A sum over columns, its term taken apart.
struct CarriedSum {
  NodeId reduction = kNone;
  AxisId inner = kNone;         // the axis that the plane value contracts, if it does
  std::vector<Factor> rows;     // without the column
  std::vector<Factor> columns;  // without the row
  std::vector<Gap> gaps;
  double scale = 1;
};

// The sums of a kernel, if all of its results can be had from a carried state: it has a mask, all
// its reductions are such sums, and a column that a row sees without a mask is seen so by all later
// rows.
std::optional<std::vector<CarriedSum>> carried_sums(const Graph& graph, const Kernel& kernel,
                                                    const Region& region);

// What a condition is in blocks that need no mask, if that is known.
std::optional<bool> when_solid(const Graph& graph, NodeId solid, NodeId condition);

}  // namespace fovea::ir
