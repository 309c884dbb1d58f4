// passes/block_mask.h — finds which elements of the pair plane a kernel need not look at.
//
//   s = where(j <= i && doc == doc[i = j], q · k, -inf)      kernel: row i, column j
//   o = sum(j, softmax(j, s) * v)                       →      visible = j <= i && …
//                                                              solid = the same
//
// The masks of a kernel are the conditions of `where` with a constant branch, and bools that are
// computed with as numbers or folded. `visible` is false only where every reduction of the plane
// gets nothing: a zero to a sum, -inf to a maximum, and every result on it is zero. `solid` is the
// conjunction (a tree of &&) of all masks but those of what has no columns, which are applied to
// rows anyway: in a block where it holds, each of its terms may be taken for true and the operand of
// a negated term for false, also inside of `all(axis, …)`, which stands over axes that only some
// values have.
//
// Needs: kernels (fuse). Leaves alone: masks that depend on the plane's own reductions or
// contractions (they cannot be known before), and those used at other coordinates too. Why there is
// no `visible` is appended to the kernel's reason.
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph block_mask(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
