// ir/kernel_graph.h — what one kernel computes, written out as a graph of its own.
//
//   kernel o(o) over i, j visible=m solid=m     →     m = j <= i
//     o = sum(j, where(j <= i, exp(s - t), 0))        out %9 = sum(j, where(m, where(j <= i || m,
//   (another kernel stores t)                                     exp(s - %4), 0), 0))
//
// Other kernels' results are inputs, called "%" and their node; whatever else the kernel needs it
// computes itself. Besides:
//   visible  where it is false, folds over the plane get nothing, and results on it are 0
//   solid    where it holds, no mask is applied: a `where` on the plane with one branch that is 0
//            or infinite takes the other, and a bool factor is true (but masks that hold a fold, or
//            are read at other coordinates, are always applied)
//   carries  a column that was visible and solid in this row or an earlier one reaches the row
//            through the state: it brings its part of the term and the row brings the rest
//            (ir/carry.h), an exponential of a sum of both seen from the first row, and no mask
// A sum that follows a maximum (ir/region.h) is folded in two halves of the columns, the first with
// the maximum that is known by then, and rescaled.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/region.h"

namespace fovea::ir {

struct KernelGraph {
  Graph graph;                // the outputs are the kernel's results, called "%" and their node
  std::vector<NodeId> reads;  // the results of other kernels that it needs, in the source
  std::vector<bool> checked;  // by node: as a coordinate, outside is an error
};

// What is there before a kernel starts, if all others have run: inputs and their results.
Leaves leaves_of(const Graph& graph, const Kernel& kernel);

// What a node is called where it is an input or an output of a kernel's graph.
std::string stored_name(NodeId node);

// Of one of the graph's kernels. An error (internal) where that says what cannot be: a carried
// state that its sums do not have, or a mask that varies along an axis that a fold lacks.
KernelGraph kernel_graph(const Graph& graph, const Kernel& kernel);

}  // namespace fovea::ir
