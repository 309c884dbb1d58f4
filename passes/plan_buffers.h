// passes/plan_buffers.h
// Gives each result a slot of the arena, or the memory of an output.
//
//   kernel m(m)     →     kernel m(m) slots=0
//   kernel e(e)           kernel e(e) slots=1
//   kernel l(l)           kernel l(l) slots=0     # m was last read by e
//   kernel o(o)           kernel o(o) slots=_     # an output
//
// Values in one slot never live at the same time: each from the kernel that makes it to the last
// one that reads it, but to the end what says how long a ragged axis is, what bounds gathered
// coordinates and what is copied to an output (of values folded over the rows of a plane, which lie
// padded).
//
// Needs: kernels (fuse) in the order of their execution. Leaves alone: everything but slots.
#pragma once

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

ir::Graph plan_buffers(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::passes
