// passes/fuse.h
// Partitions the graph into kernels, none of which stores anything on a pair plane unless it is an
// output.
//
//   s = sum(d, q * k)               kernel o(o) over i, j
//   p = softmax(j, s)         →       one walk over the plane of i and j: s, exp(s - max), the row
//   out o = sum(j, p * v)             maximum and sum, and the weighted sum live as long as a tile
//
// Reductions of one plane are computed in one walk unless one needs another's result; a sum that is
// linear in exp(x - max(x)) does not need the maximum before (it is rescaled as the maximum grows).
// Sums over columns and over rows of the plane go into the same walk. Element-wise consumers of row
// results become the end of the kernel. An output on the plane that is a function of row results is
// stored by the kernel that has them, or by one of its own where that cannot. Neighbours, on an axis
// that is ragged or along which something is gathered, are walked for each point of a result by a
// kernel of its own (walks.h). Everything else is a kernel off the plane for every reduction, scan,
// top-k and output, but for the inner sums of sum(a, sum(b, x * y)) of matrices.
//
// Needs: nothing. Leaves alone: graphs that have kernels; planes too small to be worth it, and ones
// that are read at other coordinates (the reason is kept for `explain`).
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph fuse(const ir::Graph& graph, const ir::Target& target);

// The same partition without kernels on a plane: every reduction is stored. What fusing is compared
// with.
ir::Graph partition_unfused(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
