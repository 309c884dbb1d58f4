// passes/accept_kernels.h
// Takes kernels that a graph was given with, where code generation is made for them.
//
//   kernel x(o) over i, j rows=48 columns=96 chunk=4     →     the same
//   kernel x(o) over _, j                                →     an error
//
// What is lowered without asking whether it can be is what the passes make. So the kernels of a
// graph have to be those that `fuse` or `partition_unfused` make of it, under any name; masks and
// carried sums those that `block_mask` and `carry` find, or left to them; and tiles any that the
// lowering is made for. They are put in order, their slots left to be planned, and kernels added
// for the bounds of coordinates that are checked when run.
//
// Needs: a graph as `fuse` gets it. Leaves alone: graphs without kernels. Throws Error
// (invalid_config, unsupported) that tells the kernel, what was found and what was expected.
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph accept_kernels(const ir::Graph& graph, const ir::Target& target);

// The same for a graph that no pass has seen: those up to `fuse` run before. Without kernels it
// stays as it is.
ir::Graph accept_given_kernels(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
